"""Broker, gateway, clock and MQTT watch: real processes, started, killed, restarted, ended."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import cbor2
import psutil
import pytest

from coldtrail_simulator.clock import Clock, RunInvalidError
from coldtrail_simulator.services import mosquitto
from coldtrail_simulator.services.clock_server import ClockServer
from coldtrail_simulator.services.mosquitto import Broker
from coldtrail_simulator.services.mqtt_watch import MqttWatch
from coldtrail_simulator.services.process import ServiceError, free_port
from coldtrail_simulator.services.services import Services
from tests.simulator.modem_rig import connect, publish, subscribe
from tests.simulator.network.test_network import Bench
from tests.support.host import PATIENCE_S

TRACKER = "SIM-SERVICES"
UP = f"coldtrail/1/{TRACKER}/up"
DOWN = f"coldtrail/1/{TRACKER}/confirmation"
UPLINK, DOWNLINK = bytes(range(32)), bytes(range(32, 64))
EPOCH_MS = 1_800_000_000_000


def child(word: str) -> int:
    """Return the id of the child process that has a word in its command line."""
    found: list[int] = [
        process.pid
        for process in psutil.Process().children()
        if any(word in argument for argument in process.cmdline())
    ]
    assert len(found) == 1
    return found[0]


def sealed(number: int) -> bytes:
    """Return a block with one event, from the contract (uplink.cddl) and RFC 9052 alone."""
    payload = cbor2.dumps(
        {
            0: 1,
            1: bytes(8),
            2: number,
            3: bytes(16),
            4: 1,
            5: number,
            9: [[3, 0, 1, 1, 0, "test"]],
        },
        canonical=True,
    )
    protected = cbor2.dumps({1: 5, 3: 65001, 4: b"\x01"}, canonical=True)
    aad = cbor2.dumps(["coldtrail/1", "up", TRACKER])
    to_mac = cbor2.dumps(["MAC0", protected, aad, payload])
    tag = hmac.digest(UPLINK, to_mac, hashlib.sha256)
    return cbor2.dumps(cbor2.CBORTag(17, [protected, {}, payload, tag]))


def watermark(packet: bytes) -> tuple[int, int]:
    """Return the watermark and the gateway's time of a confirmation on its way down."""
    document = packet[packet.index(DOWN.encode()) + len(DOWN) :]
    confirmation = cbor2.loads(cbor2.loads(document).value[2])
    return confirmation[2], confirmation[5] * 1000 + confirmation[6]


class Virtual:
    """A clock whose time the test sets."""

    def __init__(self) -> None:
        self.clock = Clock()

    def utc_ms(self) -> int:
        return EPOCH_MS + self.clock.now_us // 1000


@pytest.fixture
def virtual() -> Virtual:
    return Virtual()


@pytest.fixture
def registered(tmp_path: Path) -> str:
    """Return the address of a database that knows the tracker."""
    keys = [{"version": 1, "uplink": UPLINK.hex(), "downlink": DOWNLINK.hex()}]
    trackers = [{"id": TRACKER, "keys": keys, "test": True}]
    registration = {"coldtrail": "registration/1", "trackers": trackers, "shipments": []}
    path = tmp_path / "registration.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps(registration))
    database = f"sqlite:///{tmp_path}/gateway.db"
    command = [sys.executable, "-m", "coldtrail_gateway", "register", "--db", database, str(path)]
    subprocess.run(command, check=True, capture_output=True)
    return database


@pytest.fixture
def running(tmp_path: Path, virtual: Virtual, registered: str) -> Iterator[Services]:
    with Services(tmp_path, virtual.utc_ms, registered) as found:
        found.start_broker()
        found.start_gateway()
        yield found


def bench(running: Services, virtual: Virtual) -> Bench:
    """Return a link, connected and subscribed, that shares the gateway's clock."""
    found = Bench(running.broker_address, running)
    virtual.clock = found.clock
    found.ask(connect(TRACKER) + subscribe(1, DOWN))
    return found


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


