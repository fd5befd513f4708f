"""All trackers at a glance: one row each, by one statement."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any, Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from coldtrail_gateway.evidence.timeline import DRIFT_PPM
from coldtrail_gateway.readings import tables
from coldtrail_gateway.readings.clock import RECORD_MS
from coldtrail_gateway.readings.tables import NOBODY


class Glance(NamedTuple):
    """A moment by one clock sync alone, the one that tells the end of its boot best.

    UTC in ms, right within the uncertainty if that sync is right. `records.Places` states the
    moment by all syncs of the boot, which may be some hundred ms away.
    """

    utc_ms: int
    uncertainty_ms: int


class Position(NamedTuple):
    """Where a tracker was last, 1e-6 degree; `uncertainty_m` m around; `source` as in events."""

    latitude: int
    longitude: int
    uncertainty_m: int
    source: int
    time: Glance | None


class Overview(NamedTuple):
    """A tracker and its present shipment; `shipment` is empty where it has named none yet.

    `received_ms`: the newest arrival. `samples` and `missing` (blocks) are the tracker's.
    `alarms`: all of the shipment that were not withdrawn; `standing`: of these. `faults`: subject
    and code. `status`: of the newest sample. `flight`: why the radio is off, 0: it is not.
    `payload` and `battery` are the newest readings, `payload_time` when the first was taken.
    `cell` is the serving cell where that is newer than the position.
    """

    tracker: str
    shipment: str
    received_ms: int
    blocks: int
    samples: int
    missing: int
    findings: tuple[str, ...]
    alarms: int
    standing: int
    acknowledged: bool
    faults: tuple[tuple[int, int], ...]
    status: int
    flight: int
    payload: int | None
    payload_time: Glance | None
    battery: int | None
    position: Position | None
    cell: str | None


_trackers, _ships = tables.trackers, tables.shipments
_read_at, _found_at = tables.boots.alias("read_at"), tables.boots.alias("found_at")


def _clock(boots: sa.FromClause, name: str) -> list[sa.Label[Any]]:
    columns = (boots.c.clock_t_ms, boots.c.clock_utc_ms, boots.c.clock_uncertainty_ms)
    return [column.label(f"{name}_{column.name}") for column in columns]


_SHOWN: Final = (
    sa.select(
        _trackers.c.id,
        _trackers.c.received_ms,
        _trackers.c.blocks,
        _trackers.c.samples,
        _trackers.c.missing,
        _trackers.c.findings,
        _ships.c.shipment,
        _ships.c.alarms,
        _ships.c.standing,
        _ships.c.acknowledged,
        _ships.c.faults,
        _ships.c.status,
        _ships.c.flight,
        _ships.c.payload,
        _ships.c.payload_t,
        _ships.c.battery,
        _ships.c.latitude,
        _ships.c.longitude,
        _ships.c.position_uncertainty_m,
        _ships.c.position_source,
        _ships.c.position_boot,
        _ships.c.position_t,
        _ships.c.cell,
        _ships.c.cell_boot,
        _ships.c.cell_t,
        *_clock(_read_at, "read"),
        *_clock(_found_at, "found"),
    )
    .outerjoin(_ships, _ships.c.id == _trackers.c.present)
    .outerjoin(
        _read_at,
        sa.and_(_read_at.c.chain == _ships.c.chain, _read_at.c.number == _ships.c.payload_boot),
    )
    .outerjoin(
        _found_at,
        sa.and_(_found_at.c.chain == _ships.c.chain, _found_at.c.number == _ships.c.position_boot),
    )
    .order_by(_trackers.c.id)
)


def of_all(connection: Connection) -> list[Overview]:
    """Return one row for each tracker that blocks have been taken in of."""
    rows: Any = connection.execute(_SHOWN)
    return [_overview(*row) for row in rows]


def _overview(  # one parameter a column: names of a row's columns cost more than all else here
    tracker: str,
    received_ms: int,
    blocks: int,
    samples: int,
    missing: int,
    findings: str,
    shipment: str | None,
    alarms: int | None,
    standing: int | None,
    acknowledged: int | None,
    faults: str | None,
    status: int | None,
    flight: int | None,
    payload: int | None,
    payload_t: int | None,
    battery: int | None,
    latitude: int | None,
    longitude: int,
    uncertainty_m: int,
    source: int,
    position_boot: int,
    position_t: int,
    cell: str | None,
    cell_boot: int,
    cell_t: int,
    *clocks: int | None,
) -> Overview:
    position = None
    if latitude is not None:
        time = _glance(position_t, *clocks[3:])
        position = Position(latitude, longitude, uncertainty_m, source, time)
    newer = position is None or (
        cell is not None and (cell_boot, cell_t) > (position_boot, position_t)
    )
    return Overview(
        tracker,
        shipment or NOBODY,
        received_ms,
        blocks,
        samples,
        missing,
        _loaded(findings),
        alarms or 0,
        standing or 0,
        bool(acknowledged),
        _loaded(faults or "[]"),
        status or 0,
        flight or 0,
        payload,
        _glance(payload_t, *clocks[:3]),
        battery,
        position,
        cell if newer else None,
    )


@lru_cache(maxsize=1024)
def _loaded(text: str) -> tuple[Any, ...]:
    """Return a list in JSON; most trackers have the same ones."""
    return tuple(tuple(each) if isinstance(each, list) else each for each in json.loads(text))


def _glance(
    t: int | None,
    t_ms: int | None = None,
    utc_ms: int | None = None,
    uncertainty_ms: int | None = None,
) -> Glance | None:
    if t is None or t_ms is None or utc_ms is None or uncertainty_ms is None:
        return None
    apart = 1000 * t - t_ms
    drift = -(-DRIFT_PPM * abs(apart) // 1_000_000)
    return Glance(utc_ms + apart, uncertainty_ms + drift + RECORD_MS)
