"""Reads every row of the archive again, beside what the anchors keep of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

from coldtrail_gateway.audit import anchors
from coldtrail_gateway.audit.canonical import CanonicalError
from coldtrail_gateway.audit.findings import Finding, Progress, What, Where
from coldtrail_gateway.contract import block, envelope
from coldtrail_gateway.contract.block import BlockError
from coldtrail_gateway.contract.envelope import TRACKER_ID, Kind, Refused
from coldtrail_gateway.store.tables import Tables

ReadArchive = Callable[[], AbstractContextManager[Tables]]

_PAGE: Final = 500
_LOWEST: Final = -(2**63)  # what a column can hold, not what is ever given
_HIGHEST: Final = 2**63 - 1
_Row = Mapping[str, Any]


@dataclass
class ArchiveCheck:
    """The check of an archive.

    Attributes:
        read: opens the archive for a page; no transaction is held for longer.
        anchored: the lines of the anchors about blocks, in their order.
        spans: row numbers that these lines cover: behind the first number, up to the second.
        progress: is told how far the check has come.
        rows: how many rows were read.
        unanchored: how many of them no anchor covers.
        most: how many rows of a kind are named; the rest is counted, so that an archive that
            was exchanged does not fill the memory.
    """

    read: ReadArchive
    anchored: Iterable[bytes]
    spans: Sequence[tuple[int, int]]
    progress: Progress
    rows: int = 0
    unanchored: int = 0
    most: int = 10_000
    _more: int = 0
    _missing: dict[int, dict[str, Any]] = field(default_factory=dict)
    _strange: dict[int, _Row] = field(default_factory=dict)

    def run(self) -> list[Finding]:
        """Return what is wrong, by row."""
        found: list[Finding] = []
        spans = _joined(self.spans)
        lines = ((json.loads(line), line) for line in self.anchored)
        expected = next(lines, None)
        for row, keys in self._pages():
            while expected and expected[0]["id"] < row["id"]:
                self._miss(expected[0])
                expected = next(lines, None)
            reasons = [reason] if (reason := flaw(row, keys)) else []
            added = False
            if expected and expected[0]["id"] == row["id"]:
                if changed := _changed(row, *expected):
                    reasons.insert(0, changed)
                    self._miss(expected[0])
                expected = next(lines, None)
            elif row["id"] < 1 or any(after < row["id"] <= to for after, to in spans):
                added = True
            else:
                self.unanchored += 1
            if added or reasons:
                self._suspect(found, row, reasons, added=added)
        while expected:
            self._miss(expected[0])
            expected = next(lines, None)
        return self._resolved(found)

    def _miss(self, line: dict[str, Any]) -> None:
        """Note what an anchor has and the archive has not, or not as it was."""
        if len(self._missing) < self.most:
            self._missing[line["id"]] = line
        else:
            self._more += 1

    def _suspect(
        self, found: list[Finding], row: _Row, reasons: list[str], *, added: bool
    ) -> None:
        """Note a row that the archive should not have, or not as it is."""
        if len(self._strange) == self.most:
            self._more += 1
            return
        self._strange[row["id"]] = row
        if added:
            found.append(_finding(What.ADDED, row["id"], "it was put in by hand"))
        if reasons:
            found.append(_finding(What.ALTERED, row["id"], "; ".join(reasons)))

    def _resolved(self, found: list[Finding]) -> list[Finding]:
        """Say of rows that are missing or others where they stand now."""
        present = {_identity(row): number for number, row in self._strange.items()}
        moved: dict[int, int] = {}
        for number, line in self._missing.items():
            stands = present.get((line["tracker"], line["sha256"]))
            if stands is not None and stands != number:
                moved[number] = stands
            elif stands is None and number not in self._strange:
                found.append(_finding(What.MISSING, number, _described(line)))
        settled = set(moved) | set(moved.values())
        kept = [finding for finding in found if finding.row not in settled]
        kept += [
            _finding(What.REORDERED, number, f"{_described(self._missing[number])} is row {now}")
            for number, now in moved.items()
        ]
        kept.sort(key=lambda finding: finding.row or 0)
        if self._more:
            detail = f"{self._more} more rows are missing, altered or added, and not named here"
            kept.append(Finding(Where.ARCHIVE, What.ALTERED, None, detail))
        return kept

    def _pages(self) -> Iterator[tuple[_Row, Mapping[int, bytes]]]:
        first, more = _LOWEST, True
        while more:
            with self.read() as tables:
                page = tables.archive.stored(first, _PAGE)
                keys = tables.registry.keys({row["tracker"] for row in page if _is_named(row)})
            for row in page:
                self.rows += 1
                pairs = keys.get(row["tracker"], {}) if _is_named(row) else {}
                yield row, {version: pair.uplink for version, pair in pairs.items()}
            self.progress("archive", self.rows)
            more = len(page) == _PAGE and page[-1]["id"] < _HIGHEST
            first = page[-1]["id"] + 1 if more else first


def _joined(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return spans with those joined that follow one another, as those of all anchors do."""
    joined: list[tuple[int, int]] = []
    for after, to in spans:
        if joined and joined[-1][1] == after:
            joined[-1] = (joined[-1][0], to)
        else:
            joined.append((after, to))
    return joined


def flaw(row: _Row, keys: Mapping[int, bytes]) -> str:
    """Return what contradicts itself in a row of the archive; empty where nothing does.

    `keys` are its tracker's uplink keys by version.
    """
    try:
        anchors.block_line(row)
        if not isinstance(row["sealed"], bytes):
            raise ValueError("sealed is no bytes")  # noqa: TRY004 - told as the rest
    except (ValueError, CanonicalError) as error:
        return str(error)
    if sha256(row["sealed"]).digest() != row["digest"]:
        return "its SHA-256 is not that of its bytes"
    try:
        opened = envelope.open_sealed(row["sealed"], Kind.BLOCK, row["tracker"], keys)
    except Refused as refused:
        return f"{refused}, of tracker {row['tracker']}"
    if opened.key_version != row["key_version"]:
        return f"key_version is {row['key_version']}, and in its bytes {opened.key_version}"
    try:
        head = block.read_head(opened.payload)
        filed: tuple[bytes | None, int | None] = (head.chain, head.number)
    except BlockError:
        filed = (None, None)
    if filed != (row["chain"], row["number"]):
        return "chain and number are others than in its bytes"
    return ""


def _changed(row: _Row, wanted: Mapping[str, Any], line: bytes) -> str:
    """Return which columns are others than when the row was anchored."""
    try:
        now = anchors.block_line(row)
    except (ValueError, CanonicalError):
        return "it is not what was anchored"
    if now == line:
        return ""
    is_now = json.loads(now)
    return ", ".join(
        f"{'digest' if name == 'sha256' else name} is {is_now[name]} and was {was}"
        for name, was in wanted.items()
        if is_now[name] != was
    )


def _is_named(row: _Row) -> bool:
    """Tell whether a row names what can be a tracker; another text may be no text at all."""
    tracker = row["tracker"]
    return isinstance(tracker, str) and TRACKER_ID.fullmatch(tracker) is not None


def _identity(row: _Row) -> tuple[Any, str]:
    digest = row["digest"]
    return row["tracker"], digest.hex() if isinstance(digest, bytes) else ""


def _described(line: Mapping[str, Any]) -> str:
    place = f", chain {line['chain']}, number {line['number']}" if line["chain"] else ""
    return f"block of tracker {line['tracker']}{place}, SHA-256 {line['sha256']}"


def _finding(what: What, row: int, detail: str) -> Finding:
    return Finding(Where.ARCHIVE, what, row, detail)
