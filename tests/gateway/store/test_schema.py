"""A database that an earlier version made (files of its own hand) becomes one of this version."""

from __future__ import annotations

import importlib
import shutil
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from coldtrail_gateway.ingest import intake
from coldtrail_gateway.ingest.intake import Arrival, Kept
from coldtrail_gateway.store import location, schema
from coldtrail_gateway.store.database import Store, StoreError
from coldtrail_gateway.store.migrations.history import ARCHIVE, TOWER, VERSION_TABLE, History
from coldtrail_gateway.store.registry import Shipment
from coldtrail_gateway.store.tower.database import Tower
from tests.gateway import databases
from tests.support.blocks.blockmaker import Maker, opened, rows

DATA = Path(__file__).parent / "data"
GATEWAY = Path(intake.__file__).parents[1]
NOW_MS = 1_767_225_600_123
OPEN: dict[str, Callable[..., Store | Tower]] = {"archive": Store, "tower": Tower}
BOTH = pytest.mark.parametrize("history", [ARCHIVE, TOWER], ids=lambda history: history.folder)


def place(database: str, history: History) -> str:
    """Return the URL of one of the two databases, for an engine of the tests' own."""
    if history is ARCHIVE:
        return database
    if database.startswith("sqlite"):
        return f"sqlite:///{location.beside(Path(database.removeprefix('sqlite:///')), 'tower')}"
    return f"{database}&options=-csearch_path%3Dtower"


@pytest.fixture(params=[1, 2, 3])
def released(request: pytest.FixtureRequest) -> int:
    """A version that was given out before there were revisions."""
    version: int = request.param
    return version


@pytest.fixture
def earlier(database: str, released: int, tmp_path: Path) -> str:
    """URL of a database as that version left it: trackers CT-1 and CT-2, blocks, junk, commands.

    Version 1 had no commands, and no other difference to version 2.
    """
    file = max(released, 2)
    if database.startswith("sqlite"):
        shutil.copy(DATA / f"gateway-{file}.db", tmp_path / "gateway.db")
        (tmp_path / "gateway.db").chmod(0o600)
    else:
        own = databases.engine(database)
        with own.connect() as connection:
            connection.exec_driver_sql((DATA / f"gateway-{file}.sql").read_text(encoding="utf-8"))
            connection.commit()
        own.dispose()
    if released == 1:
        databases.tamper(database, sa.DDL("DROP TABLE commands"), of_version(1))
    return database


def of_version(version: int) -> sa.Executable:
    return sa.update(schema.schema).values(version=version)


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


def test_it_becomes_what_a_new_one_is(earlier: str, tmp_path: Path) -> None:
    Store(earlier, create=False).close()
    assert databases.revision(earlier) == ARCHIVE.newest
    if earlier.startswith("sqlite"):
        new = f"sqlite:///{tmp_path}/new.db"
    else:
        new = f"{earlier}&options=-csearch_path%3Dnew"
        databases.tamper(earlier, sa.DDL("CREATE SCHEMA new"))
    Store(new, create=True).close()
    assert described(earlier) == described(new)


def test_all_that_it_held_is_there_and_goes_on(earlier: str, released: int) -> None:
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
            reasons = [command.reason for command in tables.commands.of("CT-1")]
            assert reasons == ([] if released == 1 else ["no sky", None])
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


@pytest.mark.parametrize("released", [2], indirect=True)
def test_a_revision_that_fails_leaves_all_as_it_was(earlier: str) -> None:
    databases.tamper(earlier, sa.DDL("ALTER TABLE quarantine ADD COLUMN known INTEGER"))
    before = described(earlier)
    with pytest.raises(StoreError, match="known"):
        Store(earlier, create=False)
    assert described(earlier) == before


def test_an_earlier_program_refuses_it(database: str) -> None:
    """Version 3 looked at this number, and refused any that was not 3."""
    Store(database, create=True).close()
    own = databases.engine(database)
    with own.connect() as connection:
        assert connection.scalar(sa.select(schema.schema.c.version)) == 4
    own.dispose()


