"""What the tracker answers to its button: green, red, or both by turns."""

from __future__ import annotations

from pathlib import Path

import cbor2
import pytest

from coldtrail_simulator.clock import US_PER_MS
from coldtrail_simulator.models.faults import set_fault
from coldtrail_simulator.report.timeline import timeline
from tests.support.trackers import sessions
from tests.support.trackers.bench import BenchTracker, profile

HOT = (1, 1, 0, 3, 800, 0, 0, 0)
GREEN, RED, BOTH = (
    "LED green for 2.0 s",
    "LED red for 2.0 s",
    "LED alternating green and red for 2.0 s",
)
SHIPMENT_START, SHIPMENT_STOP, BY_BUTTON = 10, 11, 1


def pressed(tracker: BenchTracker | sessions.CallingTracker, ms: int = 300) -> str:
    """Press the button and return what the LED says."""
    tracker.parts["button"].press(ms * US_PER_MS)
    tracker.wait(ms / 1000 + 10)
    return timeline(tracker.journal.notes, [])[-1][1]


@pytest.fixture
def tracker(tmp_path: Path):
    with BenchTracker(tmp_path / "volume", files={"profile.cbor": profile([HOT])}) as made:
        made.power_on()
        made.wait(130)
        yield made


def test_green_until_an_alarm_and_red_from_then_on(tracker: BenchTracker) -> None:
    assert pressed(tracker) == GREEN
    tracker.world.payload = 9.0
    tracker.wait(150)
    assert pressed(tracker) == RED
    tracker.world.payload = 5.0
    tracker.wait(150)
    assert pressed(tracker) == RED  # nobody has acknowledged it
    assert tracker.records(SHIPMENT_STOP) == []


def test_a_fault_is_no_verdict(tracker: BenchTracker) -> None:
    set_fault(tracker.parts["ambient"], "no_answer", on=True)
    tracker.wait(150)
    assert pressed(tracker) == BOTH
    set_fault(tracker.parts["ambient"], "no_answer", on=False)
    tracker.wait(150)
    assert pressed(tracker) == GREEN


def test_held_for_three_seconds_it_stops_and_then_there_is_no_verdict(
    tracker: BenchTracker,
) -> None:
    assert pressed(tracker, 2_500) == GREEN
    assert tracker.records(SHIPMENT_STOP) == []
    assert pressed(tracker, 4_000) == GREEN
    (stop,) = tracker.records(SHIPMENT_STOP)
    assert stop[3] == BY_BUTTON
    tracker.wait(300)
    assert pressed(tracker) == BOTH
    assert len(tracker.records(SHIPMENT_START)) == 1


def test_without_a_shipment_there_is_no_verdict(tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    with BenchTracker(volume, files={"profile.cbor": profile([HOT])}) as tracker:
        fields = cbor2.loads((volume / "identity.cbor").read_bytes())
        (volume / "identity.cbor").write_bytes(cbor2.dumps(fields | {8: None}, canonical=True))
        tracker.power_on()
        tracker.wait(130)
        assert pressed(tracker) == BOTH
        assert tracker.records(1) == []


@pytest.mark.parametrize(("due", "verdict"), [(1_650_000_000, BOTH), (4_000_000_000, GREEN)])
def test_a_calibration_that_is_overdue_is_no_verdict(tmp_path: Path, due: int, verdict: str):
    entry = [0, "PT1000-1", "CERT-1", 1_600_000_000, due, [[0, 0]]]
    with sessions.Site(tmp_path, tls=False) as site:
        (site.volume / "profile.cbor").write_bytes(profile([HOT]))
        (site.volume / "calibration.cbor").write_bytes(cbor2.dumps([entry], canonical=True))
        with sessions.CallingTracker(site) as tracker:
            tracker.power_on()
            assert tracker.until(lambda: tracker.asleep, 600)
            assert pressed(tracker) == verdict
