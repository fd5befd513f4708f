"""Names and units of the fields in a log's records, as firmware/uplink.cddl states them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple

from coldtrail_boards.quantities import CHANNELS, UNITS

SAMPLE: Final = 1

# Each field is NAME, NAME:UNIT or NAME:UNIT:DECIMAL PLACES. The unit @ is that of the channel that
# the record names.
_FIELDS: Final = {
    1: "t:s status",  # then every channel of a sample
    2: "t:s latitude:°:6 longitude:°:6 uncertainty:m source",
    3: "t:s boot_number cause rtc:s firmware",
    4: "t:s ms unix:s unix_ms uncertainty:ms source",
    5: "t:s rule_id kind channel comparison threshold:@ duration:s value:@ seconds_beyond:s",
    6: "t:s rule_id cause minimum:@ maximum:@ beyond:s",
    7: "t:s profile_name digest",
    8: "t:s old new",
    9: "t:s cause records",
    10: "t:s shipment",
    11: "t:s shipment cause",
    12: "t:s on cause",
    13: "t:s subject code on",
    14: "t:s x:mg y:mg z:mg",
    15: "t:s duration:ms",
    16: "t:s of_channel instrument certificate date:s due:s points:@",
    17: "t:s counter of_action outcome reason",
    18: "t:s repeats re_attachments by_command by_pin supply_cycles refused",
    19: "t:s mcc mnc area id technology signal:dBm",
    20: "t:s on",
    21: "t:s of_channel value:@",
    22: "t:s ms unix:s unix_ms uncertainty:ms source",
    29: "watermark ranges release pending",
}
_SAMPLED: Final = 8
_BEYOND: Final = {16777215: "above its range", -16777215: "below its range"}


class Field(NamedTuple):
    """One field of a record; the unit @ stands for that of a channel."""

    name: str
    unit: str
    places: int


def fields(kind: int) -> list[Field]:
    """Return the fields of a type of record; none where the type has no array of fields."""
    found = []
    for spec in _FIELDS.get(kind, "").split():
        name, unit, places = f"{spec}::".split(":")[:3]
        found.append(Field(name, unit, int(places or 0)))
    if kind == SAMPLE:
        channels = zip(CHANNELS[:_SAMPLED], UNITS[:_SAMPLED], strict=True)
        found += [Field(name, unit, places) for name, (unit, places) in channels]
    return found


def describe(kind: int, values: Sequence[Any]) -> str | None:
    """Return a record's fields in words; None where they are not those of its type.

    ``values`` come from a flash that may be damaged or of a newer version: they can be anything.
    """
    known = fields(kind)
    optional = [each.name for each in known[len(values) :]]
    if len(values) > len(known) or optional not in ([], ["reason"]):
        return None
    return ", ".join(_words(known, values))


def _words(known: Sequence[Field], values: Sequence[Any]) -> Iterator[str]:
    channel: tuple[str, int] | None = None
    for each, value in zip(known, values, strict=False):
        label = each.name.replace("_", " ")
        unit, places = each.unit, each.places
        if each.name in ("channel", "of_channel") and value in range(len(CHANNELS)):
            channel = UNITS[value]
            yield f"{label} {CHANNELS[value]}"
            continue
        if unit == "@":
            unit, places = channel or ("in the channel's unit", 0)
        if value is None:
            yield f"{label} -"
        elif each.unit == "@" and isinstance(value, int) and value in _BEYOND:
            yield f"{label} {_BEYOND[value]}"
        else:
            yield f"{label} {_number(value, places)}" + (f" {unit}" if unit else "")


def _number(value: Any, places: int) -> str:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list):
        return f"[{', '.join(_number(item, places) for item in value)}]"
    if isinstance(value, int):
        return f"{Decimal(value).scaleb(-places):.{places}f}"
    return str(value)
