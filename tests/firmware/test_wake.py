"""What one wake costs, and when the tracker calls again after calls that failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from coldtrail_simulator.clock import US_PER_S
from tests.support.trackers.bench import FAULT, SAMPLE, BenchTracker, profile

LIMITS = [(1, 1, 3, 3, 100, 0, 0, 0), (2, 1, 8, 3, 3000, 0, 0, 0)]  # light and shock
HOT = (3, 1, 0, 3, 800, 0, 0, 0)
STUFFY = (4, 1, 1, 3, 3000, 0, 0, 0)
ALARM_START = 5
CLOCK = 7
CALLS_S = 5
"""A wake that takes longer has tried to call."""
SAMPLES = 300

# As the firmware's README states them; of the flash, calls of the interface that sectors.py uses.
USUAL = {"i2c": 18, "spi": 35, "program": 2, "erase": 0, "read": 14, "bytes read": 710}
LARGEST = {"i2c": 18, "spi": 90, "program": 4, "erase": 1, "read": 60, "bytes read": 5200}
"""When the log opens a sector."""


def count(costs: Counter[str], holder: Any, name: str, key: str, of: str = "") -> None:
    """Count the calls of a method, and under ``of`` its last argument."""
    method: Callable[..., Any] = getattr(holder, name)

    def counted(*arguments: Any) -> Any:
        costs[key] += 1
        if of:
            costs[of] += arguments[-1]
        return method(*arguments)

    setattr(holder, name, counted)


def awake(tracker: BenchTracker) -> list[tuple[float, float]]:
    """Return begin and end of each wake in seconds."""
    begins = [note["us"] / US_PER_S for note in tracker.notes("boot")]
    ends = [note["us"] / US_PER_S for note in tracker.notes("deep-sleep")]
    return list(zip(begins, ends, strict=False))


def test_a_wake_without_upload_is_bounded(tmp_path: Path) -> None:
    costs: Counter[str] = Counter()
    wakes = []
    with BenchTracker(tmp_path / "volume", files={"profile.cbor": profile(LIMITS)}) as tracker:
        for bus in tracker.chip.i2c.values():
            count(costs, bus, "write", "i2c")
            count(costs, bus, "read", "i2c")
        for spi in tracker.chip.spi.values():
            count(costs, spi, "transfer", "spi")
        array = tracker.parts["flash"].array
        count(costs, array, "program", "program")
        count(costs, array, "erase", "erase")
        count(costs, array, "read", "read", "bytes read")
        tracker.power_on()
        tracker.wait(90)
        for _ in range(SAMPLES):
            before = len(awake(tracker))
            costs.clear()
            tracker.wait(60)
            took = [end - begin for begin, end in awake(tracker)[before:]]
            if len(took) == 1 and took[0] < CALLS_S:
                wakes.append(dict(costs))
        samples = len(tracker.records(SAMPLE))
    assert samples == SAMPLES + 2
    assert len(wakes) > 0.9 * SAMPLES
    for what, limit in LARGEST.items():
        assert max(wake.get(what, 0) for wake in wakes) <= limit, what
    usual = [wake for wake in wakes if all(wake.get(k, 0) <= n for k, n in USUAL.items())]
    assert len(usual) >= 0.98 * len(wakes)


def test_calls_that_fail_back_off_and_a_new_alarm_does_not_wait(tmp_path: Path) -> None:
    hourly = profile([HOT, STUFFY], interval=3600, alarm_interval=3600)
    with BenchTracker(tmp_path / "volume", files={"profile.cbor": hourly}) as tracker:
        tracker.power_on()
        tracker.wait(0.9 * 3600)
        tracker.world.payload = 9.0
        tracker.wait(4 * 3600)
        tracker.world.air = 35.0
        tracker.wait(1.2 * 3600)
        calls = [wake for wake in awake(tracker) if wake[1] - wake[0] > CALLS_S]
        starts = [fields[1] for fields in tracker.records(ALARM_START)]
        faults = [fields[1:] for fields in tracker.records(FAULT)]
    assert starts == [3600, 5 * 3600]
    begins = [round(begin / 60) for begin, _ in calls]
    first, second = begins.index(60), begins.index(300)
    pauses = [(after[0] - before[1]) / 60 for before, after in pairwise(calls)]
    assert [round(pause) for pause in pauses[first : first + 5]] == [5, 10, 20, 40, 60]
    assert round(pauses[second]) == 5
    # Six hours without the time: the clock is lost, and that is said once.
    assert [fault for fault in faults if fault[1] == CLOCK] == [[6 * 3600, CLOCK, 1, 1]]
