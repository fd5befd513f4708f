"""The evidence is only added to: both databases refuse to change it, whoever asks."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from coldtrail_gateway.ingest import intake
from coldtrail_gateway.ingest.intake import Arrival
from coldtrail_gateway.store import schema
from coldtrail_gateway.store.database import Store
from tests.gateway import databases
from tests.support.blocks.blockmaker import Maker, rows

NOW_MS = 1_767_225_600_123
only_postgresql = pytest.mark.parametrize("database", ["postgresql"], indirect=True)
only_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
TABLE = schema.blocks


@pytest.fixture
def blocks(store: Store) -> list[bytes]:
    """Three blocks that are archived."""
    maker = Maker()
    made = [maker.block(rows(2)) for _ in range(3)]
    intake.take(store, [Arrival("CT-1", block) for block in made], NOW_MS)
    return made


def archived(store: Store) -> list[bytes]:
    with store.read() as tables:
        return [row.sealed for row in tables.archive.of("CT-1")]


CHANGES = [
    sa.update(TABLE).where(TABLE.c.number == 2).values(sealed=b"other"),
    sa.update(TABLE).where(TABLE.c.number == 2).values(received_ms=1),
    sa.update(TABLE).where(TABLE.c.number == 2).values(id=99),
    sa.update(TABLE).values(number=TABLE.c.number),
    sa.delete(TABLE).where(TABLE.c.number == 2),
    sa.delete(TABLE),
]


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_a_row_of_blocks_is_neither_changed_nor_deleted(
    store: Store, database: str, blocks: list[bytes], change: sa.Executable
) -> None:
    with pytest.raises(DBAPIError, match="blocks only grows: no row is changed or removed"):
        databases.tamper(database, change)
    assert archived(store) == blocks


@only_postgresql
@pytest.mark.parametrize(
    "statement",
    [
        "TRUNCATE blocks CASCADE",
        "TRUNCATE trackers CASCADE",
        "SET session_replication_role = replica; DELETE FROM repeats; DELETE FROM blocks",
        "INSERT INTO blocks SELECT * FROM blocks ON CONFLICT (id) DO UPDATE SET sealed = 'other'",
    ],
)
def test_nor_by_any_statement_of_postgresql(
    store: Store, database: str, blocks: list[bytes], statement: str
) -> None:
    with pytest.raises(DBAPIError, match="blocks only grows: no row is changed or removed"):
        databases.tamper(database, sa.text(statement))
    assert archived(store) == blocks


@only_sqlite
def test_nor_by_replace(store: Store, database: str, blocks: list[bytes]) -> None:
    """Of SQLite it deletes rows, and tells the triggers of DELETE nothing."""
    columns = "tracker, digest, sealed, key_version, received_ms, chain, number"
    other = f"{columns.replace('sealed', 'zeroblob(9)')} FROM blocks WHERE number = 2"
    of_that_id = other.replace("digest", "zeroblob(32)")
    with pytest.raises(DBAPIError, match="blocks only grows: no row is replaced"):
        databases.tamper(
            database,
            sa.text(f"INSERT OR REPLACE INTO blocks (id, {columns}) SELECT id, {of_that_id}"),
        )
    same_identity = sa.text(f"INSERT OR REPLACE INTO blocks ({columns}) SELECT {other}")
    databases.tamper(database, same_identity)  # does nothing, as the gateway's own statement
    assert archived(store) == blocks


def test_what_comes_again_is_counted_beside_it(store: Store, blocks: list[bytes]) -> None:
    odd = Maker().block(k0=2)  # of a version that is not known
    unread = [Arrival("CT-1", block) for block in (odd, odd, blocks[1], odd)]
    intake.take(store, unread, NOW_MS + 1)
    intake.take(store, [Arrival("CT-1", blocks[1])], NOW_MS + 2)
    with store.read() as tables:
        found = [(row.repeats, row.repeated_ms) for row in tables.archive.of("CT-1")]
    assert found == [(0, None), (2, NOW_MS + 2), (0, None), (2, NOW_MS + 1)]
