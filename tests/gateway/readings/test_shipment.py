"""A shipment in figures: each by hand, and all against a plain computation over its samples."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import cbor2
import pytest

from coldtrail_gateway.contract.events import SAMPLED, Channel
from coldtrail_gateway.evidence.timeline import Placement
from coldtrail_gateway.readings import chart, records, shipment
from coldtrail_gateway.readings.shipment import Summary
from tests.gateway.readings.scenes import scene
from tests.support.blocks.blockmaker import BOOT_EVENT, Maker, Row, rows
from tests.support.blocks.read_model import Model, archived

START_MS = 1_767_225_600_000
HOUR_MS = 3_600_000
SYNC = (0, 0, START_MS // 1000, 0, 500, 1)
LATER = (3600, 0, START_MS // 1000 + 3600, 0, 500, 1)
# 2 to 8 degC, and freezing; humidity has no limit.
RULES = [[1, 2, 0, 3, 800, 600, 0, 0], [2, 2, 0, 1, 200, 600, 0, 0], [3, 1, 0, 2, -50, 0, 0, 0]]
CONTENT = cbor2.dumps(
    {0: 1, 1: "2-8", 2: 300, 3: 120, 4: 3600, 5: 1800, 6: 0, 7: RULES}, canonical=True
)
PROFILE = {("CT-1", "S-1"): json.dumps({"cbor": CONTENT.hex()})}


def told(
    model: Model, blocks: Sequence[bytes], profiles: dict[tuple[str, str], str] | None = None
) -> Summary:
    """Take in blocks that arrive one hour after the start; return the shipment's summary."""
    model.clear()
    model.fill([archived([("CT-1", block, START_MS + HOUR_MS) for block in blocks])], profiles)
    with model.tower.read() as connection:
        found = shipment.summary(connection, "CT-1", "S-1")
    assert found is not None
    return found


def payload(*readings: tuple[int, int | None]) -> list[Row]:
    """Return samples with a payload temperature at some times, and a battery voltage."""
    return [(t, 0, (value, None, None, None, 3900, *[None] * 3)) for t, value in readings]


def test_time_in_the_zone_and_out_of_it(model: Model) -> None:
    """Samples at 0, 300, 600 and 900 s; the last stands for nothing yet."""
    blocks = Maker().block(payload((0, 500), (300, 801), (600, -60), (900, 800)), [BOOT_EVENT])
    figures = told(model, [blocks], PROFILE).channels[Channel.PAYLOAD]
    assert (figures.stood_s, figures.within_s) == (900, 300)
    # -0.60 degC is below 2 degC and below freezing, and counts for both.
    assert figures.beyond_s == {(3, 800): 300, (1, 200): 300, (2, -50): 300}
    assert (figures.count, figures.total) == (4, 500 + 801 - 60 + 800)


def test_without_a_profile_there_is_no_zone(model: Model) -> None:
    summary = told(model, [Maker().block(rows(3), [BOOT_EVENT])])
    assert not summary.limits
    assert summary.channels[Channel.PAYLOAD].within_s is None
    assert summary.contact.next_ms is None
    assert summary.contact.reason == "its profile is not known"


def test_a_channel_without_limits_has_no_zone(model: Model) -> None:
    summary = told(model, [Maker().block(rows(3), [BOOT_EVENT])], PROFILE)
    assert summary.limits
    assert summary.channels[Channel.HUMIDITY].within_s is None


def test_a_gap_is_neither_good_nor_bad(model: Model) -> None:
    """Of 2,000 s to the next sample, the first stands for 450 s; six samples are missing.

    The interval is 300 s: 2,000 s are nearer to seven of them than to six.
    """
    blocks = Maker().block(payload((0, 500), (2000, 501), (2300, 502)), [BOOT_EVENT])
    summary = told(model, [blocks], PROFILE)
    assert (summary.gap_s, summary.missing) == (1550, 6)
    assert summary.channels[Channel.PAYLOAD].stood_s == 450 + 300


