"""The contract's numbers in words (`uplink.cddl`)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

from coldtrail_gateway.contract.block import Event
from coldtrail_gateway.contract.command import NAMES, Action, Outcome
from coldtrail_gateway.contract.events import SENSORS, Channel, EventType, Subject
from coldtrail_gateway.contract.fields import READING as _READINGS
from coldtrail_gateway.contract.fields import Field

STATUS_BITS: Final = 4

READING: Final = {
    1: "no answer",
    2: "CRC wrong",
    3: "open",
    4: "short",
    5: "out of range",
    6: "not ready in time",
    7: "bus stuck",
    8: "reference fault",
    9: "wrong part id",
    10: "value stuck",
    11: "not fitted",
    12: "interrupt storm",
    13: "energy budget spent",
    14: "above its range",
    15: "below its range",
}
_FLAGS: Final = ("calibration overdue",)  # the bits after those of the sensors
# Codes that mean something else for these subjects of a fault than for a sensor.
_FAULTS: Final[Mapping[int, Mapping[int, str]]] = {
    Subject.LOG: {9: "sectors of another version", 14: "nearly full", 15: "full"},
    Subject.MODEM: {
        2: "dates of certificates not judged",
        3: "broker's certificate out of date",
        4: "broker's certificate for another host",
        5: "broker's certificate of another authority",
        6: "tracker's certificate refused",
        7: "setting that can be done without refused",
        8: "call ended by an unforeseen error",
    },
    Subject.CLOCK: {1: "no sync for 6 h"},
    Subject.DOWNLINK: {2: "a message did not verify", 10: "replay"},
}

# For each channel: its name in exports, the unit of the integer, decimals.
CHANNELS: Final = (
    ("payload_c", "0.01 degC", 2),
    ("ambient_c", "0.01 degC", 2),
    ("humidity_pct", "0.1 %RH", 1),
    ("light_lux", "0.01 lx", 2),
    ("battery_mv", "mV", 0),
    ("acc_x_mg", "mg", 0),
    ("acc_y_mg", "mg", 0),
    ("acc_z_mg", "mg", 0),
)

# Alarm rules also judge these readings, which stand in events.
JUDGED: Final = (*CHANNELS, ("shock_mg", "mg", 0), ("free_fall_ms", "ms", 0))

_AXES: Final = slice(Channel.ACCELERATION_X, Channel.ACCELERATION_Z + 1)
_G: Final = Decimal("9.80665")  # m/s2, standard gravity
# Judged: degC, degC, %RH, lx, V, m/s2, s.
_QUANTA: Final = (
    *(Decimal("0.01"), Decimal("0.01"), Decimal("0.1"), Decimal("0.01"), Decimal("0.001")),
    *[_G / 1000] * 4,
    Decimal("0.001"),
)

_ARRIVAL: Final = 5  # cause of an alarm's end

COMPARISON: Final = {1: "<", 2: "<=", 3: ">", 4: ">="}
_ON: Final = {0: "end", 1: "start"}
# Of an alarm's readings, those that were at the end of what the part can tell.
BEYOND_RANGE: Final = {_READINGS.high: READING[14], _READINGS.low: READING[15]}
SYNC_SOURCE: Final = {1: "network", 2: "gnss", 3: "gateway", 4: "cable"}

# Event type and field: the words of its values.
WORDS: Final[Mapping[tuple[EventType, str], Mapping[int, str]]] = {
    (EventType.POSITION, "source"): {1: "gnss", 2: "serving cell"},
    (EventType.BOOT, "cause"): {
        1: "power-on",
        2: "brown-out",
        3: "watchdog",
        4: "commanded",
        5: "other",
    },
    (EventType.CLOCK_SYNC, "source"): SYNC_SOURCE,
    (EventType.DOUBTED_TIME, "source"): SYNC_SOURCE,
    (EventType.ALARM_START, "kind"): {1: "instant", 2: "consecutive", 3: "cumulative", 4: "trend"},
    (EventType.ALARM_START, "channel"): dict(enumerate(name for name, _, _ in JUDGED)),
    (EventType.ALARM_START, "comparison"): COMPARISON,
    (EventType.ALARM_START, "value"): BEYOND_RANGE,
    (EventType.ALARM_END, "minimum"): BEYOND_RANGE,
    (EventType.ALARM_END, "maximum"): BEYOND_RANGE,
    (EventType.ALARM_END, "cause"): {
        1: "back within",
        2: "sensor lost",
        3: "shipment stopped",
        4: "rules replaced",
        _ARRIVAL: "arrival",
    },
    (EventType.LOG_GAP, "cause"): {1: "overwritten before confirmed", 2: "damaged", 3: "log full"},
    (EventType.SHIPMENT_STOP, "cause"): {
        1: "button",
        2: "command",
        3: "console",
        4: "other shipment",
    },
    (EventType.FLIGHT_MODE, "on"): _ON,
    (EventType.FLIGHT_MODE, "cause"): {
        1: "planned leg",
        2: "take-off seen",
        3: "planned arrival or landing",
        4: "time limit",
        5: "no clock",
    },
    (EventType.FAULT, "subject"): {subject.value: subject.label for subject in Subject},
    (EventType.FAULT, "on"): _ON,
    (EventType.CALIBRATION, "channel"): {
        channel: CHANNELS[channel][0] for channel in range(Channel.ACCELERATION_X)
    },
    (EventType.COMMAND_OUTCOME, "action"): NAMES,
    (EventType.COMMAND_OUTCOME, "outcome"): {
        outcome.value: outcome.name.lower()
        for outcome in Outcome
        if outcome is not Outcome.CANCELLED  # that is the gateway's own
    },
    (EventType.CELL, "technology"): {1: "LTE-M", 2: "NB-IoT", 3: "GSM"},
    (EventType.SERVICE, "on"): _ON,
    (EventType.REPEATED, "channel"): dict(enumerate(name for name, _, _ in CHANNELS)),
}


def scaled(channel: int, value: int) -> str:
    """Return a reading as a decimal number in the unit that the channel's name ends in."""
    decimals = JUDGED[channel][2]
    if not decimals:
        return str(value)
    whole, part = divmod(abs(value), 10**decimals)
    return f"{'-' if value < 0 else ''}{whole}.{part:0{decimals}}"


