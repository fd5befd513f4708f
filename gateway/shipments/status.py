"""The fleet: one line for each tracker and the shipment that it is with, from the read model."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from rich.table import Table
from rich.text import Text
from sqlalchemy.engine import Connection

from coldtrail_gateway.contract import words
from coldtrail_gateway.contract.events import Channel, EventType
from coldtrail_gateway.contract.printable import printable
from coldtrail_gateway.contract.utc import iso
from coldtrail_gateway.readings.tables import CHANNELS, boots, chains, shipments, trackers
from coldtrail_gateway.store.feed import Behind
from coldtrail_gateway.store.registry import Tracker
from coldtrail_gateway.store.tables import Tables

_DEGREE: Final = 1_000_000
_NOTHING: Final = "[]"

# A shipment's own row, or where a tracker never named one that of its time without.
_own = shipments.alias("own")
_PRESENT: Final = sa.func.coalesce(
    trackers.c.present,
    sa.select(_own.c.id)
    .where(_own.c.tracker == trackers.c.id, _own.c.shipment == "")
    .scalar_subquery(),
)
_GAPS: Final = (
    sa.select(sa.func.sum(chains.c.last_number - chains.c.numbers))
    .where(chains.c.tracker == trackers.c.id)
    .correlate(trackers)
    .scalar_subquery()
)
_read, _placed, _served = boots.alias("read"), boots.alias("placed"), boots.alias("served")


def _utc(boot: sa.FromClause, t: sa.Column[Any]) -> sa.ColumnElement[Any]:
    return boot.c.clock_utc_ms + 1000 * t - boot.c.clock_t_ms


_LINES: Final = (
    sa.select(
        trackers.c.id,
        shipments.c.shipment,
        shipments.c.samples,
        _GAPS.label("missing"),
        *(shipments.c[name] for name in CHANNELS),
        _utc(_read, shipments.c.payload_t).label("read_ms"),
        shipments.c.standing,
        shipments.c.alarms,
        shipments.c.acknowledged,
        shipments.c.faults,
        shipments.c.status,
        shipments.c.position_boot,
        shipments.c.position_t,
        shipments.c.cell_boot,
        shipments.c.cell_t,
        shipments.c.latitude,
        shipments.c.longitude,
        shipments.c.position_uncertainty_m,
        shipments.c.position_source,
        _utc(_placed, shipments.c.position_t).label("placed_ms"),
        shipments.c.cell,
        _utc(_served, shipments.c.cell_t).label("served_ms"),
        trackers.c.findings,
    )
    .select_from(trackers)
    .outerjoin(shipments, shipments.c.id == _PRESENT)
    .outerjoin(
        _read,
        sa.and_(_read.c.chain == shipments.c.chain, _read.c.number == shipments.c.payload_boot),
    )
    .outerjoin(
        _placed,
        sa.and_(
            _placed.c.chain == shipments.c.chain, _placed.c.number == shipments.c.position_boot
        ),
    )
    .outerjoin(
        _served,
        sa.and_(_served.c.chain == shipments.c.chain, _served.c.number == shipments.c.cell_boot),
    )
)


@dataclass(frozen=True, slots=True)
class Line:
    """A tracker as it was registered, what the read model has of it, and its commands by state."""

    tracker: Tracker
    known: Mapping[str, Any]
    commands: Mapping[str, int]


def load(tables: Tables, tower: Connection, now_ms: int) -> list[Line]:
    """Return a line for every registered tracker, by its id; `now_ms` is for the commands.

    A fixed number of statements, whatever the number of trackers.
    """
    known = {row["id"]: dict(row) for row in tower.execute(_LINES).mappings()}
    commands = tables.commands.states(now_ms)
    return [
        Line(tracker, known.get(tracker.id, {}), commands.get(tracker.id, {}))
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
    """Return a line by name, with the unit in a number's name; None where nothing is known."""
    known, tracker = line.known, line.tracker
    return {
        "tracker": tracker.id,
        "test": tracker.test,
        "shipment": known.get("shipment") or None,
        "last_contact_utc": _iso(tracker.last_seen_ms),
        "samples": known.get("samples") or 0,
        "blocks_missing": _missing(known),
        **{name: _reading(known, channel) for channel, (name, _, _) in enumerate(words.CHANNELS)},
        "payload_utc": _iso(known.get("read_ms")),
        "alarms": {
            "standing": known.get("standing") or 0,
            "all": known.get("alarms") or 0,
            "acknowledged": bool(known.get("acknowledged")),
        },
        "faults": list(_faults(known)),
        "position": _position(known),
        "cell": _cell_fields(known),
        "commands": dict(line.commands),
        "findings": json.loads(known.get("findings") or _NOTHING),
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
    return [
        f"{tracker.id} (test)" if tracker.test else tracker.id,
        known.get("shipment") or "none",
        _minute(tracker.last_seen_ms) or "never",
        _shown(known, Channel.PAYLOAD, "°C") or "unknown",
        _minute(known.get("read_ms")) or "unknown",
        str(known.get("samples") or 0),
        str(_missing(known)),
        _alarms(known),
        ", ".join(_faults(known)) or "none",
        _where(known),
        _shown(known, Channel.BATTERY, "mV") or "unknown",
        ", ".join(f"{count} {state}" for state, count in line.commands.items()) or "none",
        ", ".join(json.loads(known.get("findings") or _NOTHING)) or "none",
    ]


def _cell(text: str | Text) -> Text:
    """Return a text for the table, as it is: what trackers say is no markup."""
    return text if isinstance(text, Text) else Text(printable(text))


def _missing(known: Mapping[str, Any]) -> int:
    # PostgreSQL's sum of integers is a decimal.
    return int(known.get("missing") or 0)


def _iso(utc_ms: int | None) -> str | None:
    return None if utc_ms is None else iso(utc_ms)


def _minute(utc_ms: int | None) -> str:
    return "" if utc_ms is None else iso(utc_ms)[:19].replace("T", " ")


def _reading(known: Mapping[str, Any], channel: int) -> float | int | None:
    value = known.get(CHANNELS[channel])
    decimals = words.CHANNELS[channel][2]
    return value if value is None or not decimals else value / 10**decimals


def _shown(known: Mapping[str, Any], channel: int, unit: str) -> str:
    value = known.get(CHANNELS[channel])
    return "" if value is None else f"{words.scaled(channel, value)} {unit}"


def _alarms(known: Mapping[str, Any]) -> str | Text:
    """Return how many alarms stand, how many there were, and whether somebody has seen them."""
    total, standing = known.get("alarms") or 0, known.get("standing") or 0
    if not total and not standing:
        return "none"
    acknowledged = ", acknowledged" if known["acknowledged"] else ""
    if not standing:
        return f"{total}, all ended{acknowledged}"
    return Text.assemble((f"{standing} standing", "red"), f" of {total}{acknowledged}")


def _faults(known: Mapping[str, Any]) -> Iterator[str]:
    """Yield the faults that stand."""
    for subject, code in json.loads(known.get("faults") or _NOTHING):
        name = words.worded(EventType.FAULT, "subject", subject)
        yield f"{name} {words.fault(subject, code)}"
    if flags := words.flags(known.get("status") or 0):
        yield flags


def _position(known: Mapping[str, Any]) -> dict[str, Any] | None:
    if known.get("latitude") is None:
        return None
    return {
        "latitude": known["latitude"] / _DEGREE,
        "longitude": known["longitude"] / _DEGREE,
        "radius_m": known["position_uncertainty_m"],
        "source": words.worded(EventType.POSITION, "source", known["position_source"]),
        "time_utc": _iso(known["placed_ms"]),
    }


def _cell_fields(known: Mapping[str, Any]) -> dict[str, Any] | None:
    if known.get("cell") is None:
        return None
    return {"id": known["cell"], "time_utc": _iso(known["served_ms"])}


def _where(known: Mapping[str, Any]) -> str:
    """Return where the tracker was last: its position, or the cell that served it since."""
    position = _position(known)
    served = (known.get("cell_boot"), known.get("cell_t"))
    if known.get("cell") is not None and (
        position is None or served > (known["position_boot"], known["position_t"])
    ):
        return f"cell {known['cell']}{_at(known['served_ms'])}"
    if position is None:
        return "unknown"
    place = f"{position['latitude']:.5f}, {position['longitude']:.5f}"
    return f"{place} \N{PLUS-MINUS SIGN} {position['radius_m']} m{_at(known['placed_ms'])}"


def _at(utc_ms: int | None) -> str:
    return f" at {_minute(utc_ms)}" if utc_ms is not None else ""
