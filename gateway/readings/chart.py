"""One channel of a shipment over time, in as many points as a chart has room for."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.engine import Connection

from coldtrail_gateway.contract.events import SAMPLED
from coldtrail_gateway.evidence.timeline import Timeline
from coldtrail_gateway.readings import tables
from coldtrail_gateway.readings.records import Places, placed

_FINE: Final = 4
"""Up to so many samples for a point, the samples are read; of more, the buckets of the blocks."""

_buckets, _samples, _blocks = tables.buckets, tables.samples, tables.blocks
_BOOTS: Final = (
    sa.select(
        _buckets.c.boot,
        sa.func.min(_buckets.c.first_t).label("first_t"),
        sa.func.max(_buckets.c.last_t).label("last_t"),
    )
    .where(_buckets.c.shipment == bindparam("shipment"))
    .group_by(_buckets.c.boot)
)


@dataclass(frozen=True, slots=True)
class Point:
    """The readings between two moments, UTC in ms, the second not included.

    `total` over `count` is their mean; all in the channel's unit.
    """

    from_ms: int
    to_ms: int
    count: int
    minimum: int
    maximum: int
    total: int

    @property
    def mean(self) -> float:
        """The mean of the readings."""
        return self.total / self.count


@dataclass(frozen=True, slots=True)
class Chart:
    """Points in the order of time. `unplaced`: readings of boots without any clock sync."""

    points: tuple[Point, ...]
    unplaced: int


def thinned(
    connection: Connection, shipment: int, channel: int, from_ms: int, to_ms: int, points: int
) -> Chart:
    """Return one channel of a shipment, by its number, in about so many points.

    Only what is vouched for is in it. A block lies where its first sample lies.
    """
    places = Places(connection)
    parts = []
    unplaced = 0
    for row in connection.execute(_BOOTS, {"shipment": shipment}).all():
        line = places.rough(row.boot, row.first_t, row.last_t)
        if placed(line, row.first_t) is None:
            unplaced += _count(connection, shipment, row.boot, channel, 0, row.last_t)
            continue
        low = _t_at(line, from_ms, row.first_t, row.last_t + 1)
        high = _t_at(line, to_ms, row.first_t, row.last_t + 1)
        if low < high:
            parts.append((row.boot, line, low, high))
    whole = sum(high - low for _, _, low, high in parts)
    found: list[Point] = []
    for boot, line, low, high in parts:
        room = max(points * (high - low) // whole, 1)
        width = -(-(high - low) // room)
        count = _count(connection, shipment, boot, channel, low, high)
        grouped = _by_sample if count <= _FINE * room else _by_block
        for at, *figures in grouped(connection, shipment, boot, channel, low, high, width):
            start = low + at * width
            found.append(Point(_ms(line, start), _ms(line, start + width), *figures))
    return Chart(tuple(sorted(found, key=lambda point: point.from_ms)), unplaced)


def _ms(line: Timeline, t: int) -> int:
    time = placed(line, t)
    return time.utc_ms if time else 0


def _t_at(line: Timeline, utc_ms: int, low: int, high: int) -> int:
    """Return the first second of a boot, between two, that lies at a moment or after it."""
    return low + bisect_left(range(low, high), utc_ms, key=lambda t: _ms(line, t))


def _count(
    connection: Connection, shipment: int, boot: int, channel: int, low: int, high: int
) -> int:
    column = _buckets.c[f"{SAMPLED[channel].label}_count"]
    counted = sa.select(sa.func.sum(column)).where(
        _buckets.c.shipment == shipment,
        _buckets.c.boot == boot,
        _buckets.c.first_t >= low,
        _buckets.c.first_t < high,
    )
    return int(connection.scalar(counted) or 0)


def _by_block(
    connection: Connection,
    shipment: int,
    boot: int,
    channel: int,
    low: int,
    high: int,
    width: int,
) -> Iterator[tuple[int, ...]]:
    name = SAMPLED[channel].label
    count, total = _buckets.c[f"{name}_count"], _buckets.c[f"{name}_sum"]
    figures = (
        sa.func.sum(count),
        sa.func.min(_buckets.c[f"{name}_min"]),
        sa.func.max(_buckets.c[f"{name}_max"]),
        sa.func.sum(total),
    )
    where = (
        _buckets.c.shipment == shipment,
        _buckets.c.boot == boot,
        _buckets.c.first_t >= low,
        _buckets.c.first_t < high,
        count > 0,
    )
    yield from _grouped(connection, _buckets.c.first_t, low, width, figures, where)


def _by_sample(
    connection: Connection,
    shipment: int,
    boot: int,
    channel: int,
    low: int,
    high: int,
    width: int,
) -> Iterator[tuple[int, ...]]:
    value = _samples.c[SAMPLED[channel].label]
    figures = (sa.func.count(value), sa.func.min(value), sa.func.max(value), sa.func.sum(value))
    where = (
        _samples.c.boot == boot,
        _samples.c.t >= low,
        _samples.c.t < high,
        value.is_not(None),
        _blocks.c.id == _samples.c.block,
        _blocks.c.shipment == shipment,
        _blocks.c.flaw.is_(None),
    )
    yield from _grouped(connection, _samples.c.t, low, width, figures, where)


def _grouped(
    connection: Connection,
    t: sa.Column[int],
    low: int,
    width: int,
    figures: tuple[sa.Function[Any], ...],
    where: tuple[sa.ColumnElement[bool], ...],
) -> Iterator[tuple[int, ...]]:
    # As text, so that PostgreSQL sees one expression and not two parameters.
    group = ((t - sa.literal_column(str(low))) // sa.literal_column(str(width))).label("at")
    for row in connection.execute(sa.select(group, *figures).where(*where).group_by(group)):
        yield tuple(int(value) for value in row)
