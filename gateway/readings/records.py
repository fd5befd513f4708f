"""The records of a shipment, placed in UTC as they are read.

No record says its UTC in the tables: a clock sync would move thousands of rows. It moves the
timeline of their boot instead, and a record is placed by that when somebody asks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.engine import Connection

from coldtrail_gateway.contract.events import EventType
from coldtrail_gateway.evidence.timeline import Placement, Timeline
from coldtrail_gateway.readings import context, tables, times
from coldtrail_gateway.readings.clock import RECORD_MS

_SYNCS: Final = 1000
"""Of more clock syncs of one boot, a picture is placed by about so many."""

_blocks, _boots, _chains = tables.blocks, tables.boots, tables.chains


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a record comes from: its boot, and the sealed block that holds it.

    `digest` is the SHA-256 of the sealed block; `flaw` says why it is not vouched for.
    """

    chain: bytes
    boot: int
    number: int
    block: int
    digest: bytes
    flaw: str | None


@dataclass(frozen=True, slots=True)
class Moment:
    """When a record was made.

    `time` is None where its boot has no clock sync; it then lies between `not_before` and
    `not_after` (UTC in ms, None where nothing bounds it).
    """

    t: int
    time: Placement | None
    not_before: int | None = None
    not_after: int | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample: its readings by channel, in the contract's units; see the status for absent."""

    moment: Moment
    origin: Origin
    status: int
    values: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Event:
    """An event: its type, and its fields by the contract's names, bytes in hexadecimal."""

    moment: Moment
    origin: Origin
    type: int
    fields: dict[str, Any]


_ORIGIN: Final = (
    _chains.c.chain,
    _boots.c.number.label("boot_number"),
    _blocks.c.number,
    _blocks.c.id,
    _blocks.c.digest,
    _blocks.c.flaw,
)


def _of(table: sa.Table) -> sa.Select[Any]:
    return (
        sa.select(table, *_ORIGIN)
        .join(_blocks, _blocks.c.id == table.c.block)
        .join(_boots, _boots.c.id == table.c.boot)
        .join(_chains, _chains.c.id == _boots.c.chain)
        .where(_blocks.c.shipment == bindparam("shipment"))
        .order_by(
            _chains.c.first_block,
            _boots.c.number,
            table.c.t,
            _blocks.c.number,
            _blocks.c.id,
            table.c.place,
        )
    )


_SAMPLES: Final = _of(tables.samples)
_EVENTS: Final = _of(tables.events)
_CALIBRATIONS: Final = (
    sa.select(tables.events, *_ORIGIN)
    .join(_blocks, _blocks.c.id == tables.events.c.block)
    .join(_boots, _boots.c.id == tables.events.c.boot)
    .join(_chains, _chains.c.id == _boots.c.chain)
    .where(
        _chains.c.tracker == bindparam("tracker"),
        tables.events.c.type == int(EventType.CALIBRATION),
    )
    .order_by(_chains.c.first_block, _blocks.c.number, _blocks.c.id, tables.events.c.place)
)
_NUMBER: Final = sa.select(tables.shipments.c.id).where(
    tables.shipments.c.tracker == bindparam("tracker"),
    tables.shipments.c.shipment == bindparam("shipment"),
)
_BOOT: Final = sa.select(_boots).where(_boots.c.id == bindparam("boot"))
_NEAR: Final = sa.select(_boots.c.id, _boots.c.number).where(
    _boots.c.chain == bindparam("chain"), _boots.c.id != bindparam("boot")
)
_EXTENT: Final = sa.select(sa.func.min(_blocks.c.first_t), sa.func.max(_blocks.c.last_t)).where(
    _blocks.c.boot == bindparam("boot"), _blocks.c.flaw.is_(None)
)


def number_of(connection: Connection, tracker: str, shipment: str) -> int | None:
    """Return the number of a shipment of a tracker in the tables; None where nothing is here."""
    named = {"tracker": tracker, "shipment": shipment}
    return connection.scalar(_NUMBER, named)


def samples(connection: Connection, shipment: int) -> Iterator[Sample]:
    """Yield the samples of a shipment, by its number, in the order of chain, boot and time."""
    places = Places(connection)
    for row in connection.execute(_SAMPLES, {"shipment": shipment}).mappings():
        values = tuple(row[name] for name in tables.CHANNELS)
        yield Sample(places.of(row), _origin(row), row["status"], values)


