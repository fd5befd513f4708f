"""Makes the read model anew, and compares or replaces the one that is there."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from coldtrail_gateway.readings import canonical, tables
from coldtrail_gateway.readings.projection import Projection
from coldtrail_gateway.store.database import Store
from coldtrail_gateway.store.tower.database import Tower


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


def differences(store: Store, tower: Tower) -> Iterator[Difference]:
    """Bring the read model up to date, make it anew beside it, and yield what differs.

    The new one lies in a temporary file and is as large as the one that is there.

    Raises:
        SetBackError: the archive is not the one that was read.
        StoreError: a database does not answer as it must.
    """
    kept = Projection(store, tower)
    kept.run()
    with (
        tempfile.TemporaryDirectory(prefix="coldtrail-") as folder,
        Tower(Path(folder) / "gateway.db", create=True) as anew,
    ):
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


def replace(store: Store, tower: Tower) -> int:
    """Throw the read model away and make it anew; return how many blocks were taken in.

    What people have decided stays. Until it has ended, the read model is incomplete.

    Raises:
        StoreError: a database does not answer as it must.
    """
    with tower.write() as connection:
        empty(connection)
    return Projection(store, tower).run()


def empty(connection: Connection) -> None:
    """Throw the read model away."""
    for table in tables.TABLES:
        connection.execute(sa.delete(table))
