"""The read model tells of a shipment what all its blocks together say."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from coldtrail_gateway.ingest import intake
from coldtrail_gateway.ingest.intake import Arrival
from coldtrail_gateway.readings.projection import Projection
from coldtrail_gateway.shipments import history, known
from coldtrail_gateway.shipments.history import History
from coldtrail_gateway.store.database import Store
from coldtrail_gateway.store.registry import KeyPair, Shipment
from coldtrail_gateway.store.tower.database import Tower
from tests.gateway.readings.scenes import scene
from tests.support.blocks.blockmaker import Maker, downlink, rows, uplink
from tests.support.blocks.journey import clone, journey, rough_journey

NOW_MS = 1_767_225_600_123 + 10**10
SHIPMENTS = ("S-1", "S-2")


def comparable(said: History) -> Any:
    """Return a history without the blocks themselves, its findings in no order."""
    findings = Counter(map(str, said.findings))
    return replace(said, entries=(), received={}, findings=()), findings


def check(store: Store, database: str | Path, *shipments: str) -> None:
    with Tower(database, create=True) as tower:
        Projection(store, tower).run()
        with store.read() as tables, tower.read() as connection:
            for shipment in shipments:
                told = known.load(tables, connection, shipment)
                assert comparable(told) == comparable(history.load(tables, shipment))


def gaps() -> list[bytes]:
    maker = Maker()
    blocks = [maker.block(rows(2, start=600 * n)) for n in range(6)]
    return [blocks[0], blocks[3], blocks[3], blocks[5], maker.block(k0=9), blocks[0]]


@pytest.mark.parametrize("blocks", [journey, rough_journey, clone, gaps, list])
def test_it_tells_what_the_archive_says(
    store: Store, database: str, blocks: Callable[[], Sequence[bytes]]
) -> None:
    intake.take(store, [Arrival("CT-1", block) for block in blocks()], NOW_MS)
    check(store, database, "S-1")


@pytest.mark.parametrize("seed", range(8))
def test_it_tells_of_any_trackers_what_the_archive_says(tmp_path: Path, seed: int) -> None:
    database = tmp_path / "gateway.db"
    with Store(database, create=True) as store:
        with store.write() as tables:
            for tracker in ("CT-1", "CT-2"):
                tables.registry.add_tracker(tracker, test=True)
                tables.registry.add_key(tracker, 1, KeyPair(uplink(tracker), downlink(tracker)))
            for shipment in SHIPMENTS:
                tables.registry.add_shipment(Shipment(shipment, "CT-1", None))
        for tracker, sealed, received_ms in scene(random.Random(seed)):
            intake.take(store, [Arrival(tracker, sealed)], received_ms)
        check(store, database, *SHIPMENTS)
