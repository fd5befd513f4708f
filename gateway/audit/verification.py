"""Verifies archive, audit trail, signatures and anchors, and says what it cannot see."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from coldtrail_gateway.audit import anchor_keys, anchors, signature_check, trail
from coldtrail_gateway.audit.anchor_check import AnchorCheck
from coldtrail_gateway.audit.archive_check import ArchiveCheck, ReadArchive
from coldtrail_gateway.audit.findings import Finding, Progress, What, Where, silent
from coldtrail_gateway.audit.trail_check import ReadTower, TrailCheck
from coldtrail_gateway.contract.utc import iso
from coldtrail_gateway.errors import GatewayError

_WITHOUT: Final = (
    "There is no anchor that holds. So nobody sees rows that were removed from the archive, "
    "changed times of arrival, a tail that was cut off the audit trail, or a trail whose hashes "
    "were all made anew; nor blocks that somebody made who has the trackers' keys. Make anchors "
    "daily with coldtrail gateway audit anchor."
)


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of a verification.

    Attributes:
        findings: what is wrong, by place and row.
        blocks: how many rows of the archive were read.
        entries: how many entries of the trail were read.
        signatures: how many signatures were read.
        anchors: how many anchors are good.
        stamped: how many of these have a time stamp that was verified.
        unseen: sentences: what this verification cannot see, and what else is worth knowing.
    """

    findings: tuple[Finding, ...]
    blocks: int
    entries: int
    signatures: int
    anchors: int
    stamped: int
    unseen: tuple[str, ...]

    @property
    def good(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "coldtrail": "verification/1",
            "good": self.good,
            "read": {
                "blocks": self.blocks,
                "entries": self.entries,
                "signatures": self.signatures,
                "anchors": self.anchors,
                "stamped": self.stamped,
            },
            "findings": [finding.to_json() for finding in self.findings],
            "not_seen": list(self.unseen),
        }


def verify(
    archive: ReadArchive,
    tower: ReadTower,
    folder: Path,
    public_key: Path | None = None,
    authority: Path | None = None,
    progress: Progress = silent,
) -> Report:
    """Read everything again.

    `folder` holds the anchors. `public_key` verifies them, by default the one in the folder.
    `authority` is the root certificate of the time stamp authority.

    Raises:
        AnchorKeyError: the key that was named cannot be read.
        StoreError: a database does not answer.
    """
    found: list[Finding] = []
    recorded = _recorded(tower)
    checked = _anchors(recorded, folder, public_key, authority, progress, found)
    entries = TrailCheck(tower, checked.entries() if checked else {}, progress)
    found += entries.run()
    with tower() as connection:
        signatures, wrong = signature_check.check(connection)
    found += wrong
    blocks = ArchiveCheck(
        archive,
        checked.blocks() if checked else (),
        checked.spans() if checked else (),
        progress,
    )
    found += blocks.run()
    unseen = _unseen(checked, blocks, entries, public_key, authority)
    unseen += [
        f"The audit trail knows anchors {min(series)} to {max(series)} that another key signed "
        f"({signed_by}): verify them with --anchors and --public-key."
        for signed_by, series in recorded.items()
    ]
    if not any(finding.where is Where.TRAIL for finding in found):
        unseen += _unanswered(tower)
    return Report(
        tuple(found),
        blocks.rows,
        entries.rows,
        signatures,
        len(checked.good) if checked else 0,
        checked.stamped if checked else 0,
        tuple(unseen),
    )


def _recorded(tower: ReadTower) -> dict[str, dict[int, bytes]]:
    try:
        with tower() as connection:
            return anchors.recorded(connection)
    except (GatewayError, ValueError, LookupError, TypeError):
        return {}  # what is wrong with the trail is named where the trail is checked


def _anchors(
    recorded: dict[str, dict[int, bytes]],
    folder: Path,
    public_key: Path | None,
    authority: Path | None,
    progress: Progress,
    found: list[Finding],
) -> AnchorCheck | None:
    try:
        key = anchor_keys.public(public_key or folder / anchors.PUBLIC)
    except anchor_keys.AnchorKeyError as error:
        if public_key is not None:
            raise
        if anchors.numbers(folder) or recorded:
            found.append(Finding(Where.ANCHOR, What.MISSING, None, str(error)))
        return None
    series = recorded.pop(anchor_keys.fingerprint(key), {})
    checked = AnchorCheck(folder, key, series, authority, progress)
    found += checked.run()
    return checked


def _unseen(
    checked: AnchorCheck | None,
    blocks: ArchiveCheck,
    entries: TrailCheck,
    public_key: Path | None,
    authority: Path | None,
) -> list[str]:
    if checked is None or not checked.good:
        return [_WITHOUT]
    sentences = []
    last = checked.good[-1]
    later = max(entries.head - last.entries[1], 0)
    if blocks.unanchored or later > 1:  # one says that this anchor was made
        sentences.append(
            f"Behind the last anchor, of {iso(last.made_ms)}, are {blocks.unanchored} blocks and "
            f"{later} entries: of these, removed rows, a cut tail, changed times of arrival and "
            "hashes that were made anew are not seen."
        )
    if public_key is None:
        sentences.append(
            "The anchors were verified with the key that lies beside them: whoever can write to "
            "that folder may have replaced both. Keep a copy of the public key, and name it with "
            "--public-key."
        )
    if authority is None and any(anchor.stamp for anchor in checked.good):
        sentences.append("Time stamps were not verified: name the authority's root with --tsa-ca.")
    return sentences


def _unanswered(tower: ReadTower) -> list[str]:
    with tower() as connection:
        return [
            f"Entry {entry.number} of the audit trail ({entry.action}, "
            f"{entry.subject.kind} {entry.subject.id}) says what was about to be done, and none "
            "says what became of it."
            for entry in trail.unanswered(connection)
        ]