def test_a_reading_that_is_absent_stands_for_nothing(model: Model) -> None:
    blocks = Maker().block(payload((0, 500), (300, None), (600, 501), (900, 502)), [BOOT_EVENT])
    summary = told(model, [blocks], PROFILE)
    assert summary.channels[Channel.PAYLOAD].stood_s == 600
    assert summary.channels[Channel.BATTERY].stood_s == 900
    assert summary.gap_s == 0


def test_above_its_range_a_sensor_meets_every_upper_limit(model: Model) -> None:
    above: Row = (0, 14, (None, *[None] * 7))
    summary = told(model, [Maker().block([above, *payload((300, 500))], [BOOT_EVENT])], PROFILE)
    figures = summary.channels[Channel.PAYLOAD]
    assert figures.beyond_s == {(3, 800): 300}
    assert (figures.stood_s, figures.within_s, figures.count) == (300, 0, 1)


def test_a_sample_stands_until_the_next_block_begins(model: Model) -> None:
    maker = Maker()
    blocks = [
        maker.block(payload((0, 500)), [BOOT_EVENT]),
        maker.block(payload((300, 900))),
        maker.block(payload((500, 500))),
    ]
    figures = told(model, blocks, PROFILE).channels[Channel.PAYLOAD]
    assert (figures.stood_s, figures.within_s, figures.beyond_s) == (500, 300, {(3, 800): 200})


def test_the_last_sample_of_a_boot_stands_for_nothing(model: Model) -> None:
    maker = Maker()
    first = maker.block(payload((0, 500), (300, 500)), [BOOT_EVENT])
    maker.boot = 2
    second = maker.block(payload((0, 500), (300, 500)), [(3, 0, 2, 1, 0, "1.0")])
    assert told(model, [first, second]).channels[Channel.PAYLOAD].stood_s == 600


def test_extremes_say_when_they_were_first_met(model: Model) -> None:
    maker = Maker()
    blocks = [
        maker.block(payload((0, 500), (300, 700), (600, 300)), [BOOT_EVENT], SYNC),
        maker.block(payload((900, 300), (1200, 700)), [(4, *LATER)]),
    ]
    figures = told(model, blocks).channels[Channel.PAYLOAD]
    assert figures.lowest is not None
    assert figures.highest is not None
    assert figures.last is not None
    assert (figures.lowest.value, figures.lowest.moment.t, figures.lowest.block) == (300, 600, 1)
    assert (figures.highest.value, figures.highest.moment.t) == (700, 300)
    assert (figures.last.value, figures.last.moment.t) == (700, 1200)
    # 1,200 s from one sync and 2,400 s from the other: 500 ms, 240 ms of drift, 2.5 s of a record.
    assert figures.last.moment.time == Placement(START_MS + 1_200_000, 500 + 240 + 2500)


def test_the_newest_reading_of_a_channel_may_be_older_than_the_newest_sample(model: Model) -> None:
    maker = Maker()
    blocks = [
        maker.block(payload((0, 500), (300, 501)), [BOOT_EVENT]),
        maker.block(payload((600, None))),
    ]
    channels = told(model, blocks).channels
    last, battery = channels[Channel.PAYLOAD].last, channels[Channel.BATTERY].last
    assert last is not None
    assert battery is not None
    assert (last.value, last.moment.t) == (501, 300)
    assert (battery.value, battery.moment.t) == (3900, 600)


def start(t: int, rule: int, kind: int = 2, beyond: int = 650) -> tuple[int, ...]:
    return (5, t, rule, kind, 0, 3, 800, 600, 812, beyond)


def end(t: int, rule: int, cause: int) -> tuple[int, ...]:
    return (6, t, rule, cause, 801, 830, 1250)


