"""The timelines of boots, from the tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from coldtrail_gateway.contract.block import Sync
from coldtrail_gateway.evidence.timeline import Arrival, Timeline
from coldtrail_gateway.readings.tables import blocks, syncs

MAX_SYNCS: Final = 20_000
"""So many clock syncs of a boot are looked at where they are in doubt: two an hour for a year.
Whoever sends more, and lets them contradict each other, must not cost others time."""

_USED = sa.and_(blocks.c.id == syncs.c.block, blocks.c.flaw.is_(None))
_SYNCS = (
    sa.select(syncs.c.t_ms, syncs.c.utc_ms, syncs.c.uncertainty_ms, syncs.c.source)
    .join(blocks, _USED)
    .where(syncs.c.boot == sa.bindparam("boot"))
    .distinct()
)
_PICKED = (
    sa.select(sa.func.min(syncs.c.t_ms))
    .join(blocks, _USED)
    .where(syncs.c.boot == sa.bindparam("boot"))
    .group_by(syncs.c.t_ms // sa.bindparam("apart_ms", type_=sa.BigInteger))
)
_SPARSE = _SYNCS.where(syncs.c.t_ms.in_(_PICKED))
_FIRST = _SYNCS.order_by(
    syncs.c.t_ms, syncs.c.utc_ms, syncs.c.uncertainty_ms, syncs.c.source
).limit(MAX_SYNCS)
_OWN = sa.select(syncs.c.t_ms, syncs.c.utc_ms, syncs.c.uncertainty_ms, syncs.c.source).where(
    syncs.c.boot == sa.bindparam("boot"), syncs.c.block == sa.bindparam("block")
)
_ARRIVALS = sa.select(blocks.c.last_t, blocks.c.received_ms).where(
    blocks.c.boot == sa.bindparam("boot"),
    blocks.c.flaw.is_(None),
    blocks.c.last_t.is_not(None),
    blocks.c.received_ms > 0,
)


def timeline(connection: Connection, boot: int, *, doubt: bool) -> Timeline:
    """Return the timeline of a boot.

    Without `doubt` none of its syncs contradicts an arrival, which are then not looked at.
    """
    if doubt:
        return Timeline(first(connection, boot), _arrivals(connection, boot))
    return Timeline([Sync(*row) for row in connection.execute(_SYNCS, {"boot": boot})])


def first(connection: Connection, boot: int) -> list[Sync]:
    """Return the clock syncs of a boot that place it, of too many the first."""
    return [Sync(*row) for row in connection.execute(_FIRST, {"boot": boot})]


def rough(connection: Connection, boot: int, apart_ms: int) -> Timeline:
    """Return the timeline of a boot in which nothing is in doubt, by one sync in so many ms.

    Each sync bounds every moment of the boot: without the others the bounds are only wider.
    """
    some = {"boot": boot, "apart_ms": max(apart_ms, 1)}
    return Timeline([Sync(*row) for row in connection.execute(_SPARSE, some)])


def own_timeline(connection: Connection, boot: int, block: int) -> Timeline | None:
    """Return the timeline that the syncs of one block make; None where it has none."""
    found = [Sync(*row) for row in connection.execute(_OWN, {"boot": boot, "block": block})]
    return Timeline(found) if found else None


def _arrivals(connection: Connection, boot: int) -> Iterator[Arrival]:
    for last_t, received_ms in connection.execute(_ARRIVALS, {"boot": boot}):
        yield Arrival(1000 * last_t, received_ms)
