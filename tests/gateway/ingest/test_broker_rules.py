"""A broker that does not let the gateway do what it must: one sentence, and never ``online``."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from coldtrail_simulator.services.mosquitto import Broker
from tests.gateway.running import (
    CONFIRMATION,
    PRESENCE,
    Client,
    Gateway,
    coldtrail,
    mosquitto_with,
    registration,
    running,
)
from tests.support.blocks.blockmaker import Maker
from tests.support.host import until


def ends_with(folder: Path, port: int, *sentence: str) -> Gateway:
    """Check that a gateway ends by itself, with a sentence, and was never online."""
    coldtrail("gateway", "register", registration(folder), "--db", folder / "gateway.db")
    with Gateway(folder, f"mqtt://127.0.0.1:{port}") as gateway:
        assert gateway.process._child.wait() == 2
        last = gateway.process.last_words()
    for part in sentence:
        assert part in last, gateway.said()
    assert "INFO online" not in gateway.said()
    assert "Traceback" not in gateway.said()
    return gateway


@pytest.mark.parametrize(
    ("rules", "sentence"),
    [
        ("topic read #\ntopic write coldtrail/1/gateway/#", "refuses a message on"),
        (
            "topic write #\ntopic read coldtrail/1/gateway/#",
            "has not delivered the gateway's own message on coldtrail/1/gateway-main/up",
        ),
        ("topic read #\ntopic write coldtrail/1/+/confirmation", "refuses a message on"),
    ],
    ids=["no confirmations", "nothing is delivered", "no message to itself"],
)
def test_an_access_list(tmp_path: Path, rules: str, sentence: str) -> None:
    access = tmp_path / "acl"
    access.write_text(rules + "\n")
    access.chmod(0o600)
    with mosquitto_with(tmp_path, f"acl_file {access}") as port:
        ends_with(tmp_path, port, sentence, f"127.0.0.1:{port} cannot be used")


def test_one_tracker_whose_confirmations_are_refused_is_named(tmp_path: Path) -> None:
    """Found where confirmations are published again; the others are served."""
    access = tmp_path / "acl"
    access.write_text("topic readwrite #\n")
    access.chmod(0o600)
    makers = [Maker(tracker=name) for name in ("CT-1", "CT-2")]
    with mosquitto_with(tmp_path, f"acl_file {access}") as port:
        trackers = [maker.tracker for maker in makers]
        with (
            running(tmp_path, f"mqtt://127.0.0.1:{port}", trackers=trackers),
            Client(port, CONFIRMATION) as client,
        ):
            for maker in makers:
                client.publish(maker.block(), maker.tracker)
            assert client.wait_for(2)
    access.write_text("topic readwrite #\ntopic deny coldtrail/1/CT-1/confirmation\n")
    (tmp_path / "gateway.log").unlink()
    with (
        mosquitto_with(tmp_path, f"acl_file {access}") as port,
        Client(port, CONFIRMATION) as client,
        Gateway(tmp_path, f"mqtt://127.0.0.1:{port}") as gateway,
    ):
        assert client.wait(lambda: bool(client.confirmations("CT-2")))
        until(lambda: "INFO online" in gateway.said())
        assert "refuses a message on coldtrail/1/CT-1/confirmation" in gateway.said()
        client.publish(makers[1].block(), "CT-2")
        assert client.wait(lambda: client.confirmations("CT-2")[-1][2] == 2)


CONNACK = bytes.fromhex("2003000000")
PUBACK = bytes.fromhex("40020002")  # of the trial; before it goes the presence, of QoS 0


@contextmanager
def broker_that_answers(*answers: bytes) -> Iterator[int]:
    """A server that answers what it gets with these bytes, then says nothing more."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    for answer in answers:
                        if not connection.recv(4096):
                            break
                        with suppress(OSError):
                            connection.sendall(answer)
                    else:
                        with suppress(OSError):
                            while connection.recv(4096):
                                pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        ([], "no answer to CONNECT"),
        ([CONNACK], "no answer to a message on coldtrail/1/gateway-main/confirmation"),
        ([CONNACK, PUBACK], "no answer to the subscription to coldtrail/1/+/up"),
        ([CONNACK, PUBACK, bytes.fromhex("900400030087")], "refuses the subscription"),
        ([bytes.fromhex("20020001")], "CONNECT (in MQTT 5)"),
        ([CONNACK, bytes.fromhex("4003000297")], "Quota exceeded"),
        ([CONNACK, bytes.fromhex("e00187")], "it says: Not authorized"),
        ([bytes.fromhex("2003008900")], "Server busy"),
    ],
)
def test_a_broker_that_stops_answering(
    tmp_path: Path, answers: list[bytes], sentence: str
) -> None:
    with broker_that_answers(*answers) as port:
        ends_with(tmp_path, port, sentence)


def peak_kib(pid: int) -> int:
    """Return the most memory that a process has had resident (proc(5), VmHWM)."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1])


HUGE = 200_000_000
MOST_KIB = 20_000
"""How much a message that is refused for its size may cost; one of these has ten times as much."""


def test_huge_messages_do_not_reach_the_gateway(tmp_path: Path) -> None:
    """The broker has no limit; MQTT 5 has one for each client."""
    with (
        mosquitto_with(tmp_path) as port,
        running(tmp_path, f"mqtt://127.0.0.1:{port}") as gateway,
        Client(port, CONFIRMATION) as client,
    ):
        assert "it names no limit to the size of a message" in gateway.said()
        before = peak_kib(gateway.pid)
        for _ in range(4):
            client.publish(bytes(HUGE)).wait_for_publish()
        client.publish(Maker().block())
        assert client.wait(lambda: bool(client.confirmations()))
        assert peak_kib(gateway.pid) - before < MOST_KIB


def test_a_broker_that_sends_more_than_it_may(tmp_path: Path) -> None:
    topic = b"coldtrail/1/CT-1/up"
    rest = len(topic).to_bytes(2, "big") + topic + b"\x00"
    length = len(rest) + HUGE
    encoded = bytes((length >> shift & 127) | (shift < 21) << 7 for shift in (0, 7, 14, 21))
    with (
        broker_that_answers(CONNACK, b"\x30" + encoded + rest + bytes(HUGE)) as port,
        Gateway(tmp_path, f"mqtt://127.0.0.1:{port}") as gateway,
    ):
        until(lambda: gateway.said().count("it sends a message of more than") > 1)
        assert peak_kib(gateway.pid) < HUGE / 1000


def test_two_gateways_with_one_name(mosquitto: Broker, tmp_path: Path) -> None:
    """They find out, throw each other out ever more rarely, and one of them gives up."""
    url = f"mqtt://127.0.0.1:{mosquitto.port}"
    with running(tmp_path, url) as first, Gateway(tmp_path, url, log="second.log") as second:
        both = [first, second]
        until(lambda: not all(g.process.running for g in both))
        ended = first if not first.process.running else second
        other = second if ended is first else first
        assert ended.process._child.wait() == 2
        assert "Another gateway uses the name 'main'" in ended.process.last_words()
        assert "give one of them another name with --name" in ended.process.last_words()
        assert sum(g.said().count("throws the other out") for g in both) < 10
        # The other one serves.
        with Client(mosquitto.port, CONFIRMATION, PRESENCE) as client:
            client.publish(Maker().block())
            assert client.wait(lambda: [d[2] for d in client.confirmations()] == [1])
            assert client.wait(lambda: client.presences()[-1:] == [b"online"])
        assert other.process.running
