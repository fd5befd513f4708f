"""SIGTERM and SIGINT end the gateway soon, whatever it waits for, and nothing is lost by that."""

from __future__ import annotations

import signal
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import sqlalchemy as sa

from coldtrail_gateway.ingest import stopping
from coldtrail_simulator.services.mosquitto import Broker
from tests.gateway import databases
from tests.gateway.running import (
    CONFIRMATION,
    Client,
    Gateway,
    archived,
    coldtrail,
    registration,
    running,
)
from tests.support.blocks.blockmaker import Maker
from tests.support.host import PATIENCE_S, until

SIGNALS = (signal.SIGTERM, signal.SIGINT)
BROKEN_OFF = "stopped in the middle of a wait"


def ends(gateway: Gateway, number: int = signal.SIGTERM) -> str:
    """Send a signal; return what the gateway has said when it has ended in good order."""
    assert gateway.stop(number) == 0, gateway.said()
    assert "Traceback" not in gateway.said()
    assert "stopped" in gateway.process.last_words()
    return gateway.said()


def test_no_wait_is_longer_than_it_may_be() -> None:
    """Where the log says that a wait was broken off, it had lasted so long since the signal."""
    assert stopping.GRACE_S < 3


@contextmanager
def black_hole() -> Iterator[int]:
    """A port where nobody answers a SYN: the queue of those who wait to be accepted is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        port = server.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
        yield port
        for each in waiting:
            each.close()


def syns(port: int) -> int:
    """Return how many connections to a local port wait for its answer (proc(5): state 02)."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return sum(f":{port:04X} 02 " in line for line in lines)


def open_files(pid: int) -> set[str]:
    """Return what a process has open; one that it closes meanwhile is left out."""
    found = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            found.add(str(descriptor.readlink()))
    return found


@pytest.mark.parametrize("number", SIGNALS)
def test_nobody_answers_the_syn(tmp_path: Path, number: int) -> None:
    with black_hole() as port:
        before = syns(port)
        with Gateway(tmp_path, f"mqtt://127.0.0.1:{port}") as gateway:
            until(lambda: syns(port) > before)
            assert BROKEN_OFF in ends(gateway, number)


@pytest.mark.parametrize("scheme", ["mqtt", "mqtts"])
@pytest.mark.parametrize("number", SIGNALS)
def test_nobody_answers_on_the_connection(tmp_path: Path, scheme: str, number: int) -> None:
    """Neither the ClientHello of TLS nor CONNECT."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(PATIENCE_S)
        with Gateway(tmp_path, f"{scheme}://127.0.0.1:{server.getsockname()[1]}") as gateway:
            connection, _ = server.accept()
            assert connection.recv(1)
            assert BROKEN_OFF in ends(gateway, number)
            connection.close()


@pytest.mark.parametrize("number", SIGNALS)
def test_the_broker_is_gone(mosquitto: Broker, tmp_path: Path, number: int) -> None:
    with running(tmp_path, f"mqtt://127.0.0.1:{mosquitto.port}") as gateway:
        mosquitto.kill()
        until(lambda: gateway.said().count("Connection refused") > 3)
        assert BROKEN_OFF not in ends(gateway, number)


def test_the_database_is_locked_at_the_start(mosquitto: Broker, tmp_path: Path) -> None:
    database = tmp_path / "gateway.db"
    coldtrail("gateway", "register", registration(tmp_path), "--db", database)
    other = sqlite3.connect(database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with Gateway(tmp_path, f"mqtt://127.0.0.1:{mosquitto.port}") as gateway:
        # It has the file open, and cannot write.
        until(lambda: str(database) in open_files(gateway.pid))
        ends(gateway)
    other.close()


def test_the_database_is_locked_at_work(mosquitto: Broker, tmp_path: Path) -> None:
    url = f"mqtt://127.0.0.1:{mosquitto.port}"
    block = Maker().block()
    with (
        running(tmp_path, url) as gateway,
        Client(mosquitto.port, CONFIRMATION) as client,
    ):
        other = sqlite3.connect(gateway.database, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        client.publish(block)
        until(lambda: "is locked" in gateway.said())
        ends(gateway)
        assert not client.messages
        other.close()
        gateway.restart()
        assert client.wait(lambda: any(d[2] == 1 for d in client.confirmations()))
        assert archived(gateway) == [block]


def test_a_lock_in_postgresql(mosquitto: Broker, tmp_path: Path, postgresql: str) -> None:
    url = f"mqtt://127.0.0.1:{mosquitto.port}"
    block = Maker().block()
    engine = databases.engine(postgresql)
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    with (
        running(tmp_path, url, db=postgresql) as gateway,
        Client(mosquitto.port, CONFIRMATION) as client,
        engine.connect() as watch,
    ):
        with engine.connect() as other:
            other.execute(sa.text("LOCK TABLE blocks IN ACCESS EXCLUSIVE MODE"))
            client.publish(block)
            autocommit = watch.execution_options(isolation_level="AUTOCOMMIT")
            until(lambda: bool(autocommit.scalar(sa.text(waiting))))
            ends(gateway)
            assert not client.messages
        gateway.restart()
        assert client.wait(lambda: any(d[2] == 1 for d in client.confirmations()))
        assert archived(gateway) == [block]
    engine.dispose()
