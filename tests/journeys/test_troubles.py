"""What goes wrong with a box: each story ends with exactly the alarms that it calls for."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from coldtrail_simulator.clock import US_PER_S
from coldtrail_simulator.report.report import Evidence
from coldtrail_simulator.report.timeline import timeline
from coldtrail_simulator.shipment.shipment import Shipment
from tests.support.references import totals
from tests.support.trackers.journeys import evidence, sealed_blocks, travel

CALL_WITHIN_S = 10
ARRIVAL_WINDOW_S = 600
"""Of these profiles: so long what is done to the box may still be its arrival."""
HANDLED = ("light_lux", "acc_z_mg", "shock_mg", "free_fall_ms")
STOPPED = "shipment stopped"
BACK = "back within"


@dataclass
class Told:
    """A story that has been run, and what the gateway holds of it."""

    shipment: Shipment
    held: Evidence

    def of(self, *kinds: str) -> list[dict[str, Any]]:
        """Return the events of these types."""
        return [event for event in self.held.events if event["type"] in kinds]

    def alarms(self) -> list[tuple[str, str, str]]:
        """Return kind and channel of each alarm, and why it ended, in the order of their begin."""
        ends = self.of("alarm-end")
        said = []
        for start in self.of("alarm-start"):
            end = next(end for end in ends if end["rule"] == start["rule"])
            ends.remove(end)
            said.append((start["kind"], start["channel"], end["cause"]))
        assert not ends
        return said

    def faults(self) -> list[tuple[str, str, str]]:
        """Return subject, code and "start" or "end" of each fault."""
        return [(event["subject"], event["code"], event["on"]) for event in self.of("fault")]

    def seconds(self, event: dict[str, Any]) -> float:
        """Return the seconds from the scenario's start to an event."""
        return self.held.hours(event["time_utc"]) * 3600


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Told]:
    """Return a function that runs a story once and holds what every story must keep."""
    stories: dict[str, Told] = {}

    def tell(name: str) -> Told:
        if name not in stories:
            shipment = travel(name, 1, tmp_path_factory.mktemp(name) / "out")
            story = stories[name] = Told(shipment, evidence(shipment))
            assert story.held.chain_ok, story.held.verdict
            assert story.held.comparison().complete
            causes = [note["cause"] for note in shipment.of("boot")]
            assert set(causes[1:]) == {"deep sleep"}  # the watchdog is content
        return stories[name]

    return tell


TREND = ("trend", "payload_c", STOPPED)
WARM = ("instant", "payload_c", STOPPED)
FELL = ("instant", "free_fall_ms", BACK)
HIT = ("instant", "shock_mg", BACK)
TILTED = ("consecutive", "acc_z_mg", BACK)
LIT = ("instant", "light_lux", BACK)
EXPECTED = {
    "dropped_box": [HIT],
    "on_its_side": [TILTED],
    "door_at_night": [LIT],
    "cryogenic_fall": [FELL, HIT, TREND, WARM],
    "probe_pulled": [],
    "frozen_bus": [],
    "warm_at_packing": [],
}
PULLED = [("probe", "open", "start"), ("probe", "open", "end")]
FROZEN = [
    (subject, "bus stuck", on)
    for on in ("start", "end")
    for subject in ("ambient", "light", "accelerometer")
]
FAULTS = {"probe_pulled": PULLED, "frozen_bus": FROZEN}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_story_ends_with_exactly_its_alarms_and_faults(
    told: Callable[[str], Told], name: str
) -> None:
    story = told(name)
    assert story.alarms() == EXPECTED[name]
    assert story.faults() == FAULTS.get(name, [])
    # Each is long enough for the log to open a sector after the first judged sample.
    assert totals.check(story.shipment, sealed_blocks(story.shipment)) > 0


@pytest.mark.parametrize("name", [name for name, alarms in EXPECTED.items() if alarms])
def test_an_alarm_calls_within_ten_seconds(told: Callable[[str], Told], name: str) -> None:
    """Within ten seconds from when it cannot be of the arrival any more."""
    story = told(name)
    for start in story.of("alarm-start"):
        held = ARRIVAL_WINDOW_S + 1 if start["channel"] in HANDLED else 0
        called(story, story.seconds(start) + held)


def test_a_fault_that_the_profile_names_calls_within_ten_seconds(
    told: Callable[[str], Told],
) -> None:
    story = told("probe_pulled")
    called(story, story.seconds(story.of("fault")[0]))


