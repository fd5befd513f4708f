"""From blocks, in any order of arrival, to rows in the order of time."""

from __future__ import annotations

import csv
import io
import json
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coldtrail_gateway.evidence.findings import Name
from coldtrail_gateway.evidence.timeline import GATEWAY_MS
from coldtrail_gateway.exports import tabular
from coldtrail_gateway.ingest import intake
from coldtrail_gateway.ingest.intake import Arrival
from coldtrail_gateway.shipments import history
from coldtrail_gateway.shipments.history import History, UnknownShipmentError
from coldtrail_gateway.store.database import Store
from coldtrail_gateway.store.registry import KeyPair, Shipment
from tests.support.blocks.blockmaker import DOWNLINK, UPLINK, Maker, Row, rows
from tests.support.blocks.histories import events, samples

START = 1_767_225_600  # 2026-01-01
NOW_MS = (START + 100 * 86_400) * 1000


def told(store: Store, *blocks: bytes, shipment: str = "S-1") -> History:
    for block in blocks:
        intake.take(store, [Arrival("CT-1", block)], NOW_MS)
    with store.read() as tables:
        return history.load(tables, shipment)


def sync(t: int, unix: int, uncertainty_ms: int = 500) -> tuple[int, ...]:
    return (t, 0, unix, 0, uncertainty_ms, 1)


def table(told: History) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(tabular.to_csv(told))))


def times(told: History) -> list[str]:
    return [row["time_utc"] for row in table(told)]


def test_samples_in_the_order_of_time_whatever_arrived_first(store: Store) -> None:
    maker = Maker()
    blocks = [maker.block(rows(2, start=600 * index), sync=sync(0, START)) for index in range(4)]
    Random(3).shuffle(blocks)
    assert [row["t_s"] for row in table(told(store, *blocks))] == [
        str(300 * index) for index in range(8)
    ]


def test_a_sync_in_a_later_block_places_earlier_samples(store: Store) -> None:
    maker = Maker()
    first = told(store, maker.block(rows(2)))
    assert times(first) == ["", ""]
    second = told(store, maker.block(rows(1, start=600), sync=sync(600, START + 600)))
    assert times(second) == [
        "2026-01-01T00:00:00.000Z",
        "2026-01-01T00:05:00.000Z",
        "2026-01-01T00:10:00.000Z",
    ]
    # 100 ppm of 600 s, the sync's own 0.5 s, and 2.5 s between t and the readings.
    assert [row["uncertainty_s"] for row in table(second)] == ["3.060", "3.030", "3.000"]


def test_a_later_sync_changes_neither_the_archive_nor_an_alarms_duration(store: Store) -> None:
    maker = Maker()
    alarm = [(5, 900, 2, 2, 0, 3, 800, 600, 812, 650), (6, 1500, 2, 1, 801, 830, 1250)]
    first = told(store, maker.block(rows(3, start=900), alarm, sync(0, START)))
    with store.read() as tables:
        kept = list(tables.archive.of("CT-1"))
    second = told(store, maker.block(rows(1, start=90_000), [], sync(90_000, START + 90_009, 10)))
    with store.read() as tables:
        assert list(tables.archive.of("CT-1"))[: len(kept)] == kept
    assert times(second)[:3] != times(first)
    before, after = (json.loads(tabular.to_json(each))["events"] for each in (first, second))
    assert [event["time_utc"] for event in before] != [event["time_utc"] for event in after]
    assert [event["t_s"] for event in before] == [event["t_s"] for event in after] == [900, 1500]
    assert before[1]["beyond"] == after[1]["beyond"] == 1250


def test_between_syncs_the_clocks_error_is_shared_out(store: Store) -> None:
    maker = Maker(interval=43_200)
    block = maker.block(
        rows(3, interval=43_200),
        [(4, *sync(0, START)), (4, *sync(86_400, START + 86_404))],
    )
    assert times(told(store, block)) == [
        "2026-01-01T00:00:00.000Z",
        "2026-01-01T12:00:02.000Z",
        "2026-01-02T00:00:04.000Z",
    ]