# --- the broker


def test_a_broker_keeps_its_port_and_forgets_everything_else(tmp_path: Path) -> None:
    with Services(tmp_path, lambda: EPOCH_MS, "") as found:
        found.start_broker()
        address = found.broker_address
        link = Bench(address, found)
        link.ask(connect("A"))
        link.ask(publish(DOWN, b"kept", 1, retain=True))
        watch = MqttWatch(*address)
        watch.start()
        assert watch.payload(DOWN) == b"kept"
        watch.stop()
        found.kill_broker()
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(address)
        found.start_broker()
        assert found.broker_address == address
        assert found.retained("#") == []


def test_a_port_already_taken_is_left_for_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = iter([taken.getsockname()[1], free_port()])
        monkeypatch.setattr(mosquitto, "free_port", lambda: next(ports))
        broker = Broker(tmp_path)
        broker.start()
        assert broker.running
        assert broker.port != taken.getsockname()[1]
        broker.stop()


def test_a_port_lost_over_a_restart_is_one_sentence(tmp_path: Path) -> None:
    broker = Broker(tmp_path)
    broker.start()
    broker.kill()
    with (
        socket.create_server(("127.0.0.1", broker.port)),
        pytest.raises(ServiceError, match=r"^The broker did not start .*Address already in use"),
    ):
        broker.start()


def test_a_broker_of_somebody_else_is_used_but_not_ended(tmp_path: Path) -> None:
    broker = Broker(tmp_path)
    broker.start()
    url = f"mqtt://127.0.0.1:{broker.port}"
    with Services(tmp_path, lambda: EPOCH_MS, "", broker_url=url) as found:
        found.start_broker()
        assert found.broker_address == ("127.0.0.1", broker.port)
        with pytest.raises(ServiceError, match="run it without --broker"):
            found.kill_broker()
    assert broker.running
    broker.stop()


def test_a_broker_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    url = f"mqtt://127.0.0.1:{free_port()}"
    with (
        Services(tmp_path, lambda: EPOCH_MS, "", broker_url=url) as found,
        pytest.raises(ServiceError, match="cannot be reached"),
    ):
        found.start_broker()


def test_a_broker_that_says_nothing_is_not_waited_for_long(tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as mute,
        pytest.raises(ServiceError, match="did not accept a subscription within"),
    ):
        MqttWatch(*mute.getsockname()).start(0.5)


# --- the clock


