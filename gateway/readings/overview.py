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


def _glance(boots: sa.FromClause, t: sa.Column[Any], name: str) -> list[sa.Label[Any]]:
    """Return the columns of the moment `t` of a boot: UTC, and its uncertainty."""
    # In the database, because ten thousand calls of a function take longer.
    apart = 1000 * t - boots.c.clock_t_ms
    drift = (DRIFT_PPM * sa.func.abs(apart) + 999_999) // 1_000_000
    return [
        (boots.c.clock_utc_ms + apart).label(f"{name}_utc_ms"),
        (boots.c.clock_uncertainty_ms + drift + RECORD_MS).label(f"{name}_uncertainty_ms"),
    ]


_SHOWN: Final = (
    sa.select(
        _trackers.c.id,
        _trackers.c.received_ms,
        _trackers.c.blocks,
        _trackers.c.samples,
        _trackers.c.missing,
        sa.type_coerce(_trackers.c.findings, sa.Text),  # JSON in ASCII: nothing is escaped in it
        _ships.c.shipment,
        _ships.c.alarms,
        _ships.c.standing,
        _ships.c.acknowledged,
        sa.type_coerce(_ships.c.faults, sa.Text),
        _ships.c.status,
        _ships.c.flight,
        _ships.c.payload,
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
        *_glance(_read_at, _ships.c.payload_t, "read"),
        *_glance(_found_at, _ships.c.position_t, "found"),
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
    return [_overview(row) for row in connection.execute(_SHOWN).all()]


def _overview(row: Any) -> Overview:
    # By place, in the order of `_SHOWN`: to look ten thousand times for names takes longer.
    tracker, received_ms, blocks, samples, missing, found, shipment, *rest = row
    alarms, standing, acknowledged, faults, status, flight, *rest = rest
    payload, battery, latitude, longitude, uncertainty_m, source, *rest = rest
    position_boot, position_t, cell, cell_boot, cell_t, *glances = rest
    read_ms, read_uncertainty_ms, placed_ms, placed_uncertainty_ms = glances
    position = None
    if latitude is not None:
        placed = None if placed_ms is None else Glance(placed_ms, placed_uncertainty_ms)
        position = Position(latitude, longitude, uncertainty_m, source, placed)
    newer = cell is not None and (
        position is None or (cell_boot, cell_t) > (position_boot, position_t)
    )
    return Overview(
        tracker,
        shipment or NOBODY,
        received_ms,
        blocks,
        samples,
        missing,
        _names(found),
        alarms or 0,
        standing or 0,
        bool(acknowledged),
        _pairs(faults or "[]"),
        status or 0,
        flight or 0,
        payload,
        None if read_ms is None else Glance(read_ms, read_uncertainty_ms),
        battery,
        position,
        cell if newer else None,
    )


@lru_cache
def _names(found: str) -> tuple[str, ...]:
    return tuple(json.loads(found))


@lru_cache
def _pairs(faults: str) -> tuple[tuple[int, int], ...]:
    return tuple((subject, code) for subject, code in json.loads(faults))
