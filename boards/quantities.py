"""Common to profiles and calibrations: channels, quantities with units, messages for faults.

A quantity is written with its unit ("8.00 °C", "30 min") and stored as on the wire: an integer in
the unit of the channel, or seconds.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

Channel = Literal[
    "payload", "ambient", "humidity", "light", "battery",
    "acceleration_x", "acceleration_y", "acceleration_z", "shock", "free_fall",
]  # fmt: skip
CHANNELS: tuple[Channel, ...] = get_args(Channel)

# For each channel its unit and its decimal places on the wire.
UNITS = (("°C", 2), ("°C", 2), ("%RH", 1), ("lx", 2), ("mV", 0), *[("mg", 0)] * 4, ("ms", 0))

# For each channel the part that measures it, with the smallest and largest reading in the unit of
# the channel (firmware/ranges.toml).
RANGES = (
    ("MAX31865", -20000, 11000), ("SHT45", -4000, 12500), ("SHT45", 0, 1000),
    ("OPT3001", 0, 8386560), ("battery", 2300, 4500), *[("LIS2DW12", -15991, 15989)] * 3,
    ("LIS2DW12", 1250, 15750), ("LIS2DW12", 60, 160),
)  # fmt: skip
SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400}


class Model(BaseModel):
    """Data from a file: unknown keys and other types than written are rejected."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


def _seconds(value: object) -> object:
    """Convert "30 min" to seconds; anything that is not text is left to the model."""
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"(\d{1,9}) ?(s|min|h|d)", value)
    if match is None:
        raise ValueError('must be a whole number with s, min, h or d, such as "30 min"')
    return int(match[1]) * SECONDS[match[2]]


def quantity(text: str, channel: Channel) -> int:
    """Return "8.00 °C" as an integer in the unit of the channel. Raises ValueError."""
    unit, places = UNITS[CHANNELS.index(channel)]
    number = text.removesuffix(unit).strip()
    try:
        scaled = Decimal(number).scaleb(places)
    except InvalidOperation:
        scaled = Decimal("NaN")
    if number == text or not scaled.is_finite() or scaled != int(scaled):
        example = written(8 * 10**places, channel)
        raise ValueError(f'must be in {unit} for {channel}, such as "{example}"')
    return int(scaled)


def written(value: int, channel: Channel) -> str:
    """Return an integer in the unit of the channel as text: "8.00 °C"."""
    unit, places = UNITS[CHANNELS.index(channel)]
    return f"{Decimal(value).scaleb(-places):.{places}f} {unit}"


Seconds = Annotated[int, BeforeValidator(_seconds)]


def sentence(error: ValidationError) -> str:
    """Return one sentence about the first fault, with the names used in the file."""
    faults = error.errors(include_url=False)
    # A misspelt key also causes a missing one; report the misspelt key.
    first = next((fault for fault in faults if fault["type"] == "extra_forbidden"), faults[0])
    where = "".join(
        f" {part + 1}" if isinstance(part, int) else f", {part}" for part in first["loc"]
    ).removeprefix(", ")
    match first["type"]:
        case "extra_forbidden":
            return f"{where} is not a known key; remove it or correct its spelling."
        case "missing":
            return f"{where} is missing."
        case "value_error":
            return f"{where}: {first['ctx']['error']}.".removeprefix(": ")
        case _:
            return f"{where}: {first['msg'][0].lower()}{first['msg'][1:]}."