def called(story: Told, at_s: float) -> None:
    """Check that the modem was on at a time, or turned on within 10 s, and then told of it."""
    power = story.shipment.of("modem-power")
    before = [note["state"] for note in power if note["us"] / US_PER_S <= at_s]
    if before[-1] != "on":
        turned = next(
            note["us"] / US_PER_S
            for note in power
            if note["us"] / US_PER_S > at_s - 1 and note["state"] == "booting"
        )
        assert -1 <= turned - at_s <= CALL_WITHIN_S
    published = [
        note["us"] / US_PER_S - at_s
        for note in story.shipment.of("mqtt-up")
        if note["packet"] == "PUBLISH" and note["us"] / US_PER_S > at_s
    ]
    assert published[0] < 60


def test_a_drop_leaves_fall_and_landing(told: Callable[[str], Told]) -> None:
    story = told("dropped_box")
    (fall,), (shock,) = story.of("free-fall"), story.of("shock")
    for event in (fall, shock):
        assert abs(story.seconds(event) - 5.17 * 3600) <= 2
    assert fall["duration"] >= 100
    assert max(abs(shock[axis]) for axis in "xyz") > 8000


def test_the_timeline_shows_each_press_and_what_the_led_said(told: Callable[[str], Told]) -> None:
    story = told("dropped_box")
    shown = [(round(hour, 1), words) for hour, words in timeline(story.shipment.notes, [])]
    assert shown == [
        (4.4, "button held for 0.3 s"), (4.4, "LED green for 2.0 s"),
        (6.4, "button held for 0.3 s"), (6.4, "LED red for 2.0 s"),
        (6.8, "button held for 4 s"), (6.8, "LED red for 2.0 s"),
    ]  # fmt: skip
    (stop,) = story.of("shipment-stop")
    assert stop["cause"] == "button"
    shown = timeline(told("probe_pulled").shipment.notes, [])
    assert (5.0, "LED alternating green and red for 2.0 s") in [
        (round(hour, 1), words) for hour, words in shown
    ]


def test_lying_counts_from_the_first_sample_to_the_last(told: Callable[[str], Told]) -> None:
    story = told("on_its_side")
    (start,), (end,) = story.of("alarm-start"), story.of("alarm-end")
    # Three hours from hour 6, seen by samples 10 and then, in alarm, 2 minutes apart.
    assert 6 * 3600 + 600 <= story.seconds(start) <= 6 * 3600 + 1200
    assert 3 * 3600 - 600 <= end["beyond"] <= 3 * 3600 + 120


def test_two_lux_for_ten_minutes_are_seen_to_the_second(told: Callable[[str], Told]) -> None:
    story = told("door_at_night")
    (start,), (end,) = story.of("alarm-start"), story.of("alarm-end")
    opened = 7.42 * 3600
    assert abs(story.seconds(start) - opened) <= 2
    assert abs(story.seconds(end) - opened - 600) <= 2
    assert 150 <= end["minimum"] <= end["maximum"] <= 250
    assert abs(end["beyond"] - 600) <= 2


def test_a_cryogenic_shipper_warms_hours_after_its_fall(told: Callable[[str], Told]) -> None:
    story = told("cryogenic_fall")
    fall, hit, trend, warm = [event["time_utc"] for event in story.of("alarm-start")]
    hours = [story.held.hours(time) for time in (fall, hit, trend, warm)]
    assert hours[0] == pytest.approx(4.3, abs=0.001)
    assert hours[1] == hours[0]
    assert hours[0] + 1 < hours[2] < hours[3]
    assert story.held.curve("payload_c")[0][1] == pytest.approx(-190, abs=1)


def test_without_its_probe_a_sample_has_no_payload_and_all_the_rest(
    told: Callable[[str], Told],
) -> None:
    story = told("probe_pulled")
    without = [row for row in story.held.rows if not row["payload_c"]]
    hours = [story.held.hours(row["time_utc"]) for row in without]
    assert 4.1 <= hours[0] <= 4.1 + 300 / 3600
    assert 6.1 - 300 / 3600 <= hours[-1] <= 6.1
    assert all(row["ambient_c"] and row["light_lux"] and row["acc_z_mg"] for row in without)


def test_while_the_bus_is_frozen_the_payload_is_measured(told: Callable[[str], Told]) -> None:
    story = told("frozen_bus")
    frozen = [row for row in story.held.rows if not row["ambient_c"]]
    assert len(frozen) in (12, 13)
    assert all(row["payload_c"] and row["battery_mv"] for row in frozen)
    assert not any(row["light_lux"] or row["acc_z_mg"] for row in frozen)


def test_what_is_warm_at_packing_is_recorded_and_not_judged(told: Callable[[str], Told]) -> None:
    story = told("warm_at_packing")
    warm = [hour for hour, celsius in story.held.curve("payload_c") if celsius > 8]
    # Rule 2 allows half an hour above 8 °C.
    assert warm[0] == pytest.approx(0, abs=0.01)
    assert warm[-1] > 0.5
