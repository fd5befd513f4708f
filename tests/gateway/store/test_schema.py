"""A database that an earlier version made (files of its own hand) becomes one of this version."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from coldtrail_gateway.ingest import intake
from coldtrail_gateway.ingest.intake import Arrival, Kept
from coldtrail_gateway.store import schema
from coldtrail_gateway.store.database import Store
from coldtrail_gateway.store.registry import Shipment
from tests.gateway import databases
from tests.support.blocks.blockmaker import Maker, opened, rows

DATA = Path(__file__).parent / "data"
NOW_MS = 1_767_225_600_123


@pytest.fixture
def earlier(database: str, tmp_path: Path) -> str:
    """URL of a database as version 2 left it: trackers CT-1 and CT-2, blocks, commands, junk."""
    if database.startswith("sqlite"):
        shutil.copy(DATA / "gateway-2.db", tmp_path / "gateway.db")
        (tmp_path / "gateway.db").chmod(0o600)
    else:
        own = databases.engine(database)
        with own.connect() as connection:
            connection.exec_driver_sql((DATA / "gateway-2.sql").read_text(encoding="utf-8"))
            connection.commit()
        own.dispose()
    return database


def described(url: str) -> dict[str, Any]:
    """Return columns and indexes of every table."""
    own = databases.engine(url)
    found = sa.inspect(own)
    tables = {
        name: (
            {column["name"]: (str(column["type"]), column["nullable"], column["default"])
             for column in found.get_columns(name)},
            {index["name"]: (index["column_names"], bool(index["unique"]))
             for index in found.get_indexes(name)},
            found.get_pk_constraint(name)["constrained_columns"],
        )
        for name in found.get_table_names()
    }  # fmt: skip
    own.dispose()
    return tables


def version(url: str) -> int | None:
    own = databases.engine(url)
    with own.connect() as connection:
        found = schema.version(connection)
    own.dispose()
    return found


def test_it_becomes_what_a_new_one_is(earlier: str, tmp_path: Path) -> None:
    assert version(earlier) == 2
    Store(earlier, create=False).close()
    assert version(earlier) == schema.VERSION
    if earlier.startswith("sqlite"):
        new = f"sqlite:///{tmp_path}/new.db"
    else:
        new = f"{earlier}&options=-csearch_path%3Dnew"
        databases.tamper(earlier, sa.DDL("CREATE SCHEMA new"))
    Store(new, create=True).close()
    assert described(earlier) == described(new)


def test_all_that_it_held_is_there_and_goes_on(earlier: str) -> None:
    maker = Maker()
    blocks = [maker.block(rows(3)) for _ in range(5)]
    with Store(earlier, create=False) as store:
        with store.read() as tables:
            assert [tracker.id for tracker in tables.registry.trackers()] == ["CT-1", "CT-2"]
            assert tables.registry.shipment("S-1") == Shipment(
                "S-1", "CT-1", '{"a\\\\b":"\\u00e9"}'
            )
            assert [row.repeats for row in tables.archive.of("CT-1")] == [1, 0, 0, 0, 0, 0]
            assert [row.sealed for row in tables.archive.of("CT-1")][:3] == blocks[:3]
            commands = tables.commands.of("CT-1")
            assert [command.reason for command in commands] == ["no sky", None]
            assert sum(tables.quarantine.refused().values()) == 3
        outcomes = intake.take(
            store,
            [Arrival("CT-1", blocks[3]), Arrival("CT-1", blocks[0]), Arrival("CT-2", b"junk")],
            NOW_MS,
        )
        assert isinstance(outcomes[0], Kept)
        assert opened(outcomes[0].document or b"")[2] == 6
        assert [o.new for o in outcomes if isinstance(o, Kept)] == [True, False]
    known = sa.select(schema.quarantine.c.topic, schema.quarantine.c.known).order_by("id")
    own = databases.engine(earlier)
    with own.connect() as connection:
        found = [tuple(row) for row in connection.execute(known)]
    own.dispose()
    assert found == [("CT-1", True), ("CT-9", False), ("x", False), ("CT-2", True)]


def test_two_that_start_at_once_make_it_once(database: str) -> None:

    def start(_: int) -> None:
        Store(database, create=True).close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(start, range(8)))
    assert version(database) == schema.VERSION
