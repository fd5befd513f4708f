"""How often a block came again stands in a table of its own, so that blocks are never changed."""

from __future__ import annotations

from typing import Final

from alembic import op
from sqlalchemy import BigInteger, Column, ForeignKey, Integer

from coldtrail_gateway.store.migrations.only_grows import protect

revision = "0002_repeats"
down_revision = "0001_baseline"

# The other way to replace a row: by what else is unique. It does nothing, as the gateway's own
# INSERT of bytes that are there.
_SQLITE: Final = """
CREATE TRIGGER blocks_no_second BEFORE INSERT ON blocks
WHEN EXISTS (
    SELECT 1 FROM blocks WHERE tracker = NEW.tracker AND chain IS NEW.chain
    AND number IS NEW.number AND digest = NEW.digest
)
BEGIN SELECT RAISE(IGNORE); END
"""
# Also where session_replication_role says that triggers are for others.
_POSTGRESQL: Final = "ALTER TABLE blocks ENABLE ALWAYS TRIGGER blocks_only_grows"


def upgrade() -> None:
    """Move the counts; then let rows of blocks only be added."""
    row_id = BigInteger().with_variant(Integer(), "sqlite")
    op.create_table(
        "repeats",
        Column("block", row_id, ForeignKey("blocks.id"), primary_key=True, autoincrement=False),
        Column("count", BigInteger, nullable=False),
        Column("last_ms", BigInteger, nullable=False),
    )
    op.execute(
        "INSERT INTO repeats (block, count, last_ms) "
        "SELECT id, repeats, coalesce(repeated_ms, received_ms) FROM blocks WHERE repeats > 0"
    )
    for column in ("repeats", "repeated_ms"):
        # Both databases have it; Alembic would copy the table.
        op.execute(f"ALTER TABLE blocks DROP COLUMN {column}")
    protect("blocks", "id")
    if op.get_bind().dialect.name == "sqlite":
        op.execute(_SQLITE)
        return
    op.execute(_POSTGRESQL)
    for table in ("trackers", "kept"):
        # Each block changes a row: its next version finds its place on the same page (HOT).
        op.execute(f"ALTER TABLE {table} SET (fillfactor = 50)")
