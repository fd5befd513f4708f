"""Reads every entry of the audit trail again: its hash, its place in the chain, its anchors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import islice
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from coldtrail_gateway.audit import trail
from coldtrail_gateway.audit.findings import Finding, Progress, What, Where
from coldtrail_gateway.audit.trail import BEFORE_THE_FIRST, Entry
from coldtrail_gateway.audit.trail_tables import trail as table
from coldtrail_gateway.contract.utc import iso
from coldtrail_gateway.errors import GatewayError

ReadTower = Callable[[], AbstractContextManager[Connection]]

_PAGE: Final = 500
_PLACES: Final = 50  # of how many altered entries it is tried where they belong
_Row = Mapping[str, Any]


@dataclass
class TrailCheck:
    """The check of a trail.

    Attributes:
        read: opens the tower's database for a page.
        anchored: digests of entries by number, as the anchors keep them.
        progress: is told how far the check has come.
        rows: how many entries were read.
        head: the number of the last that is intact.
    """

    read: ReadTower
    anchored: Mapping[int, bytes]
    progress: Progress
    rows: int = 0
    head: int = 0
    _odd: dict[int, _Row] = field(default_factory=dict)
    _gone: list[tuple[int, int]] = field(default_factory=list)
    _others: list[int] = field(default_factory=list)

    def run(self) -> list[Finding]:
        """Return what is wrong, by entry."""
        found: list[Finding] = []
        digest, at_ms = BEFORE_THE_FIRST, 0
        for row in self._rows():
            number = row["number"]
            if not isinstance(number, int) or number < 1:
                found.append(_finding(What.ALTERED, None, f"an entry has the number {number!r}"))
                continue
            if self.anchored.get(number, row["digest"]) != row["digest"]:
                self._others.append(number)
            entry, reason = _read(row)
            if entry is None:
                # Its number may be as wrong as the rest: it is no sign that others are missing.
                self._odd[number] = row
                found.append(_finding(What.ALTERED, number, reason))
                continue
            self._miss(number - 1)
            if number == self.head + 1 and entry.previous != digest:
                found.append(_unfollowed(number))
            if at_ms - entry.at_ms > trail.LATE_MS and entry.action != trail.CLOCK_SET_BACK.name:
                found.append(_went_back(entry, at_ms))
            self.head, digest, at_ms = number, entry.digest, entry.at_ms
        head = self.head
        self._miss(max(self.anchored, default=0))
        return self._resolved(found, head)

    def _miss(self, last: int) -> None:
        """Note which entries behind the last intact one, up to `last`, are not there at all."""
        first = self.head + 1
        for number in (*sorted(n for n in self._odd if first <= n <= last), last + 1):
            if number > first:
                self._gone.append((first, number - 1))
            first = number + 1

    def _resolved(self, found: list[Finding], head: int) -> list[Finding]:
        named = {finding.row for finding in found}
        moved = dict(self._moved())
        found = [finding for finding in found if finding.row not in moved]
        found += [
            _finding(What.REORDERED, number, f"entry {belongs} stands here")
            for number, belongs in moved.items()
        ]
        taken = set(moved.values())
        for first, last in self._gone:
            cut = ": the tail was cut off, and an anchor knows it" if first > head else ""
            if first != last or first not in taken:
                found.append(Finding(Where.TRAIL, What.MISSING, first, f"not there{cut}", last))
        found += self._rewritten(named)
        return sorted(found, key=lambda finding: (finding.row or 0, finding.what))

    def _moved(self) -> Iterator[tuple[int, int]]:
        """Return of altered entries that are intact under another number that number."""
        gone = (number for first, last in self._gone for number in range(first, last + 1))
        places = [*islice(self._odd, _PLACES), *islice(gone, _PLACES)]
        for number, row in islice(self._odd.items(), _PLACES):
            for place in places:
                if _read({**row, "number": place})[0] is not None:
                    yield number, place

    def _rewritten(self, named: set[int | None]) -> Iterator[Finding]:
        """Say where entries agree with themselves and not with the anchors."""
        others = [number for number in self._others if number not in named]
        if others:
            yield _finding(
                What.ALTERED,
                others[0],
                "it is not the entry that was anchored; its hash was made anew",
            )
        if len(others) > 1:
            yield Finding(
                Where.TRAIL,
                What.ALTERED,
                others[1],
                f"the hashes of {len(others) - 1} anchored entries were made anew to fit it",
                others[-1],
            )

    def _rows(self) -> Iterator[_Row]:
        after: Any = None
        while True:
            page = sa.select(*trail.RAW).order_by(table.c.number).limit(_PAGE)
            if after is not None:
                page = page.where(table.c.number > sa.literal(after, sa.types.NullType()))
            with self.read() as connection:
                rows = [row._asdict() for row in connection.execute(page)]
            if not rows:
                return
            after = rows[-1]["number"]
            self.rows += len(rows)
            yield from rows
            self.progress("audit trail", self.rows)


def _read(row: _Row) -> tuple[Entry | None, str]:
    """Return an entry whose hash is right, or None and what is wrong."""
    try:
        entry = Entry.of(row)
        digest = sha256(entry.line).digest()
    except (ValueError, GatewayError) as error:
        return None, str(error)
    if digest != entry.digest:
        return None, "its content and its hash do not fit"
    return entry, ""


def _unfollowed(number: int) -> Finding:
    if number == 1:
        return _finding(What.ALTERED, 1, "it is the first, and names another before it")
    return _finding(
        What.ALTERED,
        number - 1,
        f"entry {number} names another hash than it has: its own was made anew",
    )


def _went_back(entry: Entry, at_ms: int) -> Finding:
    return _finding(
        What.TIME,
        entry.number,
        f"it is of {iso(entry.at_ms)}, the entry before it of {iso(at_ms)}, and no entry says "
        "that the clock was set back",
    )


def _finding(what: What, number: int | None, detail: str) -> Finding:
    return Finding(Where.TRAIL, what, number, detail)
