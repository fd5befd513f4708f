"""Makes the read model anew, and compares or replaces the one that is there."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from coldtrail_gateway.readings import bulk, canonical, tables
from coldtrail_gateway.readings.keeper import occupied
from coldtrail_gateway.readings.projection import Projection
from coldtrail_gateway.store.database import Store
from coldtrail_gateway.store.dialect import take_time
from coldtrail_gateway.store.feed import SetBackError
from coldtrail_gateway.store.tower.database import Tower

_AT_ONCE: Final = 5_000


@dataclass(frozen=True, slots=True)
class Difference:
    """Rows of a tracker in one table that only one of two read models has.

    `kept`: those that the tower has and the archive does not say; `made`: the others.
    """

    tracker: str
    table: str
    kept: tuple[canonical.Row, ...]
    made: tuple[canonical.Row, ...]

    def __str__(self) -> str:
        return (
            f"tracker {self.tracker}, table {self.table}: {len(self.kept)} rows that do not "
            f"follow from the archive, {len(self.made)} rows that are missing"
        )


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """How many blocks were read, and a sentence for each table in which the old one differed."""

    blocks: int
    differences: tuple[str, ...]


def rebuild(store: Store, tower: Tower) -> Rebuilt:
    """Make the read model anew; where it differs, it takes the old one's place, at one moment.

    The new one is made in a temporary file, which becomes as large as the read model. What people
    have decided stays.

    Raises:
        OccupiedError: another process keeps the read model.
        StoreError: a database does not answer as it must; the read model is as it was.
    """
    with tower.keeping() as is_ours, _anew() as anew:
        if not is_ours:
            raise occupied(tower)
        made = Projection(store, anew)
        try:
            kept = Projection(store, tower)
            kept.run()
            blocks = made.run(last=kept.cursor().id)
            found = tuple(map(str, between(tower, anew)))
        except SetBackError:
            blocks = made.run()
            found = ("it was made from another archive, or from an earlier state of this one",)
        if found:
            _exchange(tower, anew)
    return Rebuilt(blocks, found)


def differences(store: Store, tower: Tower) -> Iterator[Difference]:
    """Bring the read model up to date, make it anew beside it, and yield what differs.

    Raises:
        SetBackError: the archive is not the one that was read.
        StoreError: a database does not answer as it must.
    """
    kept = Projection(store, tower)
    kept.run()
    with _anew() as anew:
        Projection(store, anew).run(last=kept.cursor().id)
        yield from between(tower, anew)


def between(tower: Tower, anew: Tower) -> Iterator[Difference]:
    """Yield what differs between a read model and one that was made anew."""
    with tower.read() as old, anew.read() as new:
        for tracker in sorted(canonical.trackers(old) | canonical.trackers(new)):
            kept, made = canonical.of_tracker(old, tracker), canonical.of_tracker(new, tracker)
            for table in kept:
                before, after = Counter(kept[table]), Counter(made[table])
                if before != after:
                    yield Difference(
                        tracker,
                        table,
                        tuple((before - after).elements()),
                        tuple((after - before).elements()),
                    )


@contextmanager
def _anew() -> Iterator[Tower]:
    with (
        tempfile.TemporaryDirectory(prefix="coldtrail-") as folder,
        Tower(Path(folder) / "gateway.db", create=True) as anew,
    ):
        yield anew


def _exchange(tower: Tower, anew: Tower) -> None:
    with tower.write() as into, anew.read() as source:
        take_time(into)
        empty(into)
        for table in tables.TABLES:
            rows = source.execution_options(yield_per=_AT_ONCE).execute(sa.select(table))
            for part in rows.partitions():
                bulk.insert(into, table, [tuple(row) for row in part])


def empty(connection: Connection) -> None:
    """Throw the read model away."""
    for table in tables.TABLES:
        connection.execute(sa.delete(table))