def test_alarms_are_numbered_episodes_across_blocks(model: Model) -> None:
    maker = Maker()
    blocks = [
        maker.block([], [BOOT_EVENT, start(10, 1), start(20, 2)], SYNC),
        maker.block([], [end(30, 1, 1), start(40, 1)]),
        maker.block([], [end(50, 2, 2), end(60, 1, 5), end(61, 3, 1)]),
    ]
    found = told(model, blocks).episodes
    assert [
        (e.number, e.rule, e.start.t, e.end and e.end.t, e.cause, e.withdrawn) for e in found
    ] == [
        (1, 1, 10, 30, 1, False),
        (2, 2, 20, 50, 2, False),
        (3, 1, 40, 60, 5, True),
    ]
    assert (found[0].minimum, found[0].maximum, found[0].value) == (801, 830, 812)


def test_an_arrival_withdraws_an_alarm_that_has_ended(model: Model) -> None:
    maker = Maker()
    blocks = [
        maker.block([], [BOOT_EVENT, start(10, 1), end(20, 1, 1), start(30, 1), end(40, 1, 1)]),
        maker.block([], [end(50, 1, 5)]),
    ]
    found = told(model, blocks).episodes
    assert [(e.start.t, e.end and e.end.t, e.withdrawn) for e in found] == [
        (10, 20, False),
        (30, 40, True),
    ]


def test_the_tracker_says_when_the_cold_is_used_up(model: Model) -> None:
    blocks = [Maker().block([], [BOOT_EVENT, start(600, 1, kind=4, beyond=7200)], SYNC)]
    assert told(model, blocks).hold_ms == START_MS + 600_000 + 7_200_000
    assert told(model, [Maker().block([], [BOOT_EVENT], SYNC)]).hold_ms is None


@pytest.mark.parametrize(
    ("events", "promised_ms", "reason"),
    [
        ([], 3_600_000, ""),
        ([start(10, 1)], 1_800_000, ""),
        ([start(10, 1), end(20, 1, 1)], 3_600_000, ""),
        ([(12, 10, 1, 2)], None, "its radio is off for a flight"),
        ([(12, 10, 1, 2), (12, 20, 0, 3)], 3_600_000, ""),
        ([(7, 0, "x", bytes(8))], None, "it works by another profile than the one registered"),
    ],
)
def test_when_the_tracker_has_promised_to_call(
    model: Model, events: list[Any], promised_ms: int | None, reason: str
) -> None:
    contact = told(model, [Maker().block(rows(1), [BOOT_EVENT, *events])], PROFILE).contact
    assert contact.last_ms == START_MS + HOUR_MS
    assert contact.next_ms == (None if promised_ms is None else contact.last_ms + promised_ms)
    assert contact.reason == reason


def test_figures_name_the_blocks_they_rest_on(model: Model) -> None:
    maker = Maker()
    blocks = [
        maker.block(payload((0, 500), (300, 501)), [BOOT_EVENT], SYNC),
        maker.block(payload((600, 502), (900, 503))),
        maker.block(payload((1200, None))),
        maker.block(payload((1500, 504))),
    ]
    told(model, blocks)
    entries = archived([("CT-1", block, 0) for block in blocks])
    digests = [entry.row.digest for _, entry in entries]
    with model.tower.read() as connection:
        number = records.number_of(connection, "CT-1", "S-1") or 0
        found = shipment.sources(connection, number, 0, START_MS + 600_000, START_MS + 1_500_000)
        assert found == digests[1:2]
        found = shipment.sources(connection, number, 4, START_MS + 901_000, START_MS + 1_501_000)
        assert found == digests[2:]


