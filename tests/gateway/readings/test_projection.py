"""From the archive into the tables: in order, in parts, interrupted, by two at once."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import sqlalchemy as sa

from coldtrail_gateway.ingest import intake
from coldtrail_gateway.ingest.intake import Arrival
from coldtrail_gateway.readings import overview, rebuild, tables
from coldtrail_gateway.readings.projection import Projection
from coldtrail_gateway.store.database import Store
from coldtrail_gateway.store.registry import KeyPair, Shipment
from coldtrail_gateway.store.tower.database import Tower
from tests.gateway.readings.scenes import scene
from tests.support.blocks.blockmaker import BOOT_EVENT, Maker, downlink, rows, uplink
from tests.support.blocks.read_model import Kept, Model, archived

ROOT = Path(__file__).parents[3]
NOW_MS = 1_767_225_600_000
HOUR_MS = 3_600_000
PROFILE = {0: 1, 1: "2-8", 2: 300, 3: 120, 4: 3600, 5: 1800, 6: 0}


@pytest.fixture
def tower(database: str, store: Store) -> Iterator[Tower]:
    """The tower of the store."""
    with Tower(database, create=True) as opened:
        yield opened


def register(store: Store, *trackers: str) -> None:
    with store.write() as registered:
        for tracker in trackers:
            registered.registry.add_tracker(tracker, test=True)
            registered.registry.add_key(tracker, 1, KeyPair(uplink(tracker), downlink(tracker)))


def deliver(store: Store, kept: Sequence[Kept]) -> None:
    for tracker, block, received_ms in kept:
        intake.take(store, [Arrival(tracker, block)], received_ms)


def blocks(*sealed: bytes, tracker: str = "CT-1") -> list[Kept]:
    return [(tracker, block, NOW_MS + HOUR_MS + at) for at, block in enumerate(sealed)]


def some() -> list[Kept]:
    """The blocks of two trackers with everything that happens."""
    kept = max((scene(random.Random(seed)) for seed in range(20)), key=len)
    assert {tracker for tracker, _, _ in kept} == {"CT-1", "CT-2"}
    return kept


def test_what_arrives_is_taken_in_part_by_part(store: Store, tower: Tower, model: Model) -> None:
    register(store, "CT-2")
    kept = some()
    projection = Projection(store, tower)
    middle = len(kept) // 2
    deliver(store, kept[:middle])
    assert projection.run(3) == middle
    assert projection.run() == 0
    deliver(store, kept[middle:])
    assert projection.behind().at_most == len(kept) - middle
    assert Projection(store, tower).run() == len(kept) - middle
    assert projection.behind().at_most == 0
    model.clear()
    model.fill([archived(kept)])
    assert Model(tower).shown() == model.shown()


def test_made_anew_it_is_the_same(store: Store, tower: Tower) -> None:
    register(store, "CT-2")
    deliver(store, some())
    assert list(rebuild.differences(store, tower)) == []


def test_what_does_not_follow_from_the_archive_is_named(store: Store, tower: Tower) -> None:
    deliver(store, blocks(Maker().block(rows(3), [BOOT_EVENT])))
    Projection(store, tower).run()
    with tower.write() as connection:
        connection.execute(
            sa.update(tables.samples).values(payload=1).where(tables.samples.c.t > 0)
        )
    (found,) = rebuild.differences(store, tower)
    assert (found.tracker, found.table, len(found.kept), len(found.made)) == (
        *("CT-1", "samples"),
        *(2, 2),
    )
    assert rebuild.rebuild(store, tower).blocks == 1
    assert list(rebuild.differences(store, tower)) == []


def test_two_at_once_take_in_each_block_once(store: Store, tower: Tower) -> None:
    register(store, "CT-2")
    deliver(store, some())
    both = [threading.Thread(target=Projection(store, tower).run, args=(2,)) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    Projection(store, tower).run()
    assert list(rebuild.differences(store, tower)) == []


def test_killed_at_every_statement_it_goes_on(tmp_path: Path) -> None:
    archive = f"sqlite:///{tmp_path}/gateway.db"
    assert killed(archive, some()[:14], tmp_path, "0", "1") > 50


def test_killed_on_postgresql_it_goes_on(postgresql: str, tmp_path: Path) -> None:
    assert killed(postgresql, some()[:14], tmp_path, "2", "9", postgresql) > 50


def killed(archive: str, kept: Sequence[Kept], folder: Path, *arguments: str) -> int:
    """Return how many statements a run has in which the projection was killed."""
    with Store(archive, create=True) as store:
        register(store, "CT-1", "CT-2")
        deliver(store, kept)
    done = subprocess.run(
        [sys.executable, "-m", "tests.gateway.readings.killed", archive, str(folder), *arguments],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def profile(*limits: tuple[int, int, int]) -> str:
    """Return a registered profile with these limits: channel, comparison, threshold."""
    import cbor2

    rules = [[number, 2, *limit, 600, 0, 0] for number, limit in enumerate(limits)]
    return json.dumps({"cbor": cbor2.dumps(PROFILE | {7: rules}, canonical=True).hex()})


def test_a_profile_that_is_registered_later_counts_for_what_came_before(
    store: Store, tower: Tower
) -> None:
    """The readings are 5.00, 5.01 … degC, five minutes apart."""
    maker = Maker(shipment="S-9")
    deliver(
        store, blocks(maker.block(rows(4), [BOOT_EVENT]), maker.block(rows(4, 1200, value=800)))
    )
    projection = Projection(store, tower)
    projection.run()
    assert within(tower) == [(None, 900), (None, 1200)]
    with store.write() as registered:
        registered.registry.add_shipment(Shipment("S-9", "CT-1", profile((0, 3, 801))))
    projection.run()
    # Until 802 is read at 1800 s: that stands for 300 s, and 803 for nothing yet.
    assert within(tower) == [(900, 900), (900, 1200)]
    with tower.read() as connection:
        found = sa.select(tables.beyond.c.threshold, tables.beyond.c.seconds)
        assert [tuple(row) for row in connection.execute(found)] == [(801, 300)]
    assert list(rebuild.differences(store, tower)) == []


def test_so_does_one_that_becomes_known_with_the_next_block(store: Store, tower: Tower) -> None:
    maker = Maker(shipment="S-9")
    first, second = maker.block(rows(4), [BOOT_EVENT]), maker.block(rows(4, 1200, value=800))
    deliver(store, blocks(first))
    projection = Projection(store, tower)
    projection.run()
    with store.write() as registered:
        registered.registry.add_shipment(Shipment("S-9", "CT-1", profile((0, 3, 801))))
    deliver(store, blocks(second))
    assert projection.step() == 1
    assert within(tower) == [(900, 900), (900, 1200)]
    assert list(rebuild.differences(store, tower)) == []


def within(tower: Tower) -> list[tuple[int | None, int]]:
    shown = sa.select(tables.buckets.c.payload_within_s, tables.buckets.c.payload_stood_s)
    with tower.read() as connection:
        return [(row[0], row[1]) for row in connection.execute(shown.order_by("block"))]


def test_all_trackers_at_a_glance(store: Store, tower: Tower) -> None:
    register(store, "CT-2")
    maker = Maker("CT-2", shipment=None)
    sync = (4, 600, 0, NOW_MS // 1000 + 600, 0, 500, 1)
    position = (2, 300, 52_123_456, -1, 12, 1)
    alarm = (5, 300, 2, 2, 0, 3, 800, 600, 812, 650)
    sent = blocks(Maker().block(rows(3), [BOOT_EVENT, position, alarm, sync]))
    sent += blocks(maker.block([], [BOOT_EVENT]), tracker="CT-2")
    deliver(store, sent)
    Projection(store, tower).run()
    with tower.read() as connection:
        first, second = overview.of_all(connection)
    assert (first.tracker, first.shipment, first.samples, first.standing) == ("CT-1", "S-1", 3, 1)
    assert (first.payload, first.payload_time) == (502, overview.Glance(NOW_MS + 600_000, 3000))
    # 300 s before the sync the tracker's clock is right within 30 ms more.
    there = overview.Glance(NOW_MS + 300_000, 3030)
    assert first.position == overview.Position(52_123_456, -1, 12, 1, there)
    assert first.findings == ("time unchecked",)
    assert (second.tracker, second.shipment, second.payload, second.position) == (
        *("CT-2", "", None),
        None,
    )
