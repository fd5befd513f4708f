"""PostgreSQL: what a confirmation rests on, and a limit to every wait."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from coldtrail_gateway import urls
from coldtrail_gateway.ingest import intake
from coldtrail_gateway.ingest.intake import Arrival, Kept
from coldtrail_gateway.store import postgresql
from coldtrail_gateway.store.database import Store, StoreError
from coldtrail_gateway.store.registry import KeyPair
from tests.gateway import databases
from tests.gateway.databases import Server
from tests.support.blocks.blockmaker import DOWNLINK, UPLINK, Maker, rows

NOW_MS = 1_767_225_600_123


@pytest.fixture(scope="module")
def programs() -> Path:
    folder = databases.programs()
    if folder is None:
        pytest.skip(databases.MISSING)
    return folder


@pytest.fixture
def careless(programs: Path) -> Iterator[Server]:
    """A server that answers a commit before it is on disk: it is told so, and so is the role."""
    settings = ("synchronous_commit=off", "wal_writer_delay=10s", "wal_writer_flush_after=0")
    with databases.postgresql(programs, *settings) as server:
        of_role = sa.DDL("ALTER ROLE coldtrail SET synchronous_commit = off")
        databases.tamper(server.url, of_role)
        yield server


def test_what_is_confirmed_outlives_an_immediate_stop(careless: Server) -> None:
    with Store(careless.url, create=True) as store, store.write() as tables:
        tables.registry.add_tracker("CT-1", test=True)
        tables.registry.add_key("CT-1", 1, KeyPair(UPLINK, DOWNLINK))
    maker, confirmed = Maker(), []
    for _ in range(5):
        with Store(f"{careless.url}&options=-csynchronous_commit%3Doff", create=False) as store:
            for _ in range(20):
                block = maker.block(rows(3))
                (kept,) = intake.take(store, [Arrival("CT-1", block)], NOW_MS)
                assert isinstance(kept, Kept)
                confirmed.append(block)
            careless.stop_at_once()
        careless.start()
        with Store(careless.url, create=False) as store, store.read() as tables:
            assert [row.sealed for row in tables.archive.of("CT-1")] == confirmed


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes"])
def test_a_server_that_is_not_safe_is_refused(programs: Path, setting: str) -> None:
    with (
        databases.postgresql(programs, f"{setting}=off") as server,
        pytest.raises(StoreError, match=rf"not safe \({setting} is off\): .*set {setting} = on"),
    ):
        Store(server.url, create=True)


def test_a_database_that_cannot_hold_every_text_is_refused(postgresql_server: str) -> None:
    latin = databases.create(postgresql_server, "TEMPLATE template0 ENCODING 'LATIN1'")
    with pytest.raises(StoreError, match="server_encoding is LATIN1"):
        Store(latin, create=True)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
@pytest.mark.parametrize(
    "lock",
    [
        "LOCK TABLE blocks IN ACCESS EXCLUSIVE MODE",
        "SELECT * FROM trackers FOR UPDATE",
        "LOCK TABLE trackers IN ACCESS EXCLUSIVE MODE",
    ],
)
def test_a_lock_is_waited_for_but_not_for_ever(store: Store, database: str, lock: str) -> None:
    arrivals = [Arrival("CT-1", Maker().block())]
    own = databases.engine(database)
    with own.connect() as other:
        other.exec_driver_sql(lock)
        with pytest.raises(StoreError, match="is locked: end what holds it"):
            intake.take(store, arrivals, NOW_MS)
        other.rollback()
    own.dispose()
    (kept,) = intake.take(store, arrivals, NOW_MS)
    assert isinstance(kept, Kept)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_server_that_does_not_get_done_is_not_waited_for(store: Store, database: str) -> None:
    databases.tamper(
        database,
        sa.DDL(
            "CREATE FUNCTION sleep() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN PERFORM pg_sleep(600); RETURN NEW; END $$"
        ),
        sa.DDL(
            "CREATE TRIGGER sleep BEFORE INSERT ON blocks FOR EACH ROW EXECUTE FUNCTION sleep()"
        ),
    )
    with pytest.raises(StoreError, match="takes too long"):
        intake.take(store, [Arrival("CT-1", Maker().block())], NOW_MS)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_who_is_halted_in_a_transaction_does_not_hold_locks_for_ever(database: str) -> None:
    """The gateway's session has the server's limit, which then ends it: shown with a short one."""
    url = f"{database}&options=-cidle_in_transaction_session_timeout%3D0"
    own = postgresql.engine(urls.parse(url), None)
    with own.connect() as halted:
        limit = halted.exec_driver_sql("SHOW idle_in_transaction_session_timeout").scalar()
        assert limit == "5min"
        halted.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = '10ms'")
        halted.exec_driver_sql("SELECT pg_advisory_xact_lock(1)")
        other = databases.engine(database)
        with other.connect() as waiting:
            waiting.exec_driver_sql("SELECT pg_advisory_xact_lock(1)")
        other.dispose()
        halted.invalidate()
    own.dispose()
