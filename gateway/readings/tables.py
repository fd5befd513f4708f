"""The tables of the read model (see README.md); only this room writes them.

Units: ms since 1970 in `_ms`, s since boot in `t`, seconds in `_s`, else the contract's. A
`block` is the row number of a sealed block in the archive. Numbers that this database gives itself
are the keys of `chains`, `boots` and `shipments` alone.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, SmallInteger, String, Table

from coldtrail_gateway.contract.events import SAMPLED
from coldtrail_gateway.readings.buckets import KINETIC
from coldtrail_gateway.store.text import AnyString, AnyText
from coldtrail_gateway.store.tower.schema import metadata

CHANNELS: Final = tuple(channel.label for channel in SAMPLED)
KINETIC_CHANNELS: Final = tuple(channel.label for channel in KINETIC)

# Up to where the archive has been read: `feed.Cursor`. One row.
progress = Table(
    "progress",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("block", BigInteger, nullable=False),
    Column("digest", LargeBinary, nullable=False),
)

trackers = Table(
    "readings_trackers",
    metadata,
    Column("id", String(23), primary_key=True),
    Column("received_ms", BigInteger, nullable=False),  # of the newest arrival
    Column("blocks", BigInteger, nullable=False),
    Column("samples", BigInteger, nullable=False),
    Column("missing", BigInteger, nullable=False),  # blocks
    Column("chains", BigInteger, nullable=False),  # how many
    Column("present", BigInteger),  # the shipment that was named last, or NOBODY's
    Column("findings", AnyText, nullable=False),  # names, JSON
)

chains = Table(
    "chains",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("tracker", String(23), nullable=False),
    Column("chain", LargeBinary, nullable=False),
    Column("first_block", BigInteger, nullable=False),  # to arrive
    Column("last_block", BigInteger, nullable=False),  # by its number in the chain
    Column("last_number", BigInteger, nullable=False),
    Column("numbers", BigInteger, nullable=False),  # how many are here
    Index("chains_chain", "tracker", "chain", unique=True),
)

# `clock_…`: of the sync that tells the time at the end of the boot best.
boots = Table(
    "boots",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("chain", BigInteger, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("syncs", SmallInteger, nullable=False),  # 0, 1, or 2 for more
    Column("doubt", SmallInteger, nullable=False),  # 1: the timeline of all its syncs decides
    Column("clock_t_ms", BigInteger),
    Column("clock_utc_ms", BigInteger),
    Column("clock_uncertainty_ms", BigInteger),
    Index("boots_number", "chain", "number", unique=True),
)

# One row for each tracker and shipment; the shipment is NOBODY for the time without one.
shipments = Table(
    "readings_shipments",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("tracker", String(23), nullable=False),
    Column("shipment", AnyString(32), nullable=False),
    Column("profile", AnyText),  # as registered
    Column("blocks", BigInteger, nullable=False),
    Column("samples", BigInteger, nullable=False),
    Column("received_ms", BigInteger, nullable=False),
    Column("last_block", BigInteger),
    Column("last_number", BigInteger),
    Column("chain", BigInteger),  # of the last block; a `…_boot` is a number in it
    Column("alarms", Integer, nullable=False),  # not withdrawn
    Column("standing", Integer, nullable=False),
    Column("acknowledged", SmallInteger, nullable=False),
    Column("faults", AnyText, nullable=False),  # [subject, code] of those that stand, JSON
    Column("status", BigInteger),  # of the newest sample
    Column("flight", SmallInteger, nullable=False),
    Column("profile_in_force", String(16)),
    Column("latitude", Integer),
    Column("longitude", Integer),
    Column("position_uncertainty_m", BigInteger),
    Column("position_source", SmallInteger),
    Column("position_boot", BigInteger),
    Column("position_t", BigInteger),
    Column("cell", String(40)),
    Column("cell_boot", BigInteger),
    Column("cell_t", BigInteger),
    # The newest reading of each channel, and when it was taken.
    *(
        column
        for channel in CHANNELS
        for column in (
            Column(channel, Integer),
            Column(f"{channel}_boot", BigInteger),
            Column(f"{channel}_t", BigInteger),
        )
    ),
    Index("readings_shipments_shipment", "tracker", "shipment", unique=True),
    Index("readings_shipments_name", "shipment"),
)

NOBODY: Final = ""
"""The shipment of a tracker that has none."""

MAX_CHAINS: Final = 32
"""So many of a tracker's newest chains are looked at where its blocks are summarised: an honest
tracker has a few, and what a dishonest one has must not cost others time."""

FOUND: Final = sa.text("(outcome > 0 OR flaw IS NOT NULL OR missing > 0 OR abandoned IS NOT NULL)")
"""What holds of blocks that something is found about."""

# `outcome`: 0 read, 1 undecoded, 2 damaged, 3 unread; `reason` says why. `flaw`: why its samples
# are not vouched for. `missing`: numbers between this block and the one before. `abandoned`: a
# shipment that was left without a stop before it. `context`: what it leaves for the next one.
blocks = Table(
    "readings_blocks",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("tracker", String(23), nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("received_ms", BigInteger, nullable=False),
    Column("outcome", SmallInteger, nullable=False),
    Column("reason", AnyText),
    Column("chain", BigInteger),
    Column("number", BigInteger),
    Column("filed", LargeBinary),  # the chain of one that is damaged
    Column("previous", LargeBinary),
    Column("boot", BigInteger),
    Column("shipment", BigInteger),
    Column("samples", Integer, nullable=False),
    Column("events", Integer, nullable=False),
    Column("first_t", BigInteger),
    Column("last_t", BigInteger),
    Column("interval_s", Integer),
    Column("urgent", SmallInteger, nullable=False),
    Column("opening", SmallInteger, nullable=False),  # 1: its first event is a boot
    Column("booted", SmallInteger, nullable=False),  # 1: one of its events is
    Column("flaw", String(16)),
    Column("missing", BigInteger),
    Column("abandoned", AnyString(32)),
    Column("doubt", SmallInteger, nullable=False),
    Column("context", AnyText),
    Index("readings_blocks_number", "chain", "number", "id"),
    Index("readings_blocks_shipment", "shipment", "chain", "number"),
    Index("readings_blocks_boot", "boot", "number"),
    Index(
        "readings_blocks_finding",
        "tracker",
        sqlite_where=FOUND,
        postgresql_where=FOUND,
    ),
)

# The figures of a block's samples: see buckets.py. Only of blocks that are vouched for.
buckets = Table(
    "buckets",
    metadata,
    Column("block", BigInteger, primary_key=True, autoincrement=False),
    Column("shipment", BigInteger, nullable=False),
    Column("boot", BigInteger, nullable=False),
    Column("first_t", BigInteger, nullable=False),
    Column("last_t", BigInteger, nullable=False),
    Column("interval_s", Integer, nullable=False),
    Column("gap_s", BigInteger, nullable=False),
    Column("missing", BigInteger, nullable=False),  # samples
    *(
        column
        for channel in CHANNELS
        for column in (
            Column(f"{channel}_count", Integer),
            Column(f"{channel}_min", Integer),
            Column(f"{channel}_max", Integer),
            Column(f"{channel}_sum", BigInteger),
            Column(f"{channel}_stood_s", BigInteger),
            Column(f"{channel}_within_s", BigInteger),
        )
    ),
    *(Column(f"{channel}_ageing", BigInteger) for channel in KINETIC_CHANNELS),
    Index("buckets_shipment", "shipment", "boot", "first_t"),
)

# How long readings met a limit of the shipment's profile; no row where it was no time at all.
beyond = Table(
    "beyond",
    metadata,
    Column("block", BigInteger, primary_key=True, autoincrement=False),
    Column("channel", SmallInteger, primary_key=True, autoincrement=False),
    Column("comparison", SmallInteger, primary_key=True, autoincrement=False),
    Column("threshold", Integer, primary_key=True, autoincrement=False),
    Column("shipment", BigInteger, nullable=False),
    Column("seconds", BigInteger, nullable=False),
    Index("beyond_shipment", "shipment"),
)

# Times for which no sample stands: `seconds` of those after the sample at `after_t`.
gaps = Table(
    "gaps",
    metadata,
    Column("block", BigInteger, primary_key=True, autoincrement=False),
    Column("place", SmallInteger, primary_key=True, autoincrement=False),
    Column("shipment", BigInteger, nullable=False),
    Column("boot", BigInteger, nullable=False),
    Column("after_t", BigInteger, nullable=False),
    Column("seconds", BigInteger, nullable=False),
    Column("missing", BigInteger, nullable=False),
    Index("gaps_shipment", "shipment"),
)


def _record(name: str, *columns: Column[int] | Column[str] | Index) -> Table:
    """Return a table of records, in the order of their time in their boot."""
    return Table(
        name,
        metadata,
        Column("boot", BigInteger, primary_key=True, autoincrement=False),
        Column("t", BigInteger, primary_key=True, autoincrement=False),
        Column("block", BigInteger, primary_key=True, autoincrement=False),
        Column("place", SmallInteger, primary_key=True, autoincrement=False),
        *columns,
        sqlite_with_rowid=False,
    )


samples = _record(
    "samples", Column("status", BigInteger), *(Column(name, Integer) for name in CHANNELS)
)
events = _record(
    "events",
    Column("type", SmallInteger, nullable=False),
    Column("fields", AnyText, nullable=False),  # JSON, by the contract's names
    Index("events_type", "boot", "type", "t"),
)
positions = _record(
    "positions",
    Column("latitude", Integer, nullable=False),
    Column("longitude", Integer, nullable=False),
    Column("uncertainty_m", BigInteger, nullable=False),
    Column("source", SmallInteger, nullable=False),
)

syncs = Table(
    "syncs",
    metadata,
    Column("boot", BigInteger, primary_key=True, autoincrement=False),
    Column("t_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("utc_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("uncertainty_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("source", SmallInteger, primary_key=True, autoincrement=False),
    Column("block", BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)

alarm_starts = Table(
    "alarm_starts",
    metadata,
    Column("block", BigInteger, primary_key=True, autoincrement=False),
    Column("place", SmallInteger, primary_key=True, autoincrement=False),
    Column("shipment", BigInteger, nullable=False),
    Column("boot", BigInteger, nullable=False),
    Column("t", BigInteger, nullable=False),
    Column("rule", SmallInteger, nullable=False),
    Column("kind", SmallInteger, nullable=False),
    Column("channel", SmallInteger, nullable=False),
    Column("comparison", SmallInteger, nullable=False),
    Column("threshold", Integer, nullable=False),
    Column("duration_s", BigInteger, nullable=False),
    Column("value", Integer, nullable=False),
    Column("beyond_s", BigInteger, nullable=False),
    Index("alarm_starts_shipment", "shipment"),
)

# An end names the start that it ends; None where that is not here. One alarm may have two ends:
# the second withdraws it (cause 5).
alarm_ends = Table(
    "alarm_ends",
    metadata,
    Column("block", BigInteger, primary_key=True, autoincrement=False),
    Column("place", SmallInteger, primary_key=True, autoincrement=False),
    Column("shipment", BigInteger, nullable=False),
    Column("boot", BigInteger, nullable=False),
    Column("t", BigInteger, nullable=False),
    Column("rule", SmallInteger, nullable=False),
    Column("cause", SmallInteger, nullable=False),
    Column("minimum", Integer, nullable=False),
    Column("maximum", Integer, nullable=False),
    Column("beyond_s", BigInteger, nullable=False),
    Column("start_block", BigInteger),
    Column("start_place", SmallInteger),
    Index("alarm_ends_shipment", "shipment"),
    Index("alarm_ends_start", "start_block", "start_place"),
)

OWNED: Final = (buckets, beyond, gaps, alarm_starts, alarm_ends)
"""What a block says in its context; made anew when that changes."""
TABLES: Final = (
    progress,
    trackers,
    chains,
    boots,
    shipments,
    blocks,
    samples,
    events,
    positions,
    syncs,
    *OWNED,
)