def test_one_wrong_network_time_among_right_ones(store: Store) -> None:
    """Four syncs an hour apart, the last an hour late: no sample moves, and it is named."""
    maker = Maker()
    blocks = [
        maker.block(
            rows(12, start=3600 * hour),
            [(4, *sync(3600 * hour, START + 3600 * hour + (3600 if hour == 3 else 0), 50))],
        )
        for hour in range(4)
    ]
    whole = told(store, *blocks)
    assert len(whole.samples) == 48
    for placed, sample in whole.samples:
        assert placed.time is not None
        assert placed.time.utc_ms == (START + sample.t) * 1000
    (finding,) = [f for f in whole.findings if f.name is Name.CLOCK_SYNC_REFUSED]
    assert finding.wrong
    assert (finding.first, finding.last) == (1, 4)
    assert (
        "boot 1: the clock sync at 10800.000 s (network: 2026-01-01T04:00:00.000Z) contradicts"
    ) in finding.text


def test_a_sync_later_than_its_arrival_is_named(store: Store) -> None:
    early, late = sync(0, START), sync(600, NOW_MS // 1000 + 3600)
    whole = told(store, Maker().block(rows(3), [(4, *early), (4, *late)]))
    assert times(whole)[0] == "2026-01-01T00:00:00.000Z"
    assert [f.name for f in whole.findings] == [Name.CLOCK_SYNC_REFUSED]
    alone = told(store, Maker(chain=b"chain  2").block(rows(3), sync=late))
    (finding,) = [f for f in alone.findings if f.name is Name.TIME_IN_DOUBT]
    assert finding.wrong
    assert "every clock sync lies after the arrival of a block" in finding.text
    placed = alone.samples[-1][0].time
    assert placed is not None
    assert placed.utc_ms - placed.uncertainty_ms <= NOW_MS + GATEWAY_MS


def test_two_syncs_that_contradict_each_other_are_both_covered(store: Store) -> None:
    whole = told(
        store, Maker().block(rows(3), [(4, *sync(0, START)), (4, *sync(600, START + 87_000))])
    )
    (finding,) = whole.findings
    assert (finding.name, finding.wrong) == (Name.TIME_IN_DOUBT, True)
    for placed, sample in whole.samples:
        assert placed.time is not None
        for utc in (START + sample.t, START + 86_400 + sample.t):
            assert abs(placed.time.utc_ms - utc * 1000) <= placed.time.uncertainty_ms


def test_a_boot_without_a_sync_lies_between_its_neighbours(store: Store) -> None:
    maker = Maker()
    blocks = [maker.block(rows(2), sync=sync(0, START))]
    maker.boot = 2
    blocks.append(maker.block(rows(3)))
    maker.boot = 3
    blocks.append(maker.block(rows(1), sync=sync(0, START + 7200)))
    whole = told(store, *blocks)
    assert [bool(time) for time in times(whole)] == [True, True, False, False, False, True]
    document = json.loads(tabular.to_json(whole))
    unplaced = document["samples"][2]
    assert unplaced["time_utc"] is None
    assert unplaced["not_before"] == "2026-01-01T00:04:56.970Z"
    assert unplaced["not_after"] == "2026-01-01T02:00:03.000Z"
    assert (unplaced["boot"], unplaced["t_s"]) == (2, 0)


def test_a_clones_syncs_do_not_move_the_originals_samples(store: Store) -> None:
    maker = Maker()
    first = maker.block(rows(2), sync=sync(0, START))
    clone = maker.copy()
    second = maker.block(rows(2, start=600))
    false = clone.block(rows(1, start=600), sync=sync(600, START + 90_000))
    whole = told(store, first, second, false)
    assert [row["time_utc"] for row in table(whole) if row["verified"] == "yes"] == [
        "2026-01-01T00:00:00.000Z",
        "2026-01-01T00:05:00.000Z",
    ]
    assert [row["time_utc"] for row in table(whole) if row["verified"] == "fork"] == [
        "2026-01-01T00:10:00.000Z",
        "2026-01-02T01:00:00.000Z",
        "2026-01-01T00:15:00.000Z",
    ]


def test_the_columns_of_the_csv(store: Store) -> None:
    taken: list[Row] = [(0, 0x3, (None, -5, 1000, 12, 3600, -1, 0, 1000))]
    (row,) = table(told(store, Maker().block(taken, sync=sync(0, START))))
    assert row == {
        "time_utc": "2026-01-01T00:00:00.000Z",
        "uncertainty_s": "3.000",
        "boot": "1",
        "t_s": "0",
        "payload_c": "",
        "ambient_c": "-0.05",
        "humidity_pct": "100.0",
        "light_lux": "0.12",
        "battery_mv": "3600",
        "acc_x_mg": "-1",
        "acc_y_mg": "0",
        "acc_z_mg": "1000",
        "tilt_deg": "0",
        "status": "probe open",
        "block": "1",
        "chain": b"chain  1".hex(),
        "verified": "yes",
    }


def test_events_by_name_in_json(store: Store) -> None:
    alarm = (5, 300, 2, 2, 0, 3, 800, 600, 812, 650)
    block = Maker().block(rows(2), [alarm, (6, 600, 2, 1, 790, 830, 900)], sync(0, START))
    document = json.loads(tabular.to_json(told(store, block)))
    start, end = document["events"]
    assert start == {
        "type": "alarm-start",
        "time_utc": "2026-01-01T00:05:00.000Z",
        "uncertainty_s": 3.03,
        "boot": 1,
        "t_s": 300,
        "rule": 2,
        "kind": "consecutive",
        "channel": "payload_c",
        "comparison": ">",
        "threshold": 800,
        "duration": 600,
        "value": 812,
        "seconds_beyond": 650,
        "unit": "0.01 degC",
        "block": 1,
        "chain": b"chain  1".hex(),
        "verified": "yes",
    }
    assert (end["type"], end["cause"], end["maximum"]) == ("alarm-end", "back within", 830)
    assert (document["shipment"], document["tracker"]) == ("S-1", "CT-1")


def test_only_the_shipments_own_samples_but_every_sync(store: Store) -> None:
    maker = Maker(shipment=None)
    before = maker.block(rows(2), sync=sync(0, START))
    maker.shipment = "S-1"
    during = maker.block(rows(2, start=600))
    assert times(told(store, before, during)) == [
        "2026-01-01T00:10:00.000Z",
        "2026-01-01T00:15:00.000Z",
    ]


def test_a_gap_before_the_start_or_after_the_stop_is_not_the_shipments(store: Store) -> None:
    maker = Maker()
    blocks = [
        maker.block(rows(1, start=300 * n), events)
        for n, events in enumerate(([], [(10, 300, "S-1")], [(11, 600, "S-1", 1)], [], []))
    ]
    assert [f.name for f in told(store, blocks[1], blocks[2]).findings] == []
    # Its own gap stays one.
    other = Maker(chain=b"chain  2", boot=2)
    more = [
        other.block(rows(1, start=300 * n), [(10, 0, "S-1")] if not n else []) for n in range(3)
    ]
    names = [f.name for f in told(store, more[0], more[2]).findings]
    assert Name.GAP in names


def test_a_shipment_that_is_not_registered(store: Store) -> None:
    with pytest.raises(UnknownShipmentError, match="S-9 is not registered"):
        told(store, shipment="S-9")


@given(
    blocks=st.lists(st.tuples(samples(), st.lists(events, max_size=4)), min_size=1, max_size=4),
    order=st.randoms(use_true_random=False),
)
@settings(max_examples=40, deadline=None)
def test_any_history_comes_back_the_same(
    tmp_path_factory: pytest.TempPathFactory,
    blocks: list[tuple[list[Row], list[tuple[Any, ...]]]],
    order: Random,
) -> None:
    store = Store(f"{tmp_path_factory.mktemp('any')}/gateway.db", create=True)
    with store.write() as tables:
        tables.registry.add_tracker("CT-1", test=True)
        tables.registry.add_key("CT-1", 1, KeyPair(UPLINK, DOWNLINK))
        tables.registry.add_shipment(Shipment("S-1", "CT-1", None))
    maker = Maker()
    made = []
    for boot, (taken, recorded) in enumerate(blocks, start=1):
        maker.boot = boot
        made.append(maker.block(taken, recorded))
    order.shuffle(made)
    whole = told(store, *made)
    store.close()
    assert [(p.boot, (s.t, s.status, s.values)) for p, s in whole.samples] == [
        (boot, row) for boot, (taken, _) in enumerate(blocks, start=1) for row in taken
    ]
    # Of events only the order in time is kept, and within a second that of the log.
    assert [(p.boot, (e.type, *e.fields.values())) for p, e in whole.events] == [
        (boot, event)
        for boot, (_, recorded) in enumerate(blocks, start=1)
        for event in sorted(recorded, key=lambda event: event[1])
    ]
