"""What `uplink.cddl` allows a block's fields to hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from coldtrail_gateway.contract.events import EventType


class Int(NamedTuple):
    """An integer within bounds, both included."""

    low: int
    high: int


class Text(NamedTuple):
    """A text of 1 to `size` bytes."""

    size: int


class Bytes(NamedTuple):
    """A byte string of exactly `size` bytes."""

    size: int


class Rows(NamedTuple):
    """An array of 0 to `longest` arrays of integers, one for each of `columns`."""

    longest: int
    columns: tuple[Int, ...]


class Optional(NamedTuple):
    """A text at the end of an array, which may be left out."""

    limits: Text


Range = Int | Text | Bytes | Rows | Optional
Field = int | str | bytes | list[list[int]]

U32: Final = Int(0, 2**32 - 1)
COUNTER: Final = Int(1, 2**32 - 1)
SECONDS: Final = Int(0, 2**30 - 1)
READING: Final = Int(-(2**24) + 1, 2**24 - 1)
UNIX: Final = Int(1_577_836_800, 2**32 - 1)
MILLISECONDS: Final = Int(0, 999)
SOURCE: Final = Int(1, 3)
SHIPMENT: Final = Text(32)
KEY_VERSION: Final = Int(1, 255)
INTERVAL: Final = Int(1, 86_400)
AXIS: Final = Int(-32_767, 32_767)
U16: Final = Int(0, 2**16 - 1)
GAP_DIFFERENCE: Final = Int(-(2**30) + 1, 2**30 - 1)

SYNC: Final[dict[str, Range]] = {
    "t": SECONDS,
    "ms": MILLISECONDS,
    "unix": UNIX,
    "unix_ms": MILLISECONDS,
    "uncertainty": U32,
    "source": SOURCE,
}

EVENTS: Final[Mapping[EventType, Mapping[str, Range]]] = {
    EventType.POSITION: {
        "t": SECONDS,
        "latitude": Int(-90_000_000, 90_000_000),
        "longitude": Int(-180_000_000, 180_000_000),
        "uncertainty": U32,
        "source": Int(1, 2),
    },
    EventType.BOOT: {
        "t": Int(0, 0),
        "boot": COUNTER,
        "cause": Int(1, 5),
        "rtc": SECONDS,
        "firmware": Text(16),
    },
    EventType.CLOCK_SYNC: SYNC,
    EventType.ALARM_START: {
        "t": SECONDS,
        "rule": Int(0, 255),
        "kind": Int(1, 4),
        "channel": Int(0, 9),
        "comparison": Int(1, 4),
        "threshold": READING,
        "duration": SECONDS,
        "value": READING,
        "seconds_beyond": SECONDS,
    },
    EventType.ALARM_END: {
        "t": SECONDS,
        "rule": Int(0, 255),
        "cause": Int(1, 4),
        "minimum": READING,
        "maximum": READING,
        "beyond": SECONDS,
    },
    EventType.CONFIGURATION: {"t": SECONDS, "profile": Text(32), "digest": Bytes(8)},
    EventType.KEY_CHANGE: {"t": SECONDS, "old": KEY_VERSION, "new": KEY_VERSION},
    EventType.LOG_GAP: {"t": SECONDS, "cause": Int(1, 3), "records": U32},
    EventType.SHIPMENT_START: {"t": SECONDS, "shipment": SHIPMENT},
    EventType.SHIPMENT_STOP: {"t": SECONDS, "shipment": SHIPMENT, "cause": Int(1, 4)},
    EventType.FLIGHT_MODE: {"t": SECONDS, "on": Int(0, 1), "cause": Int(1, 4)},
    EventType.FAULT: {"t": SECONDS, "subject": Int(0, 31), "code": Int(0, 15), "on": Int(0, 1)},
    EventType.SHOCK: {"t": SECONDS, "x": AXIS, "y": AXIS, "z": AXIS},
    EventType.FREE_FALL: {"t": SECONDS, "duration": U16},
    EventType.CALIBRATION: {
        "t": SECONDS,
        "channel": Int(0, 4),
        "instrument": Text(32),
        "certificate": Text(32),
        "date": UNIX,
        "due": UNIX,
        "points": Rows(8, (READING, AXIS)),
    },
    EventType.COMMAND_OUTCOME: {
        "t": SECONDS,
        "counter": Int(1, 2**53 - 1),
        "action": Int(1, 7),
        "outcome": Int(0, 4),
        "reason": Optional(Text(64)),
    },
    EventType.RADIO: {
        "t": SECONDS,
        "repeats": U16,
        "re_attachments": U16,
        "resets_by_command": U16,
        "resets_by_pin": U16,
        "supply_cycles": U16,
        "refused": U16,
    },
    EventType.CELL: {
        "t": SECONDS,
        "mcc": Int(0, 999),
        "mnc": Int(0, 999),
        "area": U16,
        "id": U32,
        "technology": Int(1, 3),
        "signal": Int(-200, 0),
    },
    EventType.SERVICE: {"t": SECONDS, "on": Int(0, 1)},
    EventType.REPEATED: {"t": SECONDS, "channel": Int(0, 7), "value": READING},
}
