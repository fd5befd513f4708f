"""Keeps the read model: reads what is new in the archive, and takes it into the tables.

What a block becomes and up to where the archive has been read are written in one transaction, so
that it can be ended at any moment and started again. Several processes may run it: one of them
gets on. A block that something goes wrong with is noted as unread, with the reason, and holds up
nobody: the batch is divided until it stands alone.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

from coldtrail_gateway.evidence import archive
from coldtrail_gateway.evidence.archive import Entry
from coldtrail_gateway.readings import bulk, progress
from coldtrail_gateway.readings.batch import Batch
from coldtrail_gateway.store.archive import Archived
from coldtrail_gateway.store.database import Store
from coldtrail_gateway.store.errors import VALUE_ERRORS, DataError, StoreError, translated
from coldtrail_gateway.store.feed import Behind, Cursor, Feed
from coldtrail_gateway.store.tower.database import Tower

BATCH: Final = 500
"""Blocks in one transaction: so many that a commit costs little, and nobody waits for long."""

_log = logging.getLogger(__name__)

_Opened = list[tuple[str, Entry]]


class Projection:
    """Takes the blocks of an archive into its tower."""

    def __init__(self, store: Store, tower: Tower) -> None:
        self._store = store
        self._tower = tower
        self._feed = Feed(store)

    def run(self, limit: int = BATCH, last: int | None = None) -> int:
        """Take in everything that has arrived; return how many blocks that were.

        With `last`, no block behind that row number.

        Raises:
            SetBackError: the archive is not the one that was read.
            StoreError: a database does not answer as it must.
        """
        count = 0
        while taken := self.step(limit, last):
            count += taken
        self.refresh()
        return count

    def step(self, limit: int = BATCH, last: int | None = None) -> int:
        """Take in up to `limit` blocks that have arrived; return how many that were.

        With `last`, no block behind that row number.

        Raises:
            SetBackError: the archive is not the one that was read.
            StoreError: a database does not answer as it must.
        """
        here = self.cursor()
        rows, _ = self._feed.news(here, limit)
        if last is not None:
            rows = [(tracker, row) for tracker, row in rows if row.id <= last]
        if rows:
            _, newest = rows[-1]
            self.take(rows, here, Cursor(newest.id, newest.digest))
        return len(rows)

    def cursor(self) -> Cursor:
        """Return up to where the archive has been taken in.

        Raises:
            StoreError: the tower's database does not answer as it must.
        """
        with self._tower.read() as connection:
            return progress.read(connection)

    def behind(self) -> Behind:
        """Tell how far the read model is behind the archive.

        Raises:
            StoreError: a database does not answer as it must.
        """
        return self._feed.behind(self.cursor())

    def take(self, rows: Sequence[tuple[str, Archived]], here: Cursor, after: Cursor) -> None:
        """Take in blocks, each with its tracker, and move from one cursor to the other.

        Where the read model stands at another cursor, somebody else has taken them in.

        Raises:
            StoreError: a database does not answer as it must.
        """
        entries, broken = self._open(rows)
        profiles = self._profiles({e.block.shipment for _, e in entries if e.block} - {None})
        with self._tower.write() as connection:
            if progress.hold(connection) != here:
                return
            self._take(connection, entries, profiles)
            for tracker, row, reason in broken:
                self._give_up(connection, tracker, row, reason)
            progress.write(connection, after)

    def refresh(self) -> None:
        """Judge shipments again whose profile has been registered since.

        Raises:
            StoreError: a database does not answer as it must.
        """
        with self._tower.read() as connection:
            waiting = Batch.without_profile(connection)
        profiles = self._profiles({shipment for _, shipment in waiting.values()})
        found = [
            number
            for number, (tracker, shipment) in waiting.items()
            if (tracker, shipment) in profiles
        ]
        for shipment in found:
            with self._tower.write() as connection:
                progress.hold(connection)
                self._batch(connection, profiles).judge_again(shipment)

    def _open(
        self, rows: Sequence[tuple[str, Archived]]
    ) -> tuple[_Opened, list[tuple[str, Archived, str]]]:
        with self._store.read() as tables:
            keys = tables.registry.keys({tracker for tracker, _ in rows})
        opened: _Opened = []
        broken = []
        for tracker, row in rows:
            uplink = {v: pair.uplink for v, pair in keys.get(tracker, {}).items()}
            try:
                opened.append((tracker, archive.reopen(row, tracker, uplink)))
            except Exception as error:  # noqa: BLE001 -- whatever it is, the next block is read
                broken.append((tracker, row, f"{type(error).__name__}: {error}"))
        return opened, broken

    def _again(self, numbers: Collection[int]) -> Mapping[int, Entry]:
        with self._store.read() as tables:
            rows = tables.archive.rows(numbers)
        opened, _ = self._open(rows)
        return {entry.row.id: entry for _, entry in opened}

    def _profiles(self, shipments: Iterable[str | None]) -> Mapping[tuple[str, str], str]:
        """Return the registered profiles of shipments, by tracker and shipment."""
        # No other text can be registered, and a database need not have bytes for it.
        named = {shipment for shipment in shipments if shipment and shipment.isprintable()}
        with self._store.read() as tables:
            known = [
                shipment
                for some in bulk.parts(named)
                for shipment in tables.registry.shipments(some).values()
            ]
        return {(s.tracker, s.id): s.profile for s in known if s.profile is not None}

    def _batch(self, connection: Connection, profiles: Mapping[tuple[str, str], str]) -> Batch:
        return Batch(connection, self._again, lambda *named: profiles.get(named))

    def _take(
        self, connection: Connection, entries: _Opened, profiles: Mapping[tuple[str, str], str]
    ) -> None:
        """Take in blocks; where that fails, those of each tracker, then each block alone."""
        if not entries:
            return
        try:
            with connection.begin_nested():
                self._batch(connection, profiles).take(entries)
            return
        except Exception as error:  # noqa: BLE001 -- what is wrong with one block is no matter of others
            reason = _reason(error)
        trackers = {tracker for tracker, _ in entries}
        if len(trackers) > 1:
            for tracker in sorted(trackers):
                own = [entry for entry in entries if entry[0] == tracker]
                self._take(connection, own, profiles)
        elif len(entries) > 1:
            for one in entries:
                self._take(connection, [one], profiles)
        else:
            tracker, entry = entries[0]
            self._give_up(connection, tracker, entry.row, reason)

    def _give_up(self, connection: Connection, tracker: str, row: Archived, reason: str) -> None:
        _log.error("Block %d of tracker %s is left unread: %s", row.id, tracker, reason)
        self._batch(connection, {}).leave_unread(tracker, row, reason)


def _reason(error: Exception) -> str:
    """Return what went wrong with a block.

    Raises:
        StoreError: it is no matter of the block.
    """
    if isinstance(error, (SQLAlchemyError, *VALUE_ERRORS)):
        meant = translated(error, "of the tower")
        if not isinstance(meant, DataError):
            raise meant from None
    elif isinstance(error, StoreError) and not isinstance(error, DataError):
        raise error
    return f"{type(error).__name__}: {error}".splitlines()[0][:200]
