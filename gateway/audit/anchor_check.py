"""Reads the anchors again: signature, order, files; and gives out what they keep of each row."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from coldtrail_gateway.audit import anchor_keys, anchors, merkle, timestamps
from coldtrail_gateway.audit.anchors import Anchor, AnchorError
from coldtrail_gateway.audit.findings import Finding, Progress, What, Where
from coldtrail_gateway.audit.timestamps import TimestampError
from coldtrail_gateway.contract.utc import iso

_STAMP_LATE_MS: Final = 3_600_000
"""How far a time stamp may be from the time that an anchor states for itself."""


@dataclass
class AnchorCheck:
    """The check of a folder of anchors.

    Attributes:
        folder: where they are.
        key: verifies them.
        recorded: the hash of each anchor that was made, as the trail has it.
        authority: root certificate of the time stamp authority; None leaves stamps unverified.
        progress: is told how far the check has come.
        good: after `run`, the anchors whose signature and lines are right.
        stamped: how many anchors have a time stamp that was verified.
    """

    folder: Path
    key: Ed25519PublicKey
    recorded: Mapping[int, bytes]
    authority: Path | None
    progress: Progress
    good: list[Anchor] = field(default_factory=list)
    stamped: int = 0

    def run(self) -> list[Finding]:
        """Return what is wrong, by anchor."""
        found: list[Finding] = []
        last: Anchor | None = None
        there = anchors.numbers(self.folder)
        missing = (set(range(1, max(there, default=0) + 1)) | self.recorded.keys()) - set(there)
        found += [_finding(What.MISSING, number, "its files are not there") for number in missing]
        for number in there:
            try:
                anchor = anchors.read(self.folder, number)
                reasons = self._flaws(anchor, last)
            except AnchorError as error:
                found.append(_finding(What.ALTERED, number, str(error)))
                last = None
                continue
            if reasons:
                found.append(_finding(What.ALTERED, number, "; ".join(reasons)))
            else:
                self.good.append(anchor)
            last = anchor
            self.progress("anchors", number)
        return sorted(found, key=lambda finding: finding.row or 0)

    def blocks(self) -> Iterator[bytes]:
        """Return the lines about blocks of the anchors that are good."""
        return (line for line in self._lines() if not line.startswith(_ENTRY))

    def entries(self) -> dict[int, bytes]:
        """Return the digests of entries of the anchors that are good, by number."""
        lines = (json.loads(line) for line in self._lines() if line.startswith(_ENTRY))
        return {line["entry"]: bytes.fromhex(line["sha256"]) for line in lines}

    def spans(self) -> list[tuple[int, int]]:
        """Return which rows of the archive the anchors that are good cover."""
        return [anchor.blocks for anchor in self.good]

    def _lines(self) -> Iterator[bytes]:
        for anchor in self.good:
            yield from anchor.rows()

    def _flaws(self, anchor: Anchor, last: Anchor | None) -> list[str]:
        reasons = []
        if not anchor_keys.verifies(self.key, anchor.signature, anchor.statement):
            reasons.append("its signature does not verify")
        if last and anchor.number == last.number + 1:
            if anchor.previous != last.digest:
                reasons.append(f"it does not name anchor {last.number} as the one before it")
            elif (anchor.blocks[0], anchor.entries[0]) != (last.blocks[1], last.entries[1]):
                reasons.append(f"it does not begin where anchor {last.number} ends")
        if self.recorded.get(anchor.number, anchor.digest) != anchor.digest:
            reasons.append("the audit trail has another hash of it")
        count = 0

        def leaves() -> Iterator[bytes]:
            nonlocal count
            for line in anchor.rows():
                count += 1
                yield merkle.leaf(line)

        if merkle.root(leaves()) != anchor.root or count != anchor.lines:
            reasons.append("its lines are not those that it signs")
        return reasons + self._stamp_flaws(anchor)

    def _stamp_flaws(self, anchor: Anchor) -> list[str]:
        if self.authority is None or not anchor.stamp:
            return []
        try:
            stamped_ms = timestamps.verified_ms(anchor.stamp, anchor.statement, self.authority)
        except TimestampError as error:
            return [str(error)]
        self.stamped += 1
        if abs(stamped_ms - anchor.made_ms) > _STAMP_LATE_MS:
            return [f"it says {iso(anchor.made_ms)}, and was stamped at {iso(stamped_ms)}"]
        return []


_ENTRY: Final = b'{"entry":'


def _finding(what: What, number: int, detail: str) -> Finding:
    return Finding(Where.ANCHOR, what, number, detail)
