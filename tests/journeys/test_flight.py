"""Two flights with alarms and cells in view: what the modem is told while they last.

The truth is the world's: when the aircraft takes off and touches down. What the tracker does then
is read from the journal of the modem's model.
"""

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from coldtrail_simulator.clock import US_PER_S
from coldtrail_simulator.report.report import Evidence
from coldtrail_simulator.shipment.shipment import Shipment, run
from coldtrail_simulator.world import scenario
from coldtrail_simulator.world.scenario import Flight
from tests.support.trackers.journeys import events, evidence, travel

SEEN, LANDED = 2, 3
FLIGHT_MODE = 12
LISTENING = {
    "AT", "AT+CMEE?", "ATE0", "AT+CMEE=1", "AT+QISDE=0", 'AT+QURCCFG="urcport"', "AT+CPSMS?",
    "AT+CFUN=4", "AT+COPS=2", "AT+CFUN=1", "AT+COPS=?", "AT+QPOWD",
}  # fmt: skip
"""What a module that registers nowhere is told; see drivers/bg95/listen.py for the reasons."""


@pytest.fixture(scope="module")
def flown(tmp_path_factory: pytest.TempPathFactory) -> Shipment:
    return travel("flight", 5, tmp_path_factory.mktemp("flight") / "out")


@pytest.fixture(scope="module")
def held(flown: Shipment) -> Evidence:
    return evidence(flown)


def flights(shipment: Shipment) -> list[tuple[float, float]]:
    """Return take-off and touch-down of each flight, in seconds."""
    return [
        (t, t + event.for_h * 3600)
        for t, event in shipment.world.events
        if isinstance(event, Flight)
    ]


def moments(shipment: Shipment, held: Evidence, kind: str) -> list[tuple[float, dict[str, Any]]]:
    """Return the events of a type as the gateway has them, each with its second of the run."""
    zero = shipment.scenario.scenario.start.timestamp()
    return [
        (datetime.fromisoformat(event["time_utc"]).timestamp() - zero, event)
        for event in held.events
        if event["type"] == kind
    ]


def during(shipment: Shipment, kind: str, span: tuple[float, float]) -> list[dict[str, Any]]:
    """Return the notes of a kind within a span of seconds."""
    begin, end = span
    return [note for note in shipment.of(kind) if begin <= note["us"] / US_PER_S <= end]


def test_a_planned_leg_passes_with_the_modem_unpowered(flown: Shipment) -> None:
    [[off_block, on_block]] = flown.world.planned_flights
    zero = flown.scenario.scenario.start.timestamp()
    leg = (off_block - zero, on_block - zero)
    # A call had begun, and had not yet found the network.
    assert during(flown, "at", (leg[0] - 130, leg[0] - 119))
    for kind in ("at", "registration", "modem-power", "mqtt-up"):
        assert during(flown, kind, leg) == []
    before = during(flown, "modem-power", (0, leg[0]))
    assert before[-1]["state"] == "unpowered"
    assert before[-1]["us"] / US_PER_S < leg[0] - 100


def test_after_a_take_off_that_is_seen_nothing_is_said_that_can_transmit(flown: Shipment) -> None:
    flight = flights(flown)[1]
    assert flown.world.coverage(flight[0] + 3000) == "LTE-M"
    told = [note["command"] for note in during(flown, "at", flight)]
    assert set(told) <= LISTENING
    assert set(told[: told.index("AT+CFUN=4")]) <= {"AT+CMEE?"}
    assert told.index("AT+CFUN=4") < told.index("AT+COPS=2") < told.index("AT+CFUN=1")
    assert "AT+COPS=0" not in told
    # Idle or searching: it registers in no network, and sends no packet.
    assert {note["stat"] for note in during(flown, "registration", flight)} <= {0, 2}
    assert during(flown, "mqtt-up", flight) == []
    # It listens once, where there is no cell. Those that come into view are not looked for.
    assert told.count("AT+COPS=?") == 1
    switched_on = [
        note["us"] / US_PER_S
        for note in during(flown, "modem-power", flight)
        if note["state"] == "booting"
    ]
    assert len(switched_on) == 1
    assert flown.world.coverage(switched_on[0]) == "none"


