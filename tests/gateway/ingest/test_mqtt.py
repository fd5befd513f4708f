"""The gateway at real brokers: what it confirms, when, and what it survives."""

from __future__ import annotations

import importlib.metadata
import resource
import signal
import socket
import sqlite3
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from coldtrail_gateway.store.database import Store
from coldtrail_simulator.services.clock_server import ClockServer
from coldtrail_simulator.services.mosquitto import Broker
from coldtrail_simulator.services.process import free_port
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
from tests.support.blocks.blockmaker import Maker, hash16, rows, sealed
from tests.support.host import PATIENCE_S, until

PRESENCES = "coldtrail/1/gateway/+"


@pytest.fixture(params=["mosquitto", "embedded"])
def url(request: pytest.FixtureRequest) -> str:
    """URL of a broker; the embedded one runs only as long as its gateway."""
    if request.param == "embedded":
        return f"embedded://127.0.0.1:{free_port()}"
    broker: Broker = request.getfixturevalue("mosquitto")
    return f"mqtt://127.0.0.1:{broker.port}"


@pytest.fixture
def gateway(tmp_path: Path, url: str) -> Iterator[Gateway]:
    with running(tmp_path, url) as served:
        yield served


def port(url: str) -> int:
    return int(url.rpartition(":")[2])


def test_a_block_is_kept_then_confirmed_then_acknowledged(url: str, gateway: Gateway) -> None:
    maker = Maker()
    blocks = [maker.block(rows(12)) for _ in range(5)]
    begun_s = time.time()
    with Client(port(url), CONFIRMATION) as tracker:
        for number, block in enumerate(blocks, start=1):
            tracker.publish(block)
            assert tracker.wait_for(number)
            assert archived(gateway) == blocks[:number]
        documents = tracker.confirmations()
    assert [document[2] for document in documents] == [1, 2, 3, 4, 5]
    assert documents[-1][3] == hash16(blocks[-1])
    assert begun_s - 1 <= documents[-1][5] <= time.time() + 1
    # Whoever subscribes later finds the newest.
    with Client(port(url), CONFIRMATION) as tracker:
        assert tracker.wait(lambda: len(tracker.messages) == 1)
        assert tracker.messages[0][2]
        assert tracker.confirmations() == documents[-1:]


def test_every_message_has_one_confirmation_and_junk_has_none(url: str, gateway: Gateway) -> None:
    maker = Maker()
    good = [maker.block() for _ in range(40)]
    junk = [b"", b"{}", bytes(5000), good[0][:-1] + b"\x00", sealed(b"\xa0", "CT-2")]
    messages = [*good, *good[:10], *junk * 4]
    Random(7).shuffle(messages)
    with Client(port(url), CONFIRMATION) as tracker:
        for message in messages:
            tracker.publish(message)
        tracker.publish(good[0], "CT-9")
        assert tracker.wait(lambda: len(tracker.messages) == 50)
        until(lambda: gateway.said().count("quarantined") == 21)
        assert not tracker.wait(lambda: len(tracker.messages) > 50, 0.3)
        assert tracker.confirmations()[-1][2] == 40
    assert sorted(archived(gateway)) == sorted(good)


def test_presence_and_a_clean_stop(mosquitto: Broker, tmp_path: Path) -> None:
    with Client(mosquitto.port, PRESENCES) as onlooker:
        for number in (signal.SIGTERM, signal.SIGINT):
            with running(tmp_path, f"mqtt://127.0.0.1:{mosquitto.port}") as gateway:
                assert onlooker.wait(lambda: onlooker.presences()[-1:] == [b"online"])
                assert gateway.stop(number) == 0
                assert onlooker.wait(lambda: onlooker.presences()[-1:] == [b"offline"])
                assert "Traceback" not in gateway.said()
        with running(tmp_path, f"mqtt://127.0.0.1:{mosquitto.port}") as gateway:
            assert onlooker.wait(lambda: onlooker.presences()[-1:] == [b"online"])
            gateway.kill()  # its last will speaks for it
            assert onlooker.wait(lambda: onlooker.presences()[-1:] == [b"offline"])


def test_its_first_line_says_what_it_is_and_where_it_works(url: str, gateway: Gateway) -> None:
    first = gateway.said().splitlines()[0]
    version = importlib.metadata.version("coldtrail")
    assert first.endswith(
        f"INFO coldtrail {version}, gateway main: broker {url}, database {gateway.database}"
    )


def test_online_means_that_the_backlog_is_dealt_with(mosquitto: Broker, tmp_path: Path) -> None:
    url = f"mqtt://127.0.0.1:{mosquitto.port}"
    with running(tmp_path, url) as gateway:
        gateway.kill()
        maker = Maker()
        with Client(mosquitto.port, CONFIRMATION, PRESENCES) as client:
            infos = [client.publish(maker.block()) for _ in range(500)]
            for info in infos:
                info.wait_for_publish()
            client.messages.clear()
            gateway.restart()
            assert client.wait(lambda: b"online" in client.presences())
            order = [payload for _, payload, _ in client.messages]
            assert order.index(b"online") == len(order) - 1
            documents = client.confirmations()
        assert len(documents) == 500 + 1  # each message, and once more for the restart
        assert documents[-1][2] == 500


