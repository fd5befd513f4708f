"""One wild conversion of the probe is repeated at once, and alarms nobody; a real one does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.trackers.bench import FAULT, SAMPLE, BenchTracker, profile

ALARM_START, REPEATED = 5, 21
TOO_COLD = (1, 1, 0, 1, 200, 0, 0, 0)
TOO_WARM = (2, 1, 0, 3, 800, 0, 0, 0)
INTERVAL_S = 60


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[BenchTracker]:
    limits = profile([TOO_COLD, TOO_WARM])
    with BenchTracker(tmp_path / "volume", files={"profile.cbor": limits}) as tracker:
        yield tracker


def payloads(tracker: BenchTracker) -> list[int]:
    return [sample[3] for sample in tracker.records(SAMPLE)]


@pytest.mark.parametrize("celsius", [-3.0, 6.5, 40.0])
def test_a_wild_conversion_is_kept_and_not_judged(tracker: BenchTracker, celsius: float) -> None:
    tracker.power_on()
    tracker.wait(1.5 * INTERVAL_S)
    tracker.parts["probe"].wild = [celsius]
    tracker.wait(2 * INTERVAL_S)
    assert payloads(tracker) == pytest.approx([500] * 4, abs=100)
    (repeated,) = tracker.records(REPEATED)
    assert repeated[1:3] == [tracker.records(SAMPLE)[2][1], 0]
    assert repeated[3] == pytest.approx(100 * celsius, abs=20)
    assert tracker.records(ALARM_START) == []


def test_nor_is_one_that_is_beyond_the_range(tracker: BenchTracker) -> None:
    tracker.power_on()
    tracker.wait(1.5 * INTERVAL_S)
    tracker.parts["probe"].wild = [300.0]
    tracker.wait(2 * INTERVAL_S)
    assert payloads(tracker) == pytest.approx([500] * 4, abs=100)
    assert tracker.records(ALARM_START, FAULT) == []


@pytest.mark.parametrize("wild", [[-3.0], [5.0, -3.0]])
def test_nor_is_the_first_one_after_a_boot(tracker: BenchTracker, wild: list[float]) -> None:
    tracker.parts["probe"].wild = wild
    tracker.power_on()
    tracker.wait(1.5 * INTERVAL_S)
    assert payloads(tracker) == pytest.approx([500] * 2, abs=100)
    assert tracker.records(ALARM_START) == []


def cold(tracker: BenchTracker) -> None:
    tracker.world.payload = -3.0


def stuck(tracker: BenchTracker) -> None:
    tracker.parts["probe"].stuck = 8000  # 13 degC


@pytest.mark.parametrize(("change", "rule"), [(cold, 1), (stuck, 2)])
def test_what_the_next_conversion_confirms_alarms_at_the_same_sample(
    tracker: BenchTracker, change: Callable[[BenchTracker], None], rule: int
) -> None:
    tracker.power_on()
    tracker.wait(1.5 * INTERVAL_S)
    change(tracker)
    tracker.wait(INTERVAL_S)
    (alarm,) = tracker.records(ALARM_START)
    (repeated,) = tracker.records(REPEATED)
    last = tracker.records(SAMPLE)[-1]
    assert alarm[1:3] == [last[1], rule]
    assert alarm[8] == last[3]
    assert repeated[3] == pytest.approx(last[3], abs=100), "both conversions are kept"


def test_slow_changes_are_not_repeated(tracker: BenchTracker) -> None:
    tracker.power_on()
    tracker.wait(0.5 * INTERVAL_S)
    for _ in range(20):
        tracker.world.payload += 0.1  # as the payload of a box without ice, a minute
        tracker.wait(INTERVAL_S)
    assert tracker.records(REPEATED) == []
