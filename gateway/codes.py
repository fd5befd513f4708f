"""The contract's numbers in words (`uplink.cddl`)."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

SENSORS: Final = ("probe", "ambient", "light", "accelerometer", "battery")
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
}

# Channel: name in exports, unit of one, decimals.
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

_G: Final = Decimal("9.80665")  # m/s2, standard gravity
# Channel: degC, degC, %RH, lx, V, m/s2.
_QUANTA: Final = (
    *(Decimal("0.01"), Decimal("0.01"), Decimal("0.1"), Decimal("0.01"), Decimal("0.001")),
    *[_G / 1000] * 3,
)

COMPARISON: Final = {1: "<", 2: "<=", 3: ">", 4: ">="}
SYNC_SOURCE: Final = {1: "network", 2: "gnss", 3: "gateway"}

# Event type and field: the words of its values.
WORDS: Final[Mapping[tuple[int, str], Mapping[int, str]]] = {
    (2, "source"): {1: "gnss", 2: "serving cell"},
    (3, "cause"): {1: "power-on", 2: "brown-out", 3: "watchdog", 4: "commanded", 5: "other"},
    (4, "source"): SYNC_SOURCE,
    (5, "kind"): {1: "instant", 2: "consecutive", 3: "cumulative", 4: "trend"},
    (5, "channel"): dict(enumerate(name for name, _, _ in CHANNELS)),
    (5, "comparison"): COMPARISON,
    (6, "cause"): {1: "back within", 2: "sensor lost", 3: "shipment stopped"},
    (9, "cause"): {1: "overwritten before confirmed", 2: "damaged", 3: "log full"},
    (11, "cause"): {1: "button", 2: "command", 3: "console", 4: "other shipment"},
    (12, "on"): {0: "end", 1: "start"},
    (12, "cause"): {
        1: "planned leg",
        2: "take-off seen",
        3: "planned arrival or landing",
        4: "time limit",
    },
    (13, "subject"): dict(enumerate((*SENSORS, "log", "modem", "clock", "configuration"))),
    (13, "code"): READING,
    (13, "on"): {0: "end", 1: "start"},
}


def scaled(channel: int, value: int) -> str:
    """Return a reading as a decimal number in the unit that the channel's name ends in."""
    decimals = CHANNELS[channel][2]
    if not decimals:
        return str(value)
    whole, part = divmod(abs(value), 10**decimals)
    return f"{'-' if value < 0 else ''}{whole}.{part:0{decimals}}"


def quantity(channel: int, value: int) -> Decimal:
    """Return a reading, exactly, in degC, %RH, lx, V or m/s2."""
    return value * _QUANTA[channel]


def status(bits: int) -> str:
    """Return what a sample's status says: why readings are absent; empty when all is well."""
    parts = []
    for index, sensor in enumerate(SENSORS):
        code = bits >> (STATUS_BITS * index) & 0xF
        if code:
            parts.append(f"{sensor} {READING.get(code, f'code {code}')}")
    if flags := bits >> (STATUS_BITS * len(SENSORS)):
        parts.append(f"flags {flags:#x}")
    return "; ".join(parts)


def worded(event_type: int, field: str, value: int | str | bytes) -> int | str:
    """Return a field's value in words where there are any; bytes in hexadecimal."""
    if isinstance(value, bytes):
        return value.hex()
    words = WORDS.get((event_type, field), {})
    return words.get(value, value) if isinstance(value, int) else value