def test_a_broker_that_forgets_is_told_again(mosquitto: Broker, tmp_path: Path) -> None:
    with running(tmp_path, f"mqtt://127.0.0.1:{mosquitto.port}") as gateway:
        maker = Maker()
        with Client(mosquitto.port, CONFIRMATION) as client:
            client.publish(maker.block())
            assert client.wait(lambda: len(client.messages) == 1)
            before = client.confirmations()[0]
        mosquitto.kill()
        until(lambda: "connection lost" in gateway.said())
        mosquitto.start()
        with Client(mosquitto.port, CONFIRMATION, PRESENCES) as client:
            assert client.wait(lambda: b"online" in client.presences())
            (document,) = client.confirmations()
        assert [document[key] for key in range(5)] == [before[key] for key in range(5)]


def test_trackers_registered_meanwhile_are_known(url: str, gateway: Gateway) -> None:
    folder = Path(gateway.database).parent
    block = Maker(tracker="CT-2").block()
    with Client(port(url), CONFIRMATION) as tracker:
        tracker.publish(block, "CT-2")
        until(lambda: "unknown tracker" in gateway.said())
        coldtrail(
            "gateway", "register", registration(folder, ["CT-2"], []), "--db", gateway.database
        )
        tracker.publish(block, "CT-2")
        assert tracker.wait(lambda: len(tracker.messages) == 1)
        assert tracker.confirmations("CT-2")[0][2] == 1


def test_now_comes_from_the_clock_it_is_given(mosquitto: Broker, tmp_path: Path) -> None:
    clock = ClockServer(lambda: 1_893_456_000_789)
    url = f"mqtt://127.0.0.1:{mosquitto.port}"
    with (
        running(tmp_path, url, "--clock", clock.address),
        Client(mosquitto.port, CONFIRMATION) as client,
    ):
        client.publish(Maker().block())
        assert client.wait(lambda: len(client.messages) == 1)
        assert [client.confirmations()[0][key] for key in (5, 6)] == [1_893_456_000, 789]
    clock.close()
    status = coldtrail("gateway", "status", "--db", tmp_path / "gateway.db").stdout
    assert "2030-01-01 00:00:00" in status


def test_a_clock_that_is_gone_ends_the_gateway(mosquitto: Broker, tmp_path: Path) -> None:
    url = f"mqtt://127.0.0.1:{mosquitto.port}"
    coldtrail("gateway", "register", registration(tmp_path), "--db", tmp_path / "gateway.db")
    with Gateway(tmp_path, url, "--clock", f"unix:{tmp_path}/none") as gateway:
        assert gateway.process._child.wait() == 2
        assert "does not answer" in gateway.said()


@pytest.mark.parametrize("seed", range(3))
def test_nothing_confirmed_is_lost_when_it_is_killed(
    mosquitto: Broker, tmp_path: Path, seed: int
) -> None:
    """SIGKILL under load: what was confirmed is there, and in the end all is confirmed."""
    random = Random(seed)
    makers = {f"CT-{number}": Maker(tracker=f"CT-{number}") for number in range(1, 4)}
    blocks = {name: [maker.block(rows(12)) for _ in range(400)] for name, maker in makers.items()}
    coldtrail(
        "gateway",
        "register",
        registration(tmp_path, list(makers)),
        "--db",
        tmp_path / "gateway.db",
    )
    with (
        Gateway(tmp_path, f"mqtt://127.0.0.1:{mosquitto.port}") as gateway,
        Client(mosquitto.port, CONFIRMATION, PRESENCES, window=100) as client,
    ):
        assert client.wait(lambda: b"online" in client.presences())
        sent = 0
        while sent < 400:
            count = random.randint(60, 120)
            for index in range(sent, min(sent + count, 400)):
                for name, own in blocks.items():
                    client.publish(own[index], name)
            sent += count
            # In the middle of what it has to do.
            assert client.wait_for(len(client.messages) + random.randint(1, 60))
            gateway.kill()
            for name, own in blocks.items():
                kept = set(archived(gateway, name))
                for document in client.confirmations(name)[-1:]:
                    assert {*own[: document[2]]} <= kept
                    for first, last in document[4]:
                        assert {*own[first - 1 : last]} <= kept
            gateway.restart()
        assert client.wait(
            lambda: all(
                any(document[2] == 400 for document in client.confirmations(name)[-3:])
                for name in blocks
            ),
            60,
        )
        for name, own in blocks.items():
            assert sorted(archived(gateway, name)) == sorted(own)


