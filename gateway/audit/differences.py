"""What changed, field by field: of one entry, or of a subject since an entry."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from coldtrail_gateway.audit.trail import Entry


@dataclass(frozen=True, slots=True)
class Change:
    """A field with its old and new value, None where there was or is none.

    `entry` is the number of the last entry that changed it.
    """

    field: str
    old: Any
    new: Any
    entry: int


def changes(entry: Entry) -> list[Change]:
    """Return the fields that an entry changed; a field within another is named with dots."""
    old, new = dict(_flat(entry.before)), dict(_flat(entry.after))
    return [
        Change(name, old.get(name), new.get(name), entry.number)
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]


def since(entries: Iterable[Entry]) -> list[Change]:
    """Return what several entries of one subject changed together, the oldest entry first.

    A field that is again what it was is left out.
    """
    found: dict[str, Change] = {}
    for entry in entries:
        for change in changes(entry):
            first = found.get(change.field)
            old = change.old if first is None else first.old
            found[change.field] = Change(change.field, old, change.new, change.entry)
    return [found[name] for name in sorted(found) if found[name].old != found[name].new]


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _flat(item, f"{name}.{key}" if name else key)
    elif value is not None:
        yield name, value
