"""The fleet: one line for each tracker and the shipment that it is with, from the read model."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from rich.table import Table
from rich.text import Text
from sqlalchemy.engine import Connection

from coldtrail_gateway.contract import words
from coldtrail_gateway.contract.events import Channel, EventType
from coldtrail_gateway.contract.printable import printable
from coldtrail_gateway.contract.utc import iso
from coldtrail_gateway.readings import overview
from coldtrail_gateway.readings.overview import Glance, Overview
from coldtrail_gateway.store.feed import Behind
from coldtrail_gateway.store.registry import Tracker
from coldtrail_gateway.store.tables import Tables

_DEGREE: Final = 1_000_000
_HUNDREDTHS: Final = 100


@dataclass(frozen=True, slots=True)
class Line:
    """A registered tracker, what the read model has of it, and its commands by state.

    `known` is None where no block of it has been read yet.
    """

    tracker: Tracker
    known: Overview | None
    commands: Mapping[str, int]


def load(tables: Tables, tower: Connection, now_ms: int) -> list[Line]:
    """Return a line for every registered tracker, by its id; `now_ms` is for the commands.

    A fixed number of statements, whatever the number of trackers.
    """
    known = {of.tracker: of for of in overview.of_all(tower)}
    commands = tables.commands.states(now_ms)
    return [
        Line(tracker, known.get(tracker.id), commands.get(tracker.id, {}))
        for tracker in tables.registry.trackers()
    ]


def table(lines: Iterable[Line]) -> Table:
    """Return the lines as a table for people."""
    view = Table(title="Trackers", title_justify="left")
    for name, justify in (
        ("tracker", "left"),
        ("shipment", "left"),
        ("last contact (UTC)", "left"),
        ("payload", "right"),
        ("of (UTC)", "left"),
        ("samples", "right"),
        ("blocks missing", "right"),
        ("alarms", "left"),
        ("faults", "left"),
        ("position", "left"),
        ("battery", "right"),
        ("commands", "left"),
        ("findings", "left"),
    ):
        view.add_column(name, justify="right" if justify == "right" else "left")
    for line in lines:
        view.add_row(*map(_cell, _row(line)))
    return view


def fields(line: Line) -> dict[str, Any]:
    """Return a line by name, with the unit in a number's name; None where nothing is known.

    Samples, missing blocks and findings are the tracker's, alarms its present shipment's.
    """
    known, tracker = line.known, line.tracker
    payload = known.payload if known else None
    return {
        "tracker": tracker.id,
        "test": tracker.test,
        "shipment": known.shipment or None if known else None,
        "last_contact_utc": _iso(tracker.last_seen_ms),
        "payload_c": None if payload is None else payload / _HUNDREDTHS,
        "payload_utc": _moment(known.payload_time if known else None),
        "battery_mv": known.battery if known else None,
        "samples": known.samples if known else 0,
        "blocks_missing": known.missing if known else 0,
        "alarms": {
            "standing": known.standing if known else 0,
            "all": known.alarms if known else 0,
            "acknowledged": known.acknowledged if known else False,
        },
        "faults": list(_faults(known)) if known else [],
        "position": _position(known) if known else None,
        "cell": known.cell if known else None,
        "commands": dict(line.commands),
        "findings": list(known.findings) if known else [],
    }


def to_json(lines: Iterable[Line], refused: Mapping[str, int], behind: Behind) -> str:
    """Return everything as JSON: the lines, what was refused, how far behind the archive it is."""
    document = {
        "trackers": [fields(line) for line in lines],
        "quarantined": dict(refused),
        "behind": {"blocks_at_most": behind.at_most, "oldest_utc": _iso(behind.oldest_ms)},
    }
    return json.dumps(document, indent=1)


def refusals(refused: Mapping[str, int]) -> str:
    """Return one line about messages that were refused, by reason."""
    counts = ", ".join(f"{reason} {count}" for reason, count in refused.items())
    return f"Quarantined in all: {counts}"


def _row(line: Line) -> list[str | Text]:
    known, tracker = line.known, line.tracker
    begin: list[str | Text] = [
        f"{tracker.id} (test)" if tracker.test else tracker.id,
        known.shipment or "none" if known else "none",
        _second(_iso(tracker.last_seen_ms)) or "never",
    ]
    commands = ", ".join(f"{count} {state}" for state, count in line.commands.items()) or "none"
    if known is None:
        return [
            *begin,
            "unknown",
            "",
            "0",
            "0",
            "none",
            "none",
            "unknown",
            "unknown",
            commands,
            "",
        ]
    return [
        *begin,
        _shown(Channel.PAYLOAD, known.payload, "°C"),
        _second(_moment(known.payload_time)) or "unknown",
        str(known.samples),
        str(known.missing),
        _alarms(known),
        ", ".join(_faults(known)) or "none",
        _where(known),
        _shown(Channel.BATTERY, known.battery, "mV"),
        commands,
        "; ".join(known.findings) or "none",
    ]


def _cell(text: str | Text) -> Text:
    """Return a text for the table, as it is: what trackers say is no markup."""
    return text if isinstance(text, Text) else Text(printable(text))


def _iso(utc_ms: int | None) -> str | None:
    return None if utc_ms is None else iso(utc_ms)


def _moment(time: Glance | None) -> str | None:
    return iso(time.utc_ms) if time else None


def _second(utc: str | None) -> str:
    return (utc or "")[:19].replace("T", " ")


def _shown(channel: int, value: int | None, unit: str) -> str:
    return "unknown" if value is None else f"{words.scaled(channel, value)} {unit}"


def _alarms(known: Overview) -> str | Text:
    """Return how many alarms stand, how many there were, and whether somebody has seen them."""
    if not known.alarms and not known.standing:
        return "none"
    acknowledged = ", acknowledged" if known.acknowledged else ""
    if not known.standing:
        return f"{known.alarms}, all ended{acknowledged}"
    standing = f"{known.standing} standing"
    return Text.assemble((standing, "red"), f" of {known.alarms}{acknowledged}")


def _faults(known: Overview) -> Iterator[str]:
    """Yield the faults that stand."""
    for subject, code in known.faults:
        name = words.worded(EventType.FAULT, "subject", subject)
        yield f"{name} {words.fault(subject, code)}"
    if flags := words.flags(known.status):
        yield flags


def _position(known: Overview) -> dict[str, Any] | None:
    position = known.position
    if position is None:
        return None
    return {
        "latitude": position.latitude / _DEGREE,
        "longitude": position.longitude / _DEGREE,
        "radius_m": position.uncertainty_m,
        "source": words.worded(EventType.POSITION, "source", position.source),
        "time_utc": _moment(position.time),
    }


def _where(known: Overview) -> str:
    """Return where the tracker was last: its position, or the cell that served it since."""
    if known.cell is not None:
        return f"cell {known.cell}"
    position = known.position
    if position is None:
        return "unknown"
    place = f"{position.latitude / _DEGREE:.5f}, {position.longitude / _DEGREE:.5f}"
    at = f" at {_second(_moment(position.time))}" if position.time else ""
    return f"{place} \N{PLUS-MINUS SIGN} {position.uncertainty_m} m{at}"
