"""An event for people: every field has the contract's unit."""

from __future__ import annotations

import pytest

from coldtrail_gateway.cli.event_words import CHANNEL, in_words, unit
from coldtrail_gateway.contract import fields
from coldtrail_gateway.contract.block import Event
from coldtrail_gateway.contract.events import EventType
from tests.support.blocks import event_fields

CONTRACT = event_fields.events()
UNITS = {event_fields.CHANNEL: CHANNEL, "1e-6 degree": "deg"}


@pytest.mark.parametrize("kind", EventType)
def test_a_field_has_the_unit_of_the_contract(kind: EventType) -> None:
    ours = [(name, unit(kind, name)) for name in fields.EVENTS[kind] if name != "t"]
    contract = [UNITS.get(of, of) for name, of in CONTRACT[kind].fields if name != "t"]
    assert [of for _, of in ours] == contract, ours


@pytest.mark.parametrize("channel", range(10))
def test_an_alarm_is_in_the_unit_of_its_channel(channel: int) -> None:
    of, places = event_fields.channels()[channel]
    values = (0, 1, 1, channel, 3, 100, 0, 200, 0)
    kind = EventType.ALARM_START
    event = Event(kind, 0, dict(zip(fields.EVENTS[kind], values, strict=True)))
    assert f"threshold {100 / 10**places:.{places}f} {of}, " in in_words(event)
    assert f"value {200 / 10**places:.{places}f} {of}, " in in_words(event)


@pytest.mark.parametrize(
    ("kind", "values", "text"),
    [
        (
            EventType.POSITION, (55, 53550000, -9990000, 6, 1),
            (
                "t 55 s: position: latitude 53.550000 deg, longitude -9.990000 deg, "
                "uncertainty 6 m, source gnss"
            ),
        ),
        (
            EventType.ALARM_END, (3700, 1, 1, -16777215, 812, 60),
            (
                "t 3700 s: alarm-end: rule 1, cause back within, minimum below its range, "
                "maximum 812 in the channel's unit, beyond 60 s"
            ),
        ),
        (
            EventType.CALIBRATION, (0, 0, "PT-1", "C-9", 1767225600, 1798761600,
                                    [[0, -12], [10000, 5]]),
            (
                "t 0 s: calibration: channel payload_c, instrument PT-1, certificate C-9, "
                "date 2026-01-01T00:00:00.000Z, due 2027-01-01T00:00:00.000Z, "
                "points 0.00: -0.12; 100.00: 0.05 degC"
            ),
        ),
        (
            EventType.SHOCK, (9, -4000, 0, 1000),
            "t 9 s: shock: x -4000 mg, y 0 mg, z 1000 mg",
        ),
        (EventType.SHIPMENT_START, (9, "S-1"), "t 9 s: shipment-start: shipment S-1"),
    ],
    ids=lambda value: value.label if isinstance(value, EventType) else "",
)  # fmt: skip
def test_an_event_in_words(kind: EventType, values: tuple[fields.Field, ...], text: str) -> None:
    event = Event(kind, int(str(values[0])), dict(zip(fields.EVENTS[kind], values, strict=True)))
    assert in_words(event) == text