def plain(samples: list[records.Sample], interval: int) -> dict[Channel, tuple[int, ...]]:
    """Return count, total, minimum, maximum and seconds of each channel, plainly."""
    figures: dict[Channel, tuple[int, ...]] = {}
    for channel in SAMPLED:
        values = [s.values[channel] for s in samples]
        readings = [value for value in values if value is not None]
        stood = 0
        for sample, after in pairwise(samples):
            value = sample.values[channel]
            status = sample.status >> (0 if channel is Channel.PAYLOAD else 4) & 0xF
            ends = {14: 2**24 - 1, 15: 1 - 2**24}.get(status) if channel < 2 else None
            held = ends if value is None else value
            same = (sample.origin.chain, sample.origin.boot) == (
                *(after.origin.chain, after.origin.boot),
            )
            if held is None or not same:
                continue
            stood += min(after.moment.t - sample.moment.t, interval * 3 // 2)
        figures[channel] = (
            *(len(readings), sum(readings)),
            *(min(readings, default=0), max(readings, default=0)),
            stood,
        )
    return figures


def test_the_sums_are_those_of_the_samples(model: Model) -> None:
    """Of shipments whose blocks have no flaw, with no other shipment in between."""
    assert sum(compared(model, random.Random(seed)) for seed in range(100)) > 15


def compared(model: Model, rng: random.Random) -> int:
    """Compare the shipments of a random tracker; return how many could be."""
    entries = archived(scene(rng))
    count = 0
    model.clear()
    model.fill([entries])
    with model.tower.read() as connection:
        for name in ("S-1", "S-2"):
            number = records.number_of(connection, "CT-1", name)
            if number is None:
                continue
            samples = list(records.samples(connection, number))
            own = [e for t, e in entries if t == "CT-1" and e.block]
            spells = [e.block.shipment == name for e in sorted(own, key=place) if e.block]
            if any(s.origin.flaw for s in samples) or spells.count(True) != longest(spells):
                continue
            found = shipment.summary(connection, "CT-1", name)
            assert found is not None
            expected = plain(samples, 300)
            for channel in (Channel.PAYLOAD, Channel.AMBIENT, Channel.HUMIDITY):
                figures = found.channels[channel]
                low, high = figures.lowest, figures.highest
                assert expected[channel] == (
                    *(figures.count, figures.total),
                    *(low.value if low else 0, high.value if high else 0),
                    figures.stood_s,
                )
            count += 1
    return count


def place(entry: Any) -> tuple[bytes, int, int]:
    return entry.block.head.chain, entry.block.head.number, entry.row.id


def longest(spells: list[bool]) -> int:
    best = run = 0
    for spell in spells:
        run = run + 1 if spell else 0
        best = max(best, run)
    return best


def test_a_chart_has_minimum_maximum_and_mean(model: Model) -> None:
    """A day of samples, one in five minutes, in 24 points of an hour each."""
    maker = Maker()
    blocks = []
    for hour in range(24):
        block_rows = rows(12, start=3600 * hour, value=100 * hour)
        told_time = (4, 3600 * hour, 0, START_MS // 1000 + 3600 * hour, 0, 500, 1)
        blocks.append(maker.block(block_rows, [told_time]))
    model.clear()
    day_ms = 24 * HOUR_MS
    model.fill([archived([("CT-1", block, START_MS + day_ms) for block in blocks])])
    with model.tower.read() as connection:
        number = records.number_of(connection, "CT-1", "S-1") or 0
        drawn = chart.thinned(connection, number, 0, START_MS, START_MS + day_ms, 24)
        some = chart.thinned(
            connection, number, 0, START_MS + HOUR_MS, START_MS + 2 * HOUR_MS, 1000
        )
    assert drawn.unplaced == 0
    assert sum(point.count for point in drawn.points) == 288
    assert len(drawn.points) == 24
    first = drawn.points[0]
    assert (first.count, first.minimum, first.maximum, first.mean) == (12, 0, 11, 5.5)
    assert [point.minimum for point in some.points] == list(range(100, 112))
    assert [point.from_ms for point in some.points][:2] == [
        START_MS + HOUR_MS,
        START_MS + HOUR_MS + 300_000,
    ]


def test_a_boot_without_a_clock_is_in_no_chart_and_is_counted(model: Model) -> None:
    told(model, [Maker().block(rows(3), [BOOT_EVENT])])
    with model.tower.read() as connection:
        number = records.number_of(connection, "CT-1", "S-1") or 0
        drawn = chart.thinned(connection, number, 0, 0, 2**42, 100)
    assert (drawn.points, drawn.unplaced) == ((), 3)
