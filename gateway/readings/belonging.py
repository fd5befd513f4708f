"""Which blocks of a tracker belong to which shipment, and which report its start and stop."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.engine import Connection

from coldtrail_gateway.contract.events import EventType
from coldtrail_gateway.readings import context, tables

_blocks, _chains, _events, _ships = tables.blocks, tables.chains, tables.events, tables.shipments
_CHAINS: Final = sa.select(_chains.c.chain).where(_chains.c.tracker == bindparam("tracker"))
_BLOCKS: Final = (
    sa.select(_chains.c.chain, _blocks.c.number, _ships.c.shipment)
    .join(_chains, _chains.c.id == _blocks.c.chain)
    .join(_ships, _ships.c.id == _blocks.c.shipment)
    .where(_chains.c.tracker == bindparam("tracker"))
)
_REPORTS: Final = (
    sa.select(_chains.c.chain, _blocks.c.number, _events.c.fields)
    .join(_blocks, _blocks.c.id == _events.c.block)
    .join(_chains, _chains.c.id == _blocks.c.chain)
    .where(_chains.c.tracker == bindparam("tracker"), _events.c.type == bindparam("type"))
)


def chains(connection: Connection, tracker: str) -> list[bytes]:
    """Return the chains of a tracker."""
    return list(connection.scalars(_CHAINS, {"tracker": tracker}))


def blocks(connection: Connection, tracker: str) -> Iterator[tuple[bytes, int, str]]:
    """Yield chain, number and shipment of each block that was read; without one it is empty."""
    for row in connection.execute(_BLOCKS, {"tracker": tracker}):
        yield row[0], row[1], row[2]


def reports(
    connection: Connection, tracker: str, event: EventType
) -> Iterator[tuple[bytes, int, str]]:
    """Yield chain, number and shipment of each block that reports a start, or a stop."""
    for row in connection.execute(_REPORTS, {"tracker": tracker, "type": int(event)}):
        yield row[0], row[1], context.loaded(row[2])["shipment"]