def test_a_full_disk_confirms_nothing_and_loses_nothing(mosquitto: Broker, tmp_path: Path) -> None:
    with (
        running(tmp_path, f"mqtt://127.0.0.1:{mosquitto.port}") as gateway,
        Client(mosquitto.port, CONFIRMATION) as client,
    ):
        maker = Maker()
        client.publish(maker.block())
        assert client.wait(lambda: len(client.messages) == 1)
        soft, hard = resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE)
        wal = Path(f"{gateway.database}-wal")
        resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE, (wal.stat().st_size, hard))
        blocks = [maker.block(rows(96)) for _ in range(60)]
        for block in blocks:
            client.publish(block)
        until(lambda: "Nothing is confirmed until then" in gateway.said())
        time.sleep(1.5)  # for further attempts, of which nothing may be heard; any number is right
        until(lambda: len(archived(gateway)) == len(client.messages), "the last confirmation")
        confirmed = len(client.messages)
        assert confirmed < 61
        assert gateway.said().count("Nothing is confirmed until then") == 1
        assert gateway.process.running
        resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE, (soft, hard))
        assert client.wait(lambda: len(client.messages) == 61)
        assert client.confirmations()[-1][2] == 61
        # The client may have the last confirmation before the gateway goes on to this line.
        until(lambda: "the database works again" in gateway.said(), gateway.said)


def test_a_locked_database_is_waited_for(mosquitto: Broker, tmp_path: Path) -> None:
    with (
        running(tmp_path, f"mqtt://127.0.0.1:{mosquitto.port}") as gateway,
        Client(mosquitto.port, CONFIRMATION) as client,
    ):
        other = sqlite3.connect(gateway.database, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        client.publish(Maker().block())
        until(lambda: "is locked" in gateway.said())
        assert not client.messages
        other.execute("ROLLBACK")
        other.close()
        assert client.wait(lambda: len(client.messages) == 1)


def test_a_new_database_is_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    coldtrail("gateway", "register", registration(tmp_path))
    file = tmp_path / "data" / "coldtrail" / "gateway.db"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_what_cannot_be_served_ends_with_a_sentence(tmp_path: Path, mosquitto: Broker) -> None:
    good = f"mqtt://127.0.0.1:{mosquitto.port}"
    database = tmp_path / "gateway.db"
    coldtrail("gateway", "register", registration(tmp_path), "--db", database)
    newer = tmp_path / "newer.db"
    Store(str(newer), create=True).close()
    databases.tamper(f"sqlite:///{newer}", databases.LATER)
    (tmp_path / "text.db").write_text("no database, but long enough to be looked at " * 100)
    busy = socket.create_server(("127.0.0.1", 0))
    taken = busy.getsockname()[1]
    for options, complaint in (
        (["--broker", f"mqtt://127.0.0.1:{free_port()}"], "Connection refused"),
        (["--broker", f"embedded://127.0.0.1:{taken}"], "cannot listen"),
        (["--broker", "http://127.0.0.1"], "mqtt://HOST"),
        (["--broker", "embedded://0.0.0.0"], "loopback only"),
        (["--broker", good, "--db", str(newer)], "use the version of Coldtrail that made it"),
        (["--broker", good, "--db", str(tmp_path / "text.db")], "is not a database"),
        (["--broker", good, "--db", str(tmp_path)], "is not a file"),
        (["--broker", good, "--db", "/proc/none/gateway.db"], "cannot be made"),
        (["--broker", good, "--db", f"sqlite:///{database}?mode=ro"], "with % ? # in its name"),
        (["--broker", good, "--db", "mysql://localhost/x"], "neither SQLite nor PostgreSQL"),
        (["--broker", good, "--db", "postgresql://u@127.0.0.1:1/x"], "cannot be reached"),
        (["--broker", good, "--clock", "sundial"], "unix:PATH"),
        (["--broker", good, "--name", "Main Gate"], "small letters"),
    ):
        done = coldtrail("gateway", "serve", "--db", database, *options, check=False)
        assert done.returncode == 2, options
        assert complaint in done.stderr, done.stderr
        assert "Traceback" not in done.stderr
    busy.close()


def test_a_broker_that_refuses_the_password(tmp_path: Path) -> None:
    """A server that answers every CONNECT with reason 0x87, not authorised."""
    coldtrail("gateway", "register", registration(tmp_path), "--db", tmp_path / "gateway.db")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(PATIENCE_S)
        url = f"mqtt://me:secret@127.0.0.1:{server.getsockname()[1]}"
        with Gateway(tmp_path, url) as gateway:
            connection, _ = server.accept()
            connection.recv(1000)
            connection.sendall(bytes.fromhex("2003008700"))
            assert gateway.process._child.wait() == 2
            connection.close()
        assert "Not authorized" in gateway.said()
        assert "secret" not in gateway.said()


def test_on_postgresql(mosquitto: Broker, tmp_path: Path, postgresql: str) -> None:
    url = f"mqtt://127.0.0.1:{mosquitto.port}"
    with running(tmp_path, url, db=postgresql), Client(mosquitto.port, CONFIRMATION) as client:
        maker = Maker()
        for _ in range(50):
            client.publish(maker.block())
        assert client.wait(lambda: len(client.messages) == 50)
        assert client.confirmations()[-1][2] == 50