@pytest.mark.parametrize("released", [2], indirect=True)
def test_several_that_start_at_once_bring_it_on_once(earlier: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: Store(earlier, create=False).close(), range(8)))
    assert databases.revision(earlier) == ARCHIVE.newest


@BOTH
def test_several_that_start_at_once_make_it_once(database: str, history: History) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: OPEN[history.folder](database, create=True).close(), range(8)))
    assert databases.revision(place(database, history)) == history.newest


@BOTH
def test_the_revisions_make_what_the_tables_say(database: str, history: History) -> None:
    for file in sorted(GATEWAY.glob("*/*tables.py")):
        importlib.import_module(f"coldtrail_gateway.{file.parent.name}.{file.stem}")
    OPEN[history.folder](database, create=True).close()
    own = databases.engine(place(database, history))
    with own.connect() as connection:
        options = {"version_table": VERSION_TABLE, "compare_server_default": True}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, history.metadata) == []
    own.dispose()


@BOTH
@pytest.mark.parametrize("create", [True, False])
def test_one_of_a_later_program_is_left_alone(
    database: str, history: History, *, create: bool
) -> None:
    OPEN[history.folder](database, create=True).close()
    databases.tamper(place(database, history), databases.LATER)
    with pytest.raises(StoreError, match=r"schema 9999_later.*Coldtrail that made it, or a newer"):
        OPEN[history.folder](database, create=create)
    assert databases.revision(place(database, history)) == "9999_later"


@pytest.mark.parametrize("version", [0, 4])
def test_a_version_that_never_was_is_left_alone(database: str, version: int) -> None:
    Store(database, create=True).close()
    gone = sa.DDL(f"DROP TABLE {VERSION_TABLE}")
    databases.tamper(database, gone, of_version(version))
    before = described(database)
    with pytest.raises(StoreError, match=f"has schema {version}, "):
        Store(database, create=True)
    assert described(database) == before


def test_neither_database_is_taken_for_the_other(tmp_path: Path) -> None:
    Tower(tmp_path / "gateway.db", create=True).close()
    with pytest.raises(StoreError, match=r"gateway\.tower\.db has schema 0.*another with --db"):
        Store(tmp_path / "gateway.tower.db", create=True)
    (tmp_path / "gateway.tower.db").unlink()
    Store(tmp_path / "gateway.db", create=True).close()
    (tmp_path / "gateway.db").rename(tmp_path / "gateway.tower.db")
    with pytest.raises(StoreError, match=r"gateway\.tower\.db has schema 0.*another with --db"):
        Tower(tmp_path / "gateway.db", create=True)


def test_the_towers_file_lies_beside_the_archives_and_is_as_private(tmp_path: Path) -> None:
    with Tower(tmp_path / "a.b.db", create=True) as tower:
        assert tower.shared is None
        file = tmp_path / "a.b.tower.db"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        file.chmod(0o640)
        assert tower.shared == file
    Tower(tmp_path / "plain", create=True).close()
    assert (tmp_path / "plain.tower").exists()


def test_where_there_is_no_tower_yet_a_reader_is_told_what_to_do(database: str) -> None:
    Store(database, create=True).close()
    with pytest.raises(StoreError, match=r"start the judge first \(coldtrail gateway judge\)"):
        Tower(database, create=False)


def test_the_towers_tables_are_not_among_the_archives(database: str) -> None:
    Store(database, create=True).close()
    before = described(database)
    Tower(database, create=True).close()
    assert described(database) == before
    assert VERSION_TABLE in described(place(database, TOWER))


def test_what_holds_the_tower_does_not_hold_up_the_archive(store: Store, database: str) -> None:
    block = Maker().block(rows(3))
    with Tower(database, create=True) as tower, tower.write() as connection:
        connection.execute(sa.text(f"UPDATE {VERSION_TABLE} SET version_num = version_num"))
        (kept,) = intake.take(store, [Arrival("CT-1", block)], NOW_MS)
    assert isinstance(kept, Kept)