def quantity(channel: int, value: int) -> Decimal:
    """Return a reading, exactly, in degC, %RH, lx, V, m/s2 or s."""
    return value * _QUANTA[channel]


def tilt(values: Sequence[int | None]) -> float | None:
    """Return the angle between the tracker's z axis and the vertical, 0 to pi, of a sample.

    None where an axis has no reading, or in free fall, where nothing is vertical.
    """
    x, y, z = values[_AXES]
    if x is None or y is None or z is None or not (x or y or z):
        return None
    return math.atan2(math.hypot(x, y), z)


def status(bits: int) -> str:
    """Return a sample's status in words: why readings are absent; empty when none is."""
    parts = []
    for sensor in SENSORS:
        code = bits >> (STATUS_BITS * sensor) & 0xF
        if code:
            parts.append(f"{sensor.label} {READING.get(code, f'code {code}')}")
    return "; ".join(filter(None, [*parts, flags(bits)]))


def flags(bits: int) -> str:
    """Return the flags of a sample's status in words; empty without a flag."""
    bits >>= STATUS_BITS * len(SENSORS)
    parts = [name for index, name in enumerate(_FLAGS) if bits >> index & 1]
    if unknown := bits >> len(_FLAGS) << len(_FLAGS):
        parts.append(f"flags {unknown:#x}")
    return "; ".join(parts)


def is_withdrawal(event: Event) -> bool:
    """Return whether an event withdraws its rule's latest alarm, because of the arrival."""
    return event.type is EventType.ALARM_END and event.number("cause") == _ARRIVAL


def is_acknowledgement(event: Event) -> bool:
    """Return whether an event acknowledges the alarms that were raised before it."""
    if event.type is not EventType.COMMAND_OUTCOME:
        return False
    outcome = (event.number("action"), event.number("outcome"))
    return outcome == (Action.ACKNOWLEDGE, Outcome.DONE)


def cell(event: Event) -> str:
    """Return the cell of an event as its numbers: country, network, area, cell."""
    return "-".join(str(event.number(name)) for name in ("mcc", "mnc", "area", "id"))


def fault(subject: int, code: int) -> str:
    """Return what a fault of a subject is, in words."""
    words = {**READING, **_FAULTS.get(subject, {})}
    return words.get(code, f"code {code}")


def worded(event_type: EventType, field: str, value: Field) -> int | str | list[list[int]]:
    """Return a field's value in words where there are any; bytes in hexadecimal."""
    if isinstance(value, bytes):
        return value.hex()
    words = WORDS.get((event_type, field), {})
    return words.get(value, value) if isinstance(value, int) else value
