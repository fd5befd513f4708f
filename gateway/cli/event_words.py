"""An event as one line for people: every field with its name and unit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Final

from coldtrail_gateway.contract import fields, words
from coldtrail_gateway.contract.block import Event
from coldtrail_gateway.contract.events import EventType
from coldtrail_gateway.contract.fields import Range
from coldtrail_gateway.exports import tabular

CHANNEL: Final = "the channel's"
"""The unit of a value that is in the unit of a channel."""

_OF_RANGE: Final[Mapping[Range, str]] = {
    fields.SECONDS: "s",
    fields.UNIX: "s",
    fields.AXIS: "mg",
    fields.READING: CHANNEL,
}
_OF_FIELD: Final = {
    (EventType.POSITION, "latitude"): "deg",
    (EventType.POSITION, "longitude"): "deg",
    (EventType.POSITION, "uncertainty"): "m",
    (EventType.CLOCK_SYNC, "uncertainty"): "ms",
    (EventType.DOUBTED_TIME, "uncertainty"): "ms",
    (EventType.FREE_FALL, "duration"): "ms",
    (EventType.CALIBRATION, "points"): CHANNEL,
    (EventType.CELL, "signal"): "dBm",
}
_DECIMALS: Final = {"deg": 6}


def unit(event_type: EventType, name: str) -> str:
    """Return the unit of an event's field; "" where it has none."""
    found = _OF_FIELD.get((event_type, name))
    return found or _OF_RANGE.get(fields.EVENTS[event_type][name], "")


def in_words(event: Event) -> str:
    """Return an event's time, type and fields."""
    return f"t {event.t} s: {event.name}: {', '.join(_fields(event))}"


def _fields(event: Event) -> Iterator[str]:
    for name, value in tabular.event_fields(event).items():
        if name not in event.fields:
            continue  # the unit, which stands behind each value here
        shown, of = str(value), unit(event.type, name)
        raw = event.fields[name]
        if of == CHANNEL and isinstance(value, int | list):
            shown, of = _in_the_channels_unit(event, raw)
        elif isinstance(value, int) and of in _DECIMALS:
            shown = f"{Decimal(value).scaleb(-_DECIMALS[of]):f}"
        elif not isinstance(value, int):
            of = ""  # it is in words
        yield f"{name.replace('_', ' ')} {shown}" + (f" {of}" if of else "")


def _in_the_channels_unit(event: Event, raw: fields.Field) -> tuple[str, str]:
    if "channel" not in event.fields:
        return str(raw), "in the channel's unit"
    channel = event.number("channel")
    of = words.JUDGED[channel][1].rpartition(" ")[2]
    if isinstance(raw, list):
        points = (f"{words.scaled(channel, at)}: {words.scaled(channel, by)}" for at, by in raw)
        return "; ".join(points) or "none", of if raw else ""
    return words.scaled(channel, int(raw)), of
