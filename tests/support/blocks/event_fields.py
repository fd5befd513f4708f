"""The fields of events with their units, as firmware/uplink.cddl states them."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from tests.support.blocks.cddl import CDDL

CHANNEL: Final = "the channel's"
"""The unit of a value that is in the unit of a channel."""

_OF_TYPE: Final = {
    "seconds": "s",
    "1577836800..4294967295": "s",
    "-16777215..16777215": CHANNEL,
    "[": CHANNEL,  # the points of a calibration, see _fields
    "axis": "mg",
}
_IN_COMMENT: Final = re.compile(r"(?:s|ms|m|dBm|seconds|1e-6 degree)(?=$|[ ,:;])")


class Field(NamedTuple):
    """One field: its name, with underscores, and its unit, "" where it has none."""

    name: str
    unit: str


class Event(NamedTuple):
    """An event's name and fields; its type's number is the key in ``events``."""

    name: str
    fields: list[Field]


def events() -> dict[int, Event]:
    """Return every event of the contract by its number."""
    text = CDDL.read_text(encoding="utf-8")
    found = {}
    for definition in re.findall(r"^[a-z-]+ = \[\d+, t: (?:.+\n)(?: .*\n)*", text, re.MULTILINE):
        name, _, rest = definition.partition(" = [")
        number, _, body = rest.partition(", ")
        found[int(number)] = Event(name, _fields(body))
    # These state their units where `sync` does.
    units = dict(_fields(text.partition("sync = [")[2].partition("\n]")[0]))
    for name in ("clock-sync", "doubted-time"):
        number, event = next((n, each) for n, each in found.items() if each.name == name)
        assert [field.name for field in event.fields] == list(units)
        found[number] = Event(name, [Field(*each) for each in units.items()])
    return found


def channels() -> list[tuple[str, int]]:
    """Return the unit and the decimal places of each channel."""
    text = CDDL.read_text(encoding="utf-8")
    sampled = re.findall(
        r"^[a-z-]+ = column +; channel \d: (?:0\.(\d+) )?([^\s,]+)", text, re.MULTILINE
    )
    events = re.search(r"8 shock \([^)]*, (\w+)\), 9 free fall \([^)]*, (\w+)\)", text)
    assert len(sampled) == 8
    assert events is not None
    return [(unit, len(step)) for step, unit in sampled] + [(unit, 0) for unit in events.groups()]


def _fields(body: str) -> list[Field]:
    fields = []
    for line in body.splitlines():
        code, _, comment = line.partition(";")
        # What is in brackets within brackets is no field: the points of a calibration.
        flat = re.sub(r"\[.*?\]\]", "[]", code)
        for part in filter(None, flat.rstrip().rstrip("]").split(",")):
            name, _, type_name = part.strip(" ?").partition(": ")
            if name:
                fields.append(Field(name.replace("-", "_"), _unit(name, type_name, comment)))
    return fields


def _unit(name: str, type_name: str, comment: str) -> str:
    if name == "t" or type_name in _OF_TYPE:
        return _OF_TYPE.get(type_name, "s")
    said = _IN_COMMENT.match(comment.strip())
    return said[0].replace("seconds", "s") if said and ".." in type_name else ""
