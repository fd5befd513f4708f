"""The archive as version 3 made it, from nothing or from version 1, 2 or 3.

Version 1 had no commands; version 2 had other indexes, and one quarantine for everything. The
programs that made them look at `coldtrail_schema`: what it says from here on tells them that this
database is too new for them.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op
from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, LargeBinary, Text

revision = "0001_baseline"
down_revision = None

_TOO_NEW: Final = 4

_metadata = sa.MetaData()
_row_id = BigInteger().with_variant(Integer(), "sqlite")

_schema = sa.Table("coldtrail_schema", _metadata, Column("version", Integer, primary_key=True))
_trackers = sa.Table(
    "trackers",
    _metadata,
    Column("id", sa.String(23), primary_key=True),
    Column("test", Boolean, nullable=False),
    Column("chain", LargeBinary),
    Column("key_version", Integer),
    Column("last_seen_ms", BigInteger),
)
_keys = sa.Table(
    "keys",
    _metadata,
    Column("tracker", ForeignKey("trackers.id"), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("uplink", LargeBinary, nullable=False),
    Column("downlink", LargeBinary, nullable=False),
    Index("keys_uplink", "uplink"),
    Index("keys_downlink", "downlink"),
)
_shipments = sa.Table(
    "shipments",
    _metadata,
    Column("id", sa.String(32), primary_key=True),
    Column("tracker", ForeignKey("trackers.id"), nullable=False),
    Column("profile", Text),
)
_blocks = sa.Table(
    "blocks",
    _metadata,
    Column("id", _row_id, primary_key=True),
    Column("tracker", ForeignKey("trackers.id"), nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("key_version", Integer, nullable=False),
    Column("received_ms", BigInteger, nullable=False),
    Column("chain", LargeBinary),
    Column("number", BigInteger),
    Column("repeats", Integer, nullable=False),
    Column("repeated_ms", BigInteger),
    Index("blocks_identity", "tracker", "chain", "number", "digest", unique=True),
    Index(
        "blocks_unread",
        "tracker",
        "digest",
        unique=True,
        sqlite_where=sa.text("chain IS NULL"),
        postgresql_where=sa.text("chain IS NULL"),
    ),
)
_kept = sa.Table(
    "kept",
    _metadata,
    Column("tracker", ForeignKey("trackers.id"), primary_key=True),
    Column("chain", LargeBinary, primary_key=True),
    Column("first", BigInteger, primary_key=True, autoincrement=False),
    Column("last", BigInteger, nullable=False),
)
_commands = sa.Table(
    "commands",
    _metadata,
    Column("tracker", ForeignKey("trackers.id"), primary_key=True),
    Column("counter", BigInteger, primary_key=True, autoincrement=False),
    Column("action", LargeBinary, nullable=False),
    Column("expiry", BigInteger, nullable=False),
    Column("made_ms", BigInteger, nullable=False),
    Column("sent_ms", BigInteger),
    Column("taken_ms", BigInteger),
    Column("ended_ms", BigInteger),
    Column("outcome", Integer),
    Column("reason", Text),
    Index("commands_open", "outcome", "expiry"),
    Index("commands_awaited", "tracker", "outcome"),
)
_quarantine = sa.Table(
    "quarantine",
    _metadata,
    Column("id", _row_id, primary_key=True),
    Column("received_ms", BigInteger, nullable=False),
    Column("topic", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("message", LargeBinary, nullable=False),
    Column("known", Boolean, nullable=False, server_default=sa.false()),
    Index("quarantine_topic", "topic", "id"),
    Index("quarantine_known", "known", "id"),
)
_refused = sa.Table(
    "refused",
    _metadata,
    Column("reason", Text, primary_key=True),
    Column("count", BigInteger, nullable=False),
)


def upgrade() -> None:
    """Make the tables, or change those that are there; what they hold stays."""
    connection = op.get_bind()
    has_schema = sa.inspect(connection).has_table(_schema.name)
    found = connection.scalar(sa.select(_schema.c.version)) if has_schema else None
    if found in {1, 2}:
        _from_version_2()
    _metadata.create_all(connection)
    for table in _metadata.sorted_tables:
        for index in table.indexes:
            # Making all leaves out what a table that was there already has not.
            index.create(connection, checkfirst=True)
    connection.execute(sa.delete(_schema))
    connection.execute(sa.insert(_schema).values(version=_TOO_NEW))


def _from_version_2() -> None:
    """Change what a table of versions 1 and 2 has; what it has not is made afterwards."""
    for index in ("commands_open", "blocks_digest", "blocks_number"):
        op.execute(f"DROP INDEX IF EXISTS {index}")
    known = Column("known", Boolean, nullable=False, server_default=sa.false())
    op.add_column("quarantine", known)
    named = _quarantine.c.topic.in_(sa.select(_trackers.c.id))
    op.execute(sa.update(_quarantine).values(known=named))
