"""A synchronous standby that does not answer: nothing is confirmed on this server's word alone."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from coldtrail_gateway.ingest import intake, stopping
from coldtrail_gateway.ingest.intake import Arrival, Kept
from coldtrail_gateway.store import postgresql
from coldtrail_gateway.store.database import Store
from coldtrail_gateway.store.errors import NotOnStandbyError
from coldtrail_gateway.store.registry import KeyPair
from coldtrail_simulator.services.mosquitto import Broker
from tests.gateway import databases
from tests.gateway.databases import Server
from tests.gateway.running import CONFIRMATION, Client, archived, running
from tests.support.blocks.blockmaker import DOWNLINK, UPLINK, Maker
from tests.support.host import until

NOW_MS = 1_767_225_600_123
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"


class Watch:
    """Somebody at the server, who sees and sets what he likes."""

    def __init__(self, server: Server) -> None:
        self._engine = databases.engine(server.url).execution_options(isolation_level="AUTOCOMMIT")

    def ask(self, statement: str) -> object:
        with self._engine.connect() as connection:
            # A commit of his own waits for nobody.
            connection.exec_driver_sql("SET synchronous_commit = local")
            return connection.execute(sa.text(statement)).scalar()

    def standby(self, name: str) -> None:
        with self._engine.connect() as connection:
            connection.exec_driver_sql(f"ALTER SYSTEM SET synchronous_standby_names = '{name}'")
            connection.exec_driver_sql("SELECT pg_reload_conf()")
        until(lambda: self.ask("SHOW synchronous_standby_names") == name)

    def close(self) -> None:
        self._engine.dispose()


@pytest.fixture
def server() -> Iterator[Server]:
    programs = databases.programs()
    if programs is None:
        pytest.skip(databases.MISSING)
    with databases.postgresql(programs) as own:
        yield own


@pytest.fixture
def watch(server: Server) -> Iterator[Watch]:
    found = Watch(server)
    yield found
    found.close()


def test_a_block_is_kept_but_confirmed_only_when_the_standby_has_it(
    server: Server, watch: Watch, mosquitto: Broker, tmp_path: Path
) -> None:
    url = f"mqtt://127.0.0.1:{mosquitto.port}"
    maker = Maker()
    with (
        running(tmp_path, url, db=server.url) as gateway,
        Client(mosquitto.port, CONFIRMATION) as client,
    ):
        watch.standby("nobody")
        block = maker.block()
        client.publish(block)
        until(lambda: "its synchronous standby has not answered" in gateway.said(), gateway.said)
        assert archived(gateway) == [block]
        assert not client.confirmations()
        # Neither by what a new connection to the broker publishes again.
        mosquitto.kill()
        mosquitto.start()
        with Client(mosquitto.port, CONFIRMATION) as anew:
            until(lambda: "confirmations to publish again: 1" in gateway.said(), gateway.said)
            until(lambda: watch.ask(WAITING))
            assert not anew.confirmations()
            watch.standby("")
            assert anew.wait(lambda: any(d[2] == 1 for d in anew.confirmations()))
        assert archived(gateway) == [block]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_wait(
    server: Server, watch: Watch, mosquitto: Broker, tmp_path: Path, number: int
) -> None:
    block = Maker().block()
    with (
        running(tmp_path, f"mqtt://127.0.0.1:{mosquitto.port}", db=server.url) as gateway,
        Client(mosquitto.port, CONFIRMATION) as client,
    ):
        watch.standby("nobody")
        client.publish(block)
        until(lambda: watch.ask(WAITING))
        assert gateway.stop(number) == 0
        assert "Traceback" not in gateway.said()
        assert not client.confirmations()
        # It has left nobody behind who holds locks.
        until(lambda: not watch.ask(WAITING))
        watch.standby("")
        gateway.restart()
        assert client.wait(lambda: any(d[2] == 1 for d in client.confirmations()))
        assert archived(gateway) == [block]


def test_whoever_cancels_the_wait(server: Server, watch: Watch) -> None:
    """Also where an administrator does it, and not the limit."""
    block = Arrival("CT-1", Maker().block())
    with Store(server.url, create=True) as store, ThreadPoolExecutor(1) as pool:
        with store.write() as tables:
            tables.registry.add_tracker("CT-1", test=True)
            tables.registry.add_key("CT-1", 1, KeyPair(UPLINK, DOWNLINK))
        store.settle()  # there is no standby
        watch.standby("nobody")
        taken = pool.submit(intake.take, store, [block], NOW_MS)
        cancel = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
        until(lambda: watch.ask(cancel))
        with pytest.raises(NotOnStandbyError):
            taken.result()
        with pytest.raises(NotOnStandbyError):
            store.settle()
        watch.standby("")
        store.settle()
        (again,) = intake.take(store, [block], NOW_MS)
        assert isinstance(again, Kept)
        assert not again.new


def test_the_limits() -> None:
    assert postgresql.COMMIT_S <= 10
    assert stopping.PATIENCE_S < stopping.GRACE_S < 3


def test_at_the_start_there_is_a_sentence(
    server: Server, watch: Watch, mosquitto: Broker, tmp_path: Path
) -> None:
    with running(tmp_path, f"mqtt://127.0.0.1:{mosquitto.port}", db=server.url) as gateway:
        gateway.stop(signal.SIGTERM)
        watch.standby("nobody")
        gateway.restart()
        assert gateway.process._child.wait() == 2
        assert re.search(
            r"Error: The database postgresql://\S+ keeps this on its own disk alone, because its "
            r"synchronous standby has not answered: start the standby",
            gateway.said(),
        )
