"""A sensor at the end of its range has no reading, and is still beyond one side's thresholds."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import cbor2
import pytest

from coldtrail.judging import profile as device
from coldtrail.log import records as r
from coldtrail.log.state import State
from tests.support.trackers.bench import SAMPLE, BenchTracker, profile

ABOVE, BELOW = 14, 15
INSTANT, CONSECUTIVE, CUMULATIVE, TREND = 1, 2, 3, 4
OUTERMOST = 16777215
ALARM_START, ALARM_END = 5, 6
SENSORS = {0: 0, 1: 1, 2: 3, 4: 4}  # in the status: the channel that has ends to its range
OTHERS = [500, 2200, 450, 100, 4000, 0, 0, 1000]
BEYOND = {0: (-10_000, 10_000), 1: (-3000, 10_000), 3: (50, 8_000_000), 4: (2400, 4400)}
"""Thresholds that these do not meet, below and above them."""


class Fold:
    """A state that is fed samples under one rule."""

    def __init__(self, rule: list[int]) -> None:
        self.state = State(device.load(profile([rule])), bytes(8))
        self.state.shipment = "S-1"
        self.changes: list[list[Any]] = []
        self.t = 0

    def sample(self, status: int, values: list[int | None]) -> None:
        self.state.apply(self.t + 1, r.SAMPLE, cbor2.dumps([self.t, status, *values]))
        self.changes += self.state.owed
        self.state.owed = []
        self.t += 60


def at_the_end(sensor: int, code: int) -> tuple[int, list[int | None]]:
    values: list[int | None] = list(OTHERS)
    values[SENSORS[sensor]] = None
    return code << 4 * sensor, values


@pytest.mark.parametrize(
    ("kind", "comparison", "sensor", "code"),
    list(
        itertools.product(
            (INSTANT, CONSECUTIVE, CUMULATIVE), (1, 2, 3, 4), SENSORS, (ABOVE, BELOW)
        )
    ),
)
def test_every_rule_and_every_end(kind: int, comparison: int, sensor: int, code: int) -> None:
    channel = SENSORS[sensor]
    threshold = BEYOND[channel][comparison > 2]
    fold = Fold([1, kind, channel, comparison, threshold, 0 if kind == INSTANT else 120, 0, 0])
    fold.sample(0, list(OTHERS))
    for _ in range(3):
        fold.sample(*at_the_end(sensor, code))
    fold.sample(0, list(OTHERS))
    if (code == ABOVE) is not (comparison > 2):
        assert fold.changes == []
        return
    start, end = fold.changes
    outermost = OUTERMOST if code == ABOVE else -OUTERMOST
    delay = 0 if kind == INSTANT else 120
    assert start == ["start", 0, outermost, delay, 60 + delay]
    assert end == ["end", 0, 1, outermost, outermost, 180, 240], "back within, not a lost sensor"


@pytest.mark.parametrize(("code", "cause"), [(ABOVE, 1), (3, 2)])
def test_the_other_end_is_within_and_a_lost_sensor_is_lost(code: int, cause: int) -> None:
    fold = Fold([1, INSTANT, 0, 1, 200, 0, 0, 0])
    fold.sample(0, [100, *OTHERS[1:]])
    fold.sample(*at_the_end(0, code))
    start, end = fold.changes
    assert start[:3] == ["start", 0, 100]
    assert end[:4] == ["end", 0, cause, 100]


def test_a_trend_takes_no_slope_from_the_end_of_a_range() -> None:
    fold = Fold([1, TREND, 0, 3, 800, 1800, 0, 960])
    for n in range(30):
        fold.sample(0, [400 + 10 * n, *OTHERS[1:]])
    assert [change[0] for change in fold.changes] == ["start"]
    for _ in range(5):
        fold.sample(*at_the_end(0, ABOVE))
    assert [change[0] for change in fold.changes] == ["start"], "neither ended nor begun anew"
    saved = [value for value in fold.state.engine.save()[2][6:] if value is not None]
    assert max(saved) < OUTERMOST // 16


def test_full_sun_opens_the_box_and_alarms(tmp_path: Path) -> None:
    light = (1, INSTANT, 3, 3, 5000, 0, 0, 0)  # beyond 50 lx
    files = {"profile.cbor": profile([light])}
    with BenchTracker(tmp_path / "volume", files=files) as tracker:
        tracker.power_on()
        tracker.wait(90)
        tracker.world.light = 110_000.0
        tracker.parts["light"].look()
        tracker.wait(120)
        tracker.world.light = 0.0
        tracker.parts["light"].look()
        tracker.wait(120)
        (start,), (end,) = tracker.records(ALARM_START), tracker.records(ALARM_END)
        assert start[2:9] == [1, INSTANT, 3, 3, 5000, 0, OUTERMOST]
        assert end[3] == 1
        assert end[5] == OUTERMOST
        bright = [sample for sample in tracker.records(SAMPLE) if sample[2]]
        assert bright
        assert {(sample[2], sample[3 + 3]) for sample in bright} == {(ABOVE << 8, None)}


def test_a_box_colder_than_its_sensor_can_tell_is_too_cold(tmp_path: Path) -> None:
    cold = (1, INSTANT, 1, 1, -3900, 0, 0, 0)  # the SHT45 ends at -45 degC
    files = {"profile.cbor": profile([cold])}
    with BenchTracker(tmp_path / "volume", files=files) as tracker:
        tracker.power_on()
        tracker.wait(90)
        tracker.world.air = -70.0
        tracker.wait(60)
        (start,) = tracker.records(ALARM_START)
        assert start[8] == -OUTERMOST
        assert tracker.records(SAMPLE)[-1][2] == BELOW << 4
