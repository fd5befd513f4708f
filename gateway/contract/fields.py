"""What `uplink.cddl` allows a block's fields to hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple


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

EVENTS: Final[Mapping[int, tuple[str, Mapping[str, Range]]]] = {
    2: (
        "position",
        {
            "t": SECONDS,
            "latitude": Int(-90_000_000, 90_000_000),
            "longitude": Int(-180_000_000, 180_000_000),
            "uncertainty": U32,
            "source": Int(1, 2),
        },
    ),
    3: (
        "boot",
        {
            "t": Int(0, 0),
            "boot": COUNTER,
            "cause": Int(1, 5),
            "rtc": SECONDS,
            "firmware": Text(16),
        },
    ),
    4: ("clock-sync", SYNC),
    5: (
        "alarm-start",
        {
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
    ),
    6: (
        "alarm-end",
        {
            "t": SECONDS,
            "rule": Int(0, 255),
            "cause": Int(1, 4),
            "minimum": READING,
            "maximum": READING,
            "beyond": SECONDS,
        },
    ),
    7: ("configuration", {"t": SECONDS, "profile": Text(32), "digest": Bytes(8)}),
    8: ("key-change", {"t": SECONDS, "old": KEY_VERSION, "new": KEY_VERSION}),
    9: ("log-gap", {"t": SECONDS, "cause": Int(1, 3), "records": U32}),
    10: ("shipment-start", {"t": SECONDS, "shipment": SHIPMENT}),
    11: ("shipment-stop", {"t": SECONDS, "shipment": SHIPMENT, "cause": Int(1, 4)}),
    12: ("flight-mode", {"t": SECONDS, "on": Int(0, 1), "cause": Int(1, 4)}),
    13: (
        "fault",
        {"t": SECONDS, "subject": Int(0, 31), "code": Int(0, 15), "on": Int(0, 1)},
    ),
    14: ("shock", {"t": SECONDS, "x": AXIS, "y": AXIS, "z": AXIS}),
    15: ("free-fall", {"t": SECONDS, "duration": U16}),
    16: (
        "calibration",
        {
            "t": SECONDS,
            "channel": Int(0, 4),
            "instrument": Text(32),
            "certificate": Text(32),
            "date": UNIX,
            "due": UNIX,
            "points": Rows(8, (READING, AXIS)),
        },
    ),
    17: (
        "command-outcome",
        {
            "t": SECONDS,
            "counter": Int(1, 2**53 - 1),
            "action": Int(1, 7),
            "outcome": Int(0, 4),
            "reason": Optional(Text(64)),
        },
    ),
    18: (
        "radio",
        {
            "t": SECONDS,
            "repeats": U16,
            "re_attachments": U16,
            "resets_by_command": U16,
            "resets_by_pin": U16,
            "supply_cycles": U16,
            "refused": U16,
        },
    ),
    19: (
        "cell",
        {
            "t": SECONDS,
            "mcc": Int(0, 999),
            "mnc": Int(0, 999),
            "area": U16,
            "id": U32,
            "technology": Int(1, 3),
            "signal": Int(-200, 0),
        },
    ),
    20: ("service", {"t": SECONDS, "on": Int(0, 1)}),
    21: ("repeated", {"t": SECONDS, "channel": Int(0, 7), "value": READING}),
}
