"""The gateway's numbers against the contract's text."""

from __future__ import annotations

from coldtrail_gateway.contract.command import NAMES, Action, Outcome
from coldtrail_gateway.contract.events import SAMPLED, SENSORS, Channel, EventType, Subject
from coldtrail_gateway.contract.fields import EVENTS
from tests.support.blocks import cddl, contract

FIRST_COLUMN = 8
# The contract says what is measured, the gateway where or by what.
MEASURED = {
    "payload-temperature": Channel.PAYLOAD,
    "ambient-temperature": Channel.AMBIENT,
    "humidity": Channel.HUMIDITY,
    "illuminance": Channel.LIGHT,
    "battery": Channel.BATTERY,
    "acceleration-x": Channel.ACCELERATION_X,
    "acceleration-y": Channel.ACCELERATION_Y,
    "acceleration-z": Channel.ACCELERATION_Z,
}


def test_event_types() -> None:
    assert {kind.label: kind.value for kind in EventType} == cddl.numbers("event")
    assert EVENTS.keys() == contract.EVENTS.keys() == set(EventType)


def test_channels() -> None:
    assert {name: FIRST_COLUMN + channel for name, channel in MEASURED.items()} == cddl.columns()
    assert list(MEASURED.values()) == list(SAMPLED)
    beyond = cddl.listed("in rules, required channels and alarm-start also the events", " 1 <")
    assert {channel.value: channel.label for channel in set(Channel) - set(SAMPLED)} == {
        number: words.replace(" ", "_") for number, words in beyond.items()
    }


def test_subjects() -> None:
    sensors = cddl.remark("least significant first: ", ", from bit 20").split(", ")
    others = cddl.listed("subject 0..4: sensor as in status; ", ".")
    assert [sensor.label for sensor in SENSORS] == sensors
    assert {subject.value: subject.label for subject in set(Subject) - set(SENSORS)} == others


def test_actions_and_outcomes() -> None:
    actions = {number: name for name, number in cddl.numbers("action").items()}
    assert set(Action) == NAMES.keys() == actions.keys()
    for number, name in actions.items():
        assert f"{name}-".startswith(f"{NAMES[number]}-")
    outcomes = cddl.listed("of the command ", " for people")
    told = set(Outcome) - {Outcome.CANCELLED}  # the gateway's own
    assert {outcome.value: outcome.name.lower() for outcome in told} == {
        number: words.split()[0] for number, words in outcomes.items()
    }
