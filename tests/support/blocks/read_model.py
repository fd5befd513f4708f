"""A read model for the tests: filled in any order, shown, and held against the whole archive."""

from __future__ import annotations

import hashlib
import random
import tempfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from coldtrail_gateway.evidence import archive
from coldtrail_gateway.evidence.archive import Entry
from coldtrail_gateway.evidence.findings import Name
from coldtrail_gateway.readings import canonical, findings, rebuild, records
from coldtrail_gateway.readings.batch import Batch
from coldtrail_gateway.shipments import history
from coldtrail_gateway.shipments.history import History, Placed
from coldtrail_gateway.store.archive import Archived
from coldtrail_gateway.store.database import Store
from coldtrail_gateway.store.tower.database import Tower
from tests.support.blocks.blockmaker import uplink

Kept = tuple[str, bytes, int]
"""A tracker, a sealed block of it, and when that arrived."""


def archived(kept: Sequence[Kept]) -> list[tuple[str, Entry]]:
    """Return what the archive holds of blocks that arrived in this order."""
    found = []
    for number, (tracker, sealed, received_ms) in enumerate(kept, start=1):
        digest = hashlib.sha256(sealed).digest()
        row = Archived(number, sealed, digest, 1, received_ms, None, None, 0, None)
        entry = archive.reopen(row, tracker, {1: uplink(tracker)}, filed=False)
        found.append((tracker, entry))
    return found


class Model:
    """The read model in a database of its own."""

    def __init__(self, tower: Tower) -> None:
        self.tower = tower

    def clear(self) -> None:
        with self.tower.write() as connection:
            rebuild.empty(connection)

    def fill(
        self,
        batches: Sequence[Sequence[tuple[str, Entry]]],
        profiles: Mapping[tuple[str, str], str] | None = None,
    ) -> None:
        """Take in blocks, each batch in a transaction of its own."""
        known = {entry.row.id: entry for batch in batches for _, entry in batch}

        def again(numbers: Collection[int]) -> Mapping[int, Entry]:
            return {number: known[number] for number in numbers}

        for batch in batches:
            with self.tower.write() as connection:
                Batch(connection, again, lambda *named: (profiles or {}).get(named)).take(batch)

    def shown(self) -> dict[str, Any]:
        """Return all that is in the tables."""
        with self.tower.read() as connection:
            return {
                tracker: canonical.of_tracker(connection, tracker)
                for tracker in sorted(canonical.trackers(connection))
            }

    def check(self, told: History) -> None:
        """Compare a shipment with what `shipments.history` computes of all blocks at once."""
        with self.tower.read() as connection:
            number = records.number_of(connection, told.tracker, told.shipment) or 0
            samples = list(records.samples(connection, number))
            events = list(records.events(connection, number))
            found = findings.of(connection, told.tracker)
        assert [(*_where(s), s.status, s.values) for s in samples] == [
            (*_placed(at), sample.t, sample.status, sample.values) for at, sample in told.samples
        ]
        assert [(*_where(e), e.type, e.fields) for e in events] == [
            (*_placed(at), event.t, event.type, _plain(event.fields)) for at, event in told.events
        ]
        # Those of a shipment are some of its tracker's; how often bytes came again is none here.
        assert {f for f in told.findings if f.name is not Name.REPLAYED} <= set(found)


def check(database: Path) -> None:
    """Take in an archive in any order, and compare it with the same in order, and with itself."""
    with Store(database, create=False) as store, store.read() as tables:
        entries = {t.id: archive.load(tables, t.id) for t in tables.registry.trackers()}
    arrived = sorted(
        ((tracker, entry) for tracker, own in entries.items() for entry in own),
        key=lambda item: item[1].row.id,
    )
    other = list(arrived)
    rng = random.Random(len(arrived))
    rng.shuffle(other)
    size = rng.randint(1, 20)
    with (
        tempfile.TemporaryDirectory() as folder,
        Tower(Path(folder) / "gateway.db", create=True) as tower,
    ):
        model = Model(tower)
        model.fill([arrived])
        shown = model.shown()
        model.clear()
        model.fill([other[at : at + size] for at in range(0, len(other), size)])
        assert model.shown() == shown
        for tracker, own in entries.items():
            for shipment in {e.block.shipment for e in own if e.block and e.block.shipment}:
                model.check(history.assemble(own, tracker, shipment))


def _where(record: records.Sample | records.Event) -> tuple[Any, ...]:
    moment, origin = record.moment, record.origin
    return (
        *(moment.time, moment.not_before, moment.not_after),
        *(origin.chain, origin.boot, origin.number, origin.digest, origin.flaw),
        moment.t,
    )


def _placed(at: Placed) -> tuple[Any, ...]:
    return (
        *(at.time, at.not_before, at.not_after),
        *(at.chain, at.boot, at.number, at.digest, at.flaw),
    )


def _plain(fields: Any) -> dict[str, Any]:
    return {
        name: value.hex() if isinstance(value, bytes) else value
        for name, value in fields.items()
        if name != "t"
    }
