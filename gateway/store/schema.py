"""The tables. `blocks` is the evidence; `kept` is derived from it, and rebuilt at each start."""

from __future__ import annotations

from typing import Final

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
    Text,
)
from sqlalchemy.engine import Connection

from coldtrail_gateway.store.dialect import insert

VERSION: Final = 2  # 1 had no commands

metadata = MetaData()

# SQLite numbers rows by itself only where the type is exactly INTEGER.
_RowId = BigInteger().with_variant(Integer(), "sqlite")

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
)

shipments = Table(
    "shipments",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("tracker", ForeignKey("trackers.id"), nullable=False),
    Column("profile", Text),  # JSON
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
    Column("repeats", Integer, nullable=False, default=0),
    Column("repeated_ms", BigInteger),
    Index("blocks_digest", "tracker", "digest", unique=True),
    Index("blocks_number", "tracker", "chain", "number"),
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
    Column("reason", Text),
    Index("commands_open", "outcome"),
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", _RowId, primary_key=True),
    Column("received_ms", BigInteger, nullable=False),
    Column("topic", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("message", LargeBinary, nullable=False),  # its first 4 KiB
)

# How many were refused in all, also those that the quota has dropped from the quarantine.
refused = Table(
    "refused",
    metadata,
    Column("reason", Text, primary_key=True),
    Column("count", BigInteger, nullable=False),
)


def version(connection: Connection) -> int | None:
    """Return the version of the schema; None where there is none."""
    if not sa.inspect(connection).has_table(schema.name):
        return None
    return connection.scalar(sa.select(schema.c.version))


def create(connection: Connection) -> None:
    """Make the tables that are not there yet; a newer database stays as it is."""
    found = version(connection)
    if found is not None and found >= VERSION:
        return
    # Up to now a new version had more tables, and no other change.
    metadata.create_all(connection)
    if found is None:
        first = insert(connection, schema).values(version=VERSION)
        connection.execute(first.on_conflict_do_nothing())
    else:
        connection.execute(sa.update(schema).values(version=VERSION))