def events(connection: Connection, shipment: int) -> Iterator[Event]:
    """Yield the events of a shipment, by its number, in the order of chain, boot and time."""
    places = Places(connection)
    for row in connection.execute(_EVENTS, {"shipment": shipment}).mappings():
        fields = context.loaded(row["fields"])
        yield Event(places.of(row), _origin(row), row["type"], fields)


def calibrations(connection: Connection, tracker: str) -> Iterator[Event]:
    """Yield what a tracker ever said of its calibrations, by chain, block number and arrival."""
    places = Places(connection)
    for row in connection.execute(_CALIBRATIONS, {"tracker": tracker}).mappings():
        fields = context.loaded(row["fields"])
        yield Event(places.of(row), _origin(row), row["type"], fields)


class Places:
    """Places records in UTC; reads the timeline of each boot once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lines: dict[int, Timeline] = {}
        self._own: dict[int, Timeline | None] = {}
        self._limits: dict[int, tuple[int | None, int | None]] = {}

    def of(self, row: Any) -> Moment:
        """Return when a record was made: boot, t, block and flaw are columns of its row."""
        boot, t = row["boot"], row["t"]
        if row["flaw"] is not None:
            # Of a clone's blocks and the original's, chain and boot are the same, not the clock.
            block = row["block"]
            if block not in self._own:
                self._own[block] = times.own_timeline(self._connection, boot, block)
            own = self._own[block]
            if own is not None:
                return Moment(t, placed(own, t))
        return self.at(boot, t)

    def at(self, boot: int, t: int) -> Moment:
        """Return when a record was made that is vouched for."""
        time = placed(self.line(boot), t)
        return Moment(t, time) if time else Moment(t, None, *self.limits(boot))

    def line(self, boot: int) -> Timeline:
        """Return the timeline of a boot, by its number in the tables."""
        if boot not in self._lines:
            row = self._connection.execute(_BOOT, {"boot": boot}).one()
            line = times.timeline(self._connection, boot, doubt=bool(row.doubt))
            self._lines[boot] = line
        return self._lines[boot]

    def rough(self, boot: int, first_t: int, last_t: int) -> Timeline:
        """Return the same for a picture: of a boot with very many clock syncs by some of them."""
        row = self._connection.execute(_BOOT, {"boot": boot}).one()
        if row.doubt:
            return self.line(boot)
        return times.rough(self._connection, boot, 1000 * (last_t - first_t) // _SYNCS)

    def limits(self, boot: int) -> tuple[int | None, int | None]:
        """Return between which moments a boot lies that cannot be placed itself, UTC in ms."""
        if boot not in self._limits:
            row = self._connection.execute(_BOOT, {"boot": boot}).one()
            near = self._connection.execute(_NEAR, {"chain": row.chain, "boot": boot}).all()
            before = sorted((b.number, b.id) for b in near if b.number < row.number)[::-1]
            after = sorted((b.number, b.id) for b in near if b.number > row.number)
            ends = (span[1] for _, other in before if (span := self._span(other)))
            starts = (span[0] for _, other in after if (span := self._span(other)))
            low, high = next(ends, None), next(starts, None)
            self._limits[boot] = (
                low.utc_ms - low.uncertainty_ms if low else None,
                high.utc_ms + high.uncertainty_ms if high else None,
            )
        return self._limits[boot]

    def _span(self, boot: int) -> tuple[Placement, Placement] | None:
        low, high = self._connection.execute(_EXTENT, {"boot": boot}).one()
        if low is None:
            return None
        line = self.line(boot)
        first, last = placed(line, low), placed(line, high)
        return (first, last) if first and last else None


def placed(line: Timeline, t: int) -> Placement | None:
    """Return where a record at `t` seconds since boot lies."""
    time = line.place(t * 1000)
    return Placement(time.utc_ms, time.uncertainty_ms + RECORD_MS) if time else None


def _origin(row: Any) -> Origin:
    names = ("chain", "boot_number", "number", "id", "digest", "flaw")
    return Origin(*(row[name] for name in names))
