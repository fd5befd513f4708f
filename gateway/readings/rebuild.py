"""Makes the read model anew beside the old one, compares the two, and takes over what is right."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from coldtrail_gateway.readings import bulk, canonical, progress, tables
from coldtrail_gateway.readings.keeper import occupied
from coldtrail_gateway.readings.projection import Projection
from coldtrail_gateway.store.database import Store
from coldtrail_gateway.store.feed import SetBackError
from coldtrail_gateway.store.tower.database import Tower

_AT_ONCE: Final = 5_000


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What came of it: how many blocks were read, and where the old read model differed."""

    blocks: int
    differences: tuple[str, ...]


def rebuild(store: Store, tower: Tower) -> Rebuilt:
    """Make the read model anew; where the old one differs, the new one takes its place.

    The old one answers until then.

    Raises:
        OccupiedError: another process keeps the read model.
        StoreError: a database does not answer; the old one is as it was.
    """
    with tower.keeping() as is_ours, tower.anew() as anew:
        if not is_ours:
            raise occupied(tower)
        old, new = Projection(store, tower), Projection(store, anew)
        blocks = 0
        try:
            while True:
                while taken := new.step():
                    blocks += taken
                old.run()
                if _is_level(tower, anew):
                    break
            new.refresh()
            with tower.read() as before, anew.read() as after:
                found = list(_differences(before, after))
        except SetBackError:
            blocks += new.run()
            found = ["it was made from another archive, or from an earlier state of this one"]
        if found:
            _take_over(tower, anew)
        return Rebuilt(blocks, tuple(found))


def _is_level(tower: Tower, anew: Tower) -> bool:
    with tower.read() as one, anew.read() as other:
        return progress.read(one) == progress.read(other)


def _differences(before: Connection, after: Connection) -> Iterator[str]:
    for tracker in sorted(canonical.trackers(before) | canonical.trackers(after)):
        one, other = (canonical.of_tracker(side, tracker) for side in (before, after))
        for table in one.keys() | other.keys():
            was, now = set(one.get(table, ())), set(other.get(table, ()))
            if was != now:
                yield (
                    f"tracker {tracker}, table {table}: {len(was - now)} rows were wrong, "
                    f"{len(now - was)} were missing"
                )


def _take_over(tower: Tower, anew: Tower) -> None:
    with tower.write() as into, anew.read() as source:
        for table in reversed(tables.TABLES):
            into.execute(sa.delete(table))
        for table in tables.TABLES:
            rows = source.execution_options(yield_per=_AT_ONCE).execute(sa.select(table))
            for part in rows.partitions():
                bulk.insert(into, table, [tuple(row) for row in part])
