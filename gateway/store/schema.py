"""The tables of the archive, as the newest revision in `migrations/archive` leaves them.

`blocks` is the evidence: a trigger refuses to change or delete a row. `kept` is derived from it,
and rebuilt at each start.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
)

from coldtrail_gateway.store.text import AnyString, AnyText

metadata = MetaData()

# SQLite numbers rows by itself only where the type is exactly INTEGER.
_RowId = BigInteger().with_variant(Integer(), "sqlite")

# What programs look at that are older than the revisions in `migrations/archive`.
schema = Table("coldtrail_schema", metadata, Column("version", Integer, primary_key=True))

trackers = Table(
    "trackers",
    metadata,
    Column("id", String(23), primary_key=True),
    Column("test", Boolean, nullable=False),
    # From the newest message that verified: chain and key of the retained confirmation.
    Column("chain", LargeBinary),
    Column("key_version", Integer),
    Column("last_seen_ms", BigInteger),
)

keys = Table(
    "keys",
    metadata,
    Column("tracker", ForeignKey("trackers.id"), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("uplink", LargeBinary, nullable=False),
    Column("downlink", LargeBinary, nullable=False),
    # No key may be given out twice.
    Index("keys_uplink", "uplink"),
    Index("keys_downlink", "downlink"),
)

shipments = Table(
    "shipments",
    metadata,
    Column("id", AnyString(32), primary_key=True),
    Column("tracker", ForeignKey("trackers.id"), nullable=False),
    Column("profile", AnyText),  # JSON
)

blocks = Table(
    "blocks",
    metadata,
    Column("id", _RowId, primary_key=True),  # order of arrival
    Column("tracker", ForeignKey("trackers.id"), nullable=False),
    Column("digest", LargeBinary, nullable=False),  # SHA-256 of `sealed`
    Column("sealed", LargeBinary, nullable=False),
    Column("key_version", Integer, nullable=False),
    Column("received_ms", BigInteger, nullable=False),
    # Index only; absent where the payload does not even begin as a block.
    Column("chain", LargeBinary),
    Column("number", BigInteger),
    # Where a tracker goes on is one place of this index, however large the archive is.
    Index("blocks_identity", "tracker", "chain", "number", "digest", unique=True),
    # The other holds no null to be unique.
    Index(
        "blocks_unread",
        "tracker",
        "digest",
        unique=True,
        sqlite_where=sa.text("chain IS NULL"),
        postgresql_where=sa.text("chain IS NULL"),
    ),
)

# How often the same bytes came again; where they never did, there is no row.
repeats = Table(
    "repeats",
    metadata,
    Column("block", ForeignKey("blocks.id"), primary_key=True, autoincrement=False),
    Column("count", BigInteger, nullable=False),
    Column("last_ms", BigInteger, nullable=False),
)

kept = Table(
    "kept",
    metadata,
    Column("tracker", ForeignKey("trackers.id"), primary_key=True),
    Column("chain", LargeBinary, primary_key=True),
    Column("first", BigInteger, primary_key=True, autoincrement=False),
    Column("last", BigInteger, nullable=False),
)

commands = Table(
    "commands",
    metadata,
    Column("tracker", ForeignKey("trackers.id"), primary_key=True),
    Column("counter", BigInteger, primary_key=True, autoincrement=False),
    Column("action", LargeBinary, nullable=False),  # CBOR
    Column("expiry", BigInteger, nullable=False),  # s
    Column("made_ms", BigInteger, nullable=False),
    Column("sent_ms", BigInteger),
    Column("taken_ms", BigInteger),
    Column("ended_ms", BigInteger),
    Column("outcome", Integer),
    Column("reason", AnyText),
    Index("commands_open", "outcome", "expiry"),
    Index("commands_awaited", "tracker", "outcome"),
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", _RowId, primary_key=True),
    Column("received_ms", BigInteger, nullable=False),
    Column("topic", AnyText, nullable=False),
    Column("reason", AnyText, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("message", LargeBinary, nullable=False),  # its first 4 KiB
    # Whether the topic names a tracker that was registered then.
    Column("known", Boolean, nullable=False, server_default=sa.false()),
    Index("quarantine_topic", "topic", "id"),
    Index("quarantine_known", "known", "id"),
)

# How many were refused in all, also those that the quota has dropped from the quarantine.
refused = Table(
    "refused",
    metadata,
    Column("reason", AnyText, primary_key=True),
    Column("count", BigInteger, nullable=False),
)