def test_the_clock_is_asked_while_the_simulator_waits() -> None:
    clock = Clock()
    server = ClockServer(lambda: EPOCH_MS + clock.now_us // 1000)
    answers: list[bytes] = []

    def ask() -> None:
        with socket.socket(socket.AF_UNIX) as asking:
            asking.settimeout(PATIENCE_S)
            asking.connect(server.address.removeprefix("unix:"))
            for _ in range(3):
                asking.sendall(b"?\n")
                answers.append(asking.recv(32))

    for now_us in (0, 5_000_000):
        clock.advance_to(now_us)
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()
    assert answers == [b"1800000000000\n"] * 3 + [b"1800000005000\n"] * 3
    server.close()


def test_the_clock_hangs_up_on_what_is_no_question() -> None:
    server = ClockServer(lambda: EPOCH_MS)
    with socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(PATIENCE_S)
        asking.connect(server.address.removeprefix("unix:"))
        asking.sendall(b"what time is it, please?\n")
        assert asking.recv(32) == b""
    server.close()


# --- the gateway


def test_blocks_are_confirmed_at_the_virtual_time(running: Services, virtual: Virtual) -> None:
    link = bench(running, virtual)
    link.wait(86_400)
    for number in range(1, 4):
        before_ms = virtual.utc_ms()
        acknowledgement, confirmation = link.ask(publish(UP, sealed(number), number))
        assert acknowledgement == bytes([0x40, 2, 0, number])
        mark, at_ms = watermark(confirmation)
        assert mark == number
        assert before_ms <= at_ms <= before_ms + 1_500


def test_a_gateway_that_was_killed_confirms_what_waited(
    running: Services, virtual: Virtual
) -> None:
    link = bench(running, virtual)
    link.ask(publish(UP, sealed(1), 1))
    running.kill_gateway()
    for number in (2, 3):
        assert link.ask(publish(UP, sealed(number), number)) == [bytes([0x40, 2, 0, number])]
    link.wait(3600)
    running.start_gateway()
    link.network.settle()
    link.wait(5)
    came = link.end.take()
    assert watermark(came[-1])[0] == 3
    assert len(link.ask(publish(UP, sealed(4), 4))) == 2


def test_a_broker_that_was_killed_is_given_its_confirmations_again(
    running: Services, virtual: Virtual
) -> None:
    link = bench(running, virtual)
    link.ask(publish(UP, sealed(1), 1))
    running.kill_broker()
    link.network.broker_down()
    link.wait(5)
    assert link.end.words == ["closed"]
    running.start_broker()
    again = bench(running, virtual)
    packets = again.ask(subscribe(2, DOWN))
    assert packets[0] == b"\x90\x03\x00\x02\x00"
    assert watermark(packets[1])[0] == 1
    assert len(again.ask(publish(UP, sealed(2), 2))) == 2


def test_a_gateway_that_is_to_start_without_a_broker_starts_with_it(
    running: Services, virtual: Virtual
) -> None:
    running.kill_broker()
    running.kill_gateway()
    running.start_gateway()
    assert not running.gateway_running
    running.start_broker()
    assert running.gateway_running
    assert len(bench(running, virtual).ask(publish(UP, sealed(1), 1))) == 2


def test_nothing_is_left_when_it_ends(tmp_path: Path, virtual: Virtual, registered: str) -> None:
    pids: list[int] = []

    def run() -> None:
        with Services(tmp_path, virtual.utc_ms, registered) as found:
            found.start_broker()
            found.start_gateway()
            assert found.broker is not None
            pids.extend((child("mosquitto.conf"), child("coldtrail_gateway")))
            assert all(map(alive, pids))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run()
    assert len(pids) == 2
    assert not any(map(alive, pids))


def test_a_gateway_that_cannot_start_says_why(tmp_path: Path, virtual: Virtual) -> None:
    (tmp_path / "file").touch()
    database = f"sqlite:///{tmp_path}/file/gateway.db"
    with Services(tmp_path, virtual.utc_ms, database) as found:
        found.start_broker()
        with pytest.raises(ServiceError, match=r"^The gateway has ended \(it said: .+\); see "):
            found.start_gateway()


def test_a_gateway_that_never_comes_online_is_given_up(tmp_path: Path, virtual: Virtual) -> None:
    idle = (sys.executable, "-c", "import time; time.sleep(60)")
    with Services(tmp_path, virtual.utc_ms, "", gateway_command=idle, start_limit_s=2.0) as found:
        found.start_broker()
        with pytest.raises(ServiceError, match="was not online within 2 s"):
            found.start_gateway()
        pid = child("time.sleep(60)")
    assert not alive(pid)


def test_a_gateway_that_dies_by_itself_makes_the_run_invalid(
    running: Services, virtual: Virtual
) -> None:
    link = bench(running, virtual)
    assert link.ask(publish(UP, sealed(1), 1))[0] == b"\x40\x02\x00\x01"
    os.kill(child("coldtrail_gateway"), signal.SIGKILL)
    with pytest.raises(RunInvalidError, match="the gateway has ended by itself"):
        link.ask(publish(UP, sealed(2), 2))


def test_the_gateway_needs_the_broker_first(tmp_path: Path) -> None:
    with (
        Services(tmp_path, lambda: EPOCH_MS, "") as found,
        pytest.raises(ServiceError, match="broker has not been started"),
    ):
        found.start_gateway()
