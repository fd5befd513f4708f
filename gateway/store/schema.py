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
)
from sqlalchemy.engine import Connection

from coldtrail_gateway.store.dialect import insert, one_at_a_time, take_time
from coldtrail_gateway.store.text import AnyString, AnyText

# 1 had no commands; 2 had other indexes, and one quarantine for everything.
VERSION: Final = 3

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
    Column("repeats", Integer, nullable=False, default=0),
    Column("repeated_ms", BigInteger),
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


def version(connection: Connection) -> int | None:
    """Return the version of the schema; None where there is none."""
    if not sa.inspect(connection).has_table(schema.name):
        return None
    return connection.scalar(sa.select(schema.c.version))


def create(connection: Connection) -> None:
    """Make the tables, or bring those of an earlier version to this one; leave a newer one."""
    one_at_a_time(connection)
    take_time(connection)
    found = version(connection)
    if found is not None and found >= VERSION:
        return
    if found is not None:
        _upgrade(connection)
    metadata.create_all(connection)
    for table in metadata.sorted_tables:
        for index in table.indexes:
            # Making all leaves out what a table that was there already has not.
            index.create(connection, checkfirst=True)
    if found is None:
        connection.execute(insert(connection, schema).values(version=VERSION))
    else:
        connection.execute(sa.update(schema).values(version=VERSION))


def _upgrade(connection: Connection) -> None:
    """Change what a table of an earlier version has; what it has not is made afterwards."""
    for index in ("commands_open", "blocks_digest", "blocks_number"):
        connection.execute(sa.text(f"DROP INDEX IF EXISTS {index}"))
    added = sa.schema.CreateColumn(quarantine.c.known).compile(dialect=connection.dialect)
    connection.execute(sa.text(f"ALTER TABLE quarantine ADD COLUMN {added}"))
    named = quarantine.c.topic.in_(sa.select(sa.type_coerce(trackers.c.id, AnyText)))
    connection.execute(sa.update(quarantine).values(known=named))