def test_every_change_is_an_event(flown: Shipment, held: Evidence) -> None:
    told = moments(flown, held, "flight-mode")
    assert [(event["on"], event["cause"]) for _, event in told] == [
        ("start", "planned leg"),
        ("end", "planned arrival or landing"),
        ("start", "take-off seen"),
        ("end", "planned arrival or landing"),
    ]
    (_, planned_down), (take_off, touch_down) = flights(flown)
    _, arrived, seen, landed = [t for t, _ in told]
    # Noticed at a sample; a landing once the floor has stood still for ten minutes.
    assert planned_down < arrived < planned_down + 340 + 600
    assert take_off < seen < take_off + 600
    assert touch_down + 600 < landed < touch_down + 340 + 600 + 600


def test_a_boot_in_the_air_calls_nobody(flown: Shipment) -> None:
    begin, end = flights(flown)[1]
    boots = [note["us"] / US_PER_S for note in flown.of("boot") if note["cause"] == "power-on"]
    boot = boots[-1]
    assert begin < boot < end
    for kind in ("at", "modem-power"):
        assert during(flown, kind, (boot, end)) == []


def test_sampling_and_alarms_go_on_and_everything_arrives(flown: Shipment, held: Evidence) -> None:
    comparison = held.comparison()
    assert comparison.complete, comparison
    assert held.chain_ok, held.verdict
    assert all(flown.confirms(int(row["block"])) for row in held.rows)
    alarms = [t for t, _ in moments(flown, held, "alarm-start")]
    for begin, end in flights(flown):
        assert any(begin < t < end for t in alarms)
        samples = during(flown, "measure", (begin, end))
        assert len({round(note["us"] / US_PER_S / 60) for note in samples}) >= 6
    # Where it ends there is a call within seconds, and not before.
    changes = [t for t, _ in moments(flown, held, "flight-mode")]
    for _, down in flights(flown):
        ended = next(t for t in changes if t > down)
        calls = [note["us"] / US_PER_S for note in flown.of("mqtt-up")
                 if note["packet"] == "CONNECT"]  # fmt: skip
        assert ended < min(call for call in calls if call > down) < ended + 60


def test_no_satellites_are_looked_for_in_the_air(flown: Shipment) -> None:
    fixes = [note["us"] / US_PER_S for note in flown.of("at") if "QGPS" in note["command"]]
    assert not [t for begin, end in flights(flown) for t in fixes if begin <= t <= end]


def test_where_there_are_cells_it_was_a_lorry(tmp_path: Path) -> None:
    story = scenario.load("flight")
    covered = [leg.model_copy(update={"coverage": "LTE-M"}) for leg in story.leg]
    [_, felt] = [event for event in story.event if isinstance(event, Flight)]
    bumpy = felt.model_copy(update={"at_h": 1.0})
    header = story.scenario.model_copy(update={"duration_h": 1.75})
    road = story.model_copy(update={"leg": covered[:2], "event": [bumpy], "scenario": header})
    shipment = run(road, 5, tmp_path / "out")
    told = [event[1:] for event in events(shipment) if event[0] == FLIGHT_MODE]
    [[begun, on, seen], [ended, off, cause]] = told
    assert (on, seen, off, cause) == (1, SEEN, 0, LANDED)
    assert 3600 < begun < 3600 + 600
    assert begun + 900 <= ended <= begun + 900 + 600 + 330
    silence = [note["command"] for note in during(shipment, "at", (begun, ended))]
    assert set(silence) <= LISTENING
    assert silence.count("AT+COPS=?") == 1
    assert during(shipment, "mqtt-up", (ended, ended + 900))
