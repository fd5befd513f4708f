"""The read model of one tracker in a form that does not show in which order it was made.

The numbers that this database gives itself become what they stand for, and rows are in order.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from coldtrail_gateway.readings import bulk, tables

Row = tuple[Any, ...]

_CHAIN, _BOOT, _SHIPMENT = "chain", "boot", "shipment"
_STANDS_FOR: Final = {
    (tables.chains, "id"): _CHAIN,
    (tables.boots, "id"): _BOOT,
    (tables.boots, "chain"): _CHAIN,
    (tables.shipments, "id"): _SHIPMENT,
    (tables.shipments, "chain"): _CHAIN,
    (tables.trackers, "present"): _SHIPMENT,
    (tables.blocks, "chain"): _CHAIN,
    (tables.blocks, "boot"): _BOOT,
    (tables.blocks, "shipment"): _SHIPMENT,
    **{(table, "boot"): _BOOT for table in (tables.samples, tables.events, tables.positions)},
    **{(table, "boot"): _BOOT for table in tables.OWNED if "boot" in table.c},
    (tables.syncs, "boot"): _BOOT,
    **{(table, "shipment"): _SHIPMENT for table in tables.OWNED},
}


def trackers(connection: Connection) -> set[str]:
    """Return all trackers that blocks have been taken in of."""
    return set(connection.scalars(sa.select(tables.trackers.c.id)))


def of_tracker(connection: Connection, tracker: str) -> dict[str, list[Row]]:
    """Return by table all rows of a tracker."""
    chains = _rows(connection, tables.chains, "tracker", [tracker])
    boots = _rows(connection, tables.boots, "chain", [row["id"] for row in chains])
    shipments = _rows(connection, tables.shipments, "tracker", [tracker])
    names: dict[str, dict[int, Any]] = {
        _CHAIN: {row["id"]: row["chain"].hex() for row in chains},
        _SHIPMENT: {row["id"]: row["shipment"] for row in shipments},
    }
    names[_BOOT] = {row["id"]: (names[_CHAIN][row["chain"]], row["number"]) for row in boots}
    found = {
        tables.trackers: _rows(connection, tables.trackers, "id", [tracker]),
        tables.chains: chains,
        tables.boots: boots,
        tables.shipments: shipments,
        tables.blocks: _rows(connection, tables.blocks, "tracker", [tracker]),
    }
    for table in (tables.samples, tables.events, tables.positions, tables.syncs):
        found[table] = _rows(connection, table, "boot", list(names[_BOOT]))
    for table in tables.OWNED:
        found[table] = _rows(connection, table, "shipment", list(names[_SHIPMENT]))
    return {
        table.name: sorted((_named(table, row, names) for row in rows), key=repr)
        for table, rows in found.items()
    }


def _rows(
    connection: Connection, table: sa.Table, column: str, values: Collection[Any]
) -> list[Mapping[str, Any]]:
    return [
        dict(row)
        for some in bulk.parts(values)
        for row in connection.execute(sa.select(table).where(table.c[column].in_(some))).mappings()
    ]


def _named(table: sa.Table, row: Mapping[str, Any], names: Mapping[str, dict[int, Any]]) -> Row:
    return tuple(
        names[kind][value]
        if value is not None and (kind := _STANDS_FOR.get((table, name)))
        else value
        for name, value in row.items()
    )
