"""Every committed block exactly once, in the order of arrival, for what is made from the archive.

A row gets its number before it is committed. Where several gateways commit to one PostgreSQL, a
row can so appear below one that was read already, and whoever goes on behind the highest number
has skipped it. So a reader goes no further than to what is *settled*: rows that no unfinished
transaction can still add to. Every transaction that inserts holds a lock on the table from before
it takes a number until its rows can be seen. Let the reader look at the highest number N first,
and then at who holds that lock: when these have all ended, no row up to N can appear any more.

Alternatives. A column with the transaction's number (xid8), read below the snapshot's xmin, needs
an index of its own, waits for every writer to every database of the server, and says nothing any
more after the database was restored from a dump. A lock around numbering and commit lets no two
gateways commit at once.

On SQLite there is one writer at a time, and everything that can be seen is settled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from coldtrail_gateway.store.archive import Archived
from coldtrail_gateway.store.database import Store
from coldtrail_gateway.store.dialect import NO_WRITERS, Writers
from coldtrail_gateway.store.errors import StoreError


@dataclass(frozen=True, slots=True)
class Cursor:
    """Up to where blocks have been read: the last one's row number and SHA-256.

    The hash tells whether the archive is still the one that was read.
    """

    id: int
    digest: bytes


START: Final = Cursor(0, b"")
"""Nothing has been read."""


class SetBackError(StoreError):
    """The archive is not the one that was read: what was made from it must be made anew."""


@dataclass(frozen=True, slots=True)
class Behind:
    """How far a reader is behind the archive.

    `at_most`: how many committed blocks it has not read (some numbers are of no block).
    `oldest_ms`: when the first of these arrived; None where there is none. `awaited`: the
    unfinished transactions that hold it up, for people.
    """

    at_most: int
    oldest_ms: int | None
    awaited: tuple[str, ...]


class Feed:
    """Reads the blocks of a store; one for as long as its reader lives.

    It remembers nothing that a new one would not find out again.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._settled = 0
        self._candidate = 0  # settled when these have ended:
        self._awaited = NO_WRITERS

    def news(self, after: Cursor, limit: int) -> tuple[list[tuple[str, Archived]], Cursor]:
        """Return up to `limit` settled blocks behind a cursor, each with its tracker.

        Also the cursor behind them. Where there is none, ask again a little later.

        Raises:
            SetBackError: the cursor is not of this archive, or of an earlier state of it.
            StoreError: the database does not answer.
        """
        self._look()
        with self._store.read() as tables:
            if after != START and tables.archive.digest(after.id) != after.digest:
                raise SetBackError(
                    f"The archive {self._store.name} has been set back or exchanged: its row "
                    f"{after.id} is not the block that was read. Make the read model anew "
                    "(coldtrail gateway rebuild)."
                )
            rows = tables.archive.after(after.id, self._settled, limit)
        if rows:
            _, last = rows[-1]
            after = Cursor(last.id, last.digest)
        return rows, after

    def behind(self, after: Cursor) -> Behind:
        """Tell how far a reader is behind.

        Raises:
            StoreError: the database does not answer.
        """
        self._look()
        with self._store.read() as tables:
            newest = tables.archive.newest()
            oldest_ms = tables.archive.received_ms(after.id)
        awaited = self._awaited.unfinished.values() if newest > self._settled else ()
        return Behind(max(newest - after.id, 0), oldest_ms, tuple(awaited))

    def _look(self) -> None:
        """Find out up to where rows are settled now."""
        with self._store.read() as tables:
            # In this order: see above. The locks are those of the moment, not of the snapshot.
            newest = tables.archive.newest()
            writers = tables.archive.writers()
        if writers.server != self._awaited.server or newest < self._settled:
            # What it was told before is of another server, or of an earlier life of this one.
            self._settled = self._candidate = 0
            self._awaited = NO_WRITERS
        still = self._awaited.unfinished.keys() & writers.unfinished.keys()
        if still:
            left = {name: writers.unfinished[name] for name in still}
            self._awaited = Writers(writers.server, left)
            return
        self._settled = max(self._settled, self._candidate)
        if not writers.unfinished:
            self._settled = newest
        self._candidate, self._awaited = newest, writers
