"""The network between the modem and a real broker: answers, latency, determinism, failures."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.enums import CallbackAPIVersion

from coldtrail_simulator.clock import US_PER_S, Clock, RunInvalidError, rng
from coldtrail_simulator.journal import Journal
from coldtrail_simulator.network.medium import ANSWER_LIMIT_S, ONE_WAY_US, WAKE_RADIO_US
from coldtrail_simulator.network.mqtt_packet import MalformedError, take_packet
from coldtrail_simulator.network.network import Network
from coldtrail_simulator.services.mosquitto import Broker
from coldtrail_simulator.services.services import Services
from tests.simulator.modem_rig import Rig, Server, connect, mqtt_packet, publish, string, subscribe
from tests.support.host import PATIENCE_S, full_load

ROOT = Path(__file__).parents[3]
HOST = "broker.example"
UP = "coldtrail/1/SIM-1/up"
DOWN = "coldtrail/1/SIM-1/confirmation"
CONNACK = b"\x20\x02\x00\x00"


class Responder:
    """Stands for a gateway: confirms every block once, retained, with what it has counted."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.count = 0
        self._ready = threading.Event()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = self._confirm
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.connect(*address)
        self._client.subscribe("coldtrail/1/+/up", qos=1)
        self._client.loop_start()
        assert self._ready.wait(PATIENCE_S)

    def _confirm(self, client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        self.count += 1
        topic = message.topic.replace("/up", "/confirmation")
        client.publish(topic, b"kept %d: " % self.count + message.payload, retain=True)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


class Confirming(Services):
    """Services whose gateway is a Responder in this process."""

    responder: Responder | None = None

    def confirms(self, topic: str, payload: bytes) -> bool:
        return self.responder is not None and topic == UP and payload != b"forged"


@contextmanager
def services(work: Path) -> Iterator[Confirming]:
    with Confirming(work, lambda: 0, "") as found:
        found.start_broker()
        found.responder = Responder(found.broker_address)
        yield found
        if found.responder is not None:
            found.responder.close()


@pytest.fixture
def far_side(tmp_path: Path) -> Iterator[Confirming]:
    with services(tmp_path) as found:
        yield found


class End:
    """A modem's end of a link that writes down what comes, and when."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.heard: list[tuple[int, str, bytes]] = []

    def opened(self) -> None:
        self._note("opened")

    def refused(self, reason: str) -> None:
        self._note(reason)

    def data(self, data: bytes) -> None:
        self._note("data", data)

    def closed(self) -> None:
        self._note("closed")

    def _note(self, what: str, data: bytes = b"") -> None:
        self.heard.append((self.clock.now_us, what, data))

    @property
    def words(self) -> list[str]:
        return [what for _, what, _ in self.heard]

    def take(self) -> list[bytes]:
        """Return the packets that came, and forget them."""
        found = [data for _, what, data in self.heard if what == "data"]
        self.heard.clear()
        return found


class Bench:
    """A network with one link, without a modem."""

    def __init__(
        self,
        address: tuple[str, int],
        far_side: Services | None = None,
        seed: int = 1,
        answer_limit_s: float = ANSWER_LIMIT_S,
    ) -> None:
        self.clock = Clock()
        self.journal = Journal(self.clock)
        resolve = {HOST: address}
        self.network = Network(
            self.clock,
            rng(seed, "n"),
            self.journal,
            resolve,
            far_side,
            answer_limit_s=answer_limit_s,
        )
        self.end = End(self.clock)
        self.link = self.network.open(HOST, 1883, self.end)
        self.wait(5)

    def wait(self, seconds: float) -> None:
        self.clock.advance_to(self.clock.now_us + round(seconds * US_PER_S))

    def ask(self, data: bytes, seconds: float = 5) -> list[bytes]:
        """Send bytes, and return the packets that have come some seconds later."""
        self.end.heard.clear()
        self.link.send(data)
        self.wait(seconds)
        return self.end.take()


# --- packets


@given(st.lists(st.tuples(st.integers(1, 14), st.binary(max_size=300)), max_size=8), st.data())
def test_packets_come_out_whole_however_the_stream_is_cut(
    packets: list[tuple[int, bytes]], data: st.DataObject
) -> None:
    encoded = [mqtt_packet(kind << 4, body) for kind, body in packets]
    stream, buffer, found = b"".join(encoded), bytearray(), []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        buffer += stream[:size]
        stream = stream[size:]
        while packet := take_packet(buffer):
            found.append(packet.raw)
    assert found == encoded
    assert not buffer


@given(st.binary(max_size=60))
def test_any_bytes_are_a_packet_incomplete_or_malformed(data: bytes) -> None:
    buffer = bytearray(data)
    try:
        packet = take_packet(buffer)
    except MalformedError:
        assert len(data) > 4
        assert all(byte & 0x80 for byte in data[1:5])
    else:
        assert (packet.raw if packet else b"") + buffer == data


# --- what is answered


def test_each_request_gets_its_answer(far_side: Confirming) -> None:
    bench = Bench(far_side.broker_address, far_side)
    assert bench.end.words == ["opened"]
    assert bench.ask(connect("SIM-1")) == [CONNACK]
    assert bench.ask(subscribe(7, DOWN)) == [b"\x90\x03\x00\x07\x00"]
    confirmation = mqtt_packet(0x30, string(DOWN) + b"kept 1: block")
    assert bench.ask(publish(UP, b"block", 2)) == [b"\x40\x02\x00\x02", confirmation]
    assert bench.ask(publish("coldtrail/1/SIM-1/other", b"x", 3)) == [b"\x40\x02\x00\x03"]
    assert bench.ask(publish("coldtrail/1/SIM-1/other", b"x")) == []
    assert bench.ask(b"\xc0\x00") == [b"\xd0\x00"]
    unsubscribe = mqtt_packet(0xA2, b"\x00\x08" + string(DOWN))
    assert bench.ask(unsubscribe) == [b"\xb0\x02\x00\x08"]
    # Not subscribed: the confirmation is waited for, but is not for this link.
    assert bench.ask(publish(UP, b"more", 4)) == [b"\x40\x02\x00\x04"]
    assert far_side.retained(DOWN) == [DOWN]
    # QoS 2 takes two exchanges.
    assert bench.ask(mqtt_packet(0x34, string("a") + b"\x00\x05x")) == [b"\x50\x02\x00\x05"]
    assert bench.ask(b"\x62\x02\x00\x05") == [b"\x70\x02\x00\x05"]


def test_what_is_retained_follows_a_subscription(far_side: Confirming) -> None:
    first = Bench(far_side.broker_address, far_side)
    first.ask(connect("SIM-1"))
    first.ask(publish(UP, b"block", 2))
    second = Bench(far_side.broker_address, far_side)
    second.ask(connect("SIM-1"))
    retained = mqtt_packet(0x31, string(DOWN) + b"kept 1: block")
    assert second.ask(subscribe(1, DOWN)) == [b"\x90\x03\x00\x01\x00", retained]
    assert second.ask(subscribe(2, "coldtrail/1/SIM-2/confirmation")) == [b"\x90\x03\x00\x02\x00"]


def test_several_blocks_in_one_piece_are_confirmed_in_order(far_side: Confirming) -> None:
    bench = Bench(far_side.broker_address, far_side)
    bench.ask(connect("SIM-1") + subscribe(1, DOWN))
    packets = bench.ask(b"".join(publish(UP, b"%d" % n, n) for n in range(1, 6)))
    expected = []
    for n in range(1, 6):
        expected.append(mqtt_packet(0x40, bytes([0, n])))
        expected.append(mqtt_packet(0x30, string(DOWN) + b"kept %d: %d" % (n, n)))
    assert packets == expected


def test_what_is_not_authentic_is_acknowledged_and_no_more(far_side: Confirming) -> None:
    bench = Bench(far_side.broker_address, far_side)
    bench.ask(connect("SIM-1") + subscribe(1, DOWN))
    far_side.responder, responder = None, far_side.responder
    assert responder is not None
    responder.close()
    assert bench.ask(publish(UP, b"forged", 2)) == [b"\x40\x02\x00\x02"]
    assert bench.ask(publish(UP, b"nobody there", 3)) == [b"\x40\x02\x00\x03"]


def test_disconnect_and_refusal_end_the_connection(far_side: Confirming) -> None:
    bench = Bench(far_side.broker_address, far_side)
    bench.ask(connect("SIM-1"))
    bench.link.send(b"\xe0\x00")
    bench.wait(5)
    assert bench.end.words == ["closed"]
    bench = Bench(far_side.broker_address, far_side)
    old_version = mqtt_packet(0x10, string("MQTT") + bytes([9, 2, 0, 0]) + string("SIM-1"))
    bench.link.send(old_version)
    bench.wait(5)
    assert bench.end.words == ["opened", "data", "closed"]
    assert bench.end.take() == [b"\x20\x02\x00\x01"]


@pytest.mark.parametrize(
    "junk",
    [
        b"\x30\xff\xff\xff\xff\x01",
        b"\xf0\x00",
        b"\x20\x02\x00\x00",
        b"\x82\x03\x00\x01\x00",
        b"\x30\x01\x00",
        b"GET / HTTP/1.1\r\n\r\n" + bytes(80),
    ],
)
def test_what_is_no_mqtt_makes_the_broker_hang_up(far_side: Confirming, junk: bytes) -> None:
    bench = Bench(far_side.broker_address, far_side)
    bench.ask(connect("SIM-1"))
    bench.link.send(junk)
    bench.wait(5)
    assert bench.end.words == ["closed"]


def test_keep_alive_runs_on_virtual_time(far_side: Confirming) -> None:
    bench = Bench(far_side.broker_address, far_side)
    bench.ask(connect("SIM-1", keep_alive=60), seconds=80)
    assert bench.ask(b"\xc0\x00", seconds=85) == [b"\xd0\x00"]
    assert bench.end.words == []
    bench.wait(10)
    assert bench.end.words == ["closed"]


# --- when


def test_nothing_arrives_before_its_latency_and_order_is_kept(far_side: Confirming) -> None:
    bench = Bench(far_side.broker_address, far_side)
    bench.ask(connect("SIM-1") + subscribe(1, DOWN))
    bench.wait(60)
    began_us = bench.clock.now_us
    for number in range(1, 30):
        bench.link.send(publish(UP, b"x", number))
    assert bench.end.heard == []
    bench.wait(20)
    times = [us for us, _, _ in bench.end.heard]
    numbers = [data[3] for _, _, data in bench.end.heard if data[0] == 0x40]
    assert numbers == list(range(1, 30))
    assert times == sorted(times)
    # The radio was idle: it has to wake, and then there is one way up and one way down.
    low = WAKE_RADIO_US[0] + 2 * ONE_WAY_US[0]
    high = WAKE_RADIO_US[1] + 2 * ONE_WAY_US[1]
    assert low <= times[0] - began_us <= high


def test_virtual_time_stands_still_while_the_world_works(
    far_side: Confirming,
) -> None:
    seen: list[int] = []
    bench = Bench(far_side.broker_address, far_side)
    bench.ask(connect("SIM-1") + subscribe(1, DOWN))
    assert far_side.responder is not None
    confirm = far_side.responder._confirm

    def slow(client: mqtt.Client, data: object, message: mqtt.MQTTMessage) -> None:
        before = bench.clock.now_us
        threading.Event().wait(0.3)
        seen.append(bench.clock.now_us - before)
        confirm(client, data, message)

    far_side.responder._client.on_message = slow
    assert len(bench.ask(publish(UP, b"x", 1))) == 2
    assert seen == [0]


SCRIPT = """
import sys, pathlib, tempfile
from tests.simulator.network.test_network import traffic
with tempfile.TemporaryDirectory() as work:
    print(traffic(pathlib.Path(work), int(sys.argv[1])))
"""


def traffic(work: Path, seed: int) -> list[object]:
    """Return the whole of what a modem's end hears in a long session."""
    with services(work) as far_side:
        bench = Bench(far_side.broker_address, far_side, seed)
        heard: list[object] = []
        for session in range(3):
            bench.link.send(connect("SIM-1") + subscribe(1, DOWN))
            bench.wait(3)
            for number in range(1, 12):
                bench.link.send(publish(UP, bytes(range(number)), number))
                bench.wait(0.05 * (number % 7))
            bench.wait(5)
            if session == 1:
                far_side.kill_broker()
                bench.network.broker_down()
                bench.wait(10)
                assert far_side.responder is not None
                far_side.responder.close()
                far_side.start_broker()
                far_side.responder = Responder(far_side.broker_address)
            else:
                bench.link.close()
            bench.wait(5)
            heard += bench.end.heard
            bench.link = bench.network.open(HOST, 1883, bench.end)
            bench.wait(5)
        rig = Rig(resolve={HOST: far_side.broker_address}, far_side=far_side, seed=seed)
        rig.active().open(HOST).write(connect("SIM-1") + subscribe(1, DOWN))
        rig.wait(10)
        rig.write(publish(UP, bytes(1000), 1))
        rig.wait(10)
        return [*heard, bench.network.summary(), bench.journal.notes, rig.sent, rig.journal.notes]


def test_the_same_seed_hears_the_same_at_the_same_moments_under_load(tmp_path: Path) -> None:
    (tmp_path / "idle").mkdir()
    idle = traffic(tmp_path / "idle", 5)
    command = [sys.executable, "-c", SCRIPT, "5"]
    with full_load():
        done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == str(idle), done.stderr
    (tmp_path / "other").mkdir()
    assert traffic(tmp_path / "other", 6) != idle


# --- what goes wrong


def test_a_broker_that_is_killed_ends_the_connections_and_can_come_back(
    far_side: Confirming,
) -> None:
    bench = Bench(far_side.broker_address, far_side)
    bench.ask(connect("SIM-1") + subscribe(1, DOWN))
    bench.ask(publish(UP, b"x", 1))
    far_side.kill_broker()
    bench.network.broker_down()
    bench.link.send(publish(UP, b"lost", 2))
    bench.wait(5)
    assert bench.end.words == ["closed"]
    bench.end.heard.clear()
    bench.network.open(HOST, 1883, bench.end)
    bench.wait(5)
    assert bench.end.words == ["connection"]
    bench.end.heard.clear()
    far_side.start_broker()
    bench.link = bench.network.open(HOST, 1883, bench.end)
    bench.wait(5)
    assert bench.end.words == ["opened"]
    # The broker has no disk: nothing is retained any more.
    packets = bench.ask(connect("SIM-1") + subscribe(1, DOWN))
    assert packets == [CONNACK, b"\x90\x03\x00\x01\x00"]


def test_an_answer_that_does_not_come_makes_the_run_invalid() -> None:
    server = Server()
    bench = Bench(server.address, answer_limit_s=1.0)
    with pytest.raises(RunInvalidError, match=r"no CONNACK came from the broker within 1 s"):
        bench.ask(connect("SIM-1"))
    server.close()


def test_a_confirmation_that_does_not_come_makes_the_run_invalid(far_side: Confirming) -> None:
    bench = Bench(far_side.broker_address, far_side, answer_limit_s=5.0)
    bench.ask(connect("SIM-1"))
    assert far_side.responder is not None
    far_side.responder.close()
    with pytest.raises(RunInvalidError, match=f"no confirmation on {DOWN} came"):
        bench.ask(publish(UP, b"x", 1))


def test_a_broker_that_dies_by_itself_makes_the_run_invalid(far_side: Confirming) -> None:
    bench = Bench(far_side.broker_address, far_side)
    bench.ask(connect("SIM-1"))
    assert far_side.broker is not None
    far_side.broker.kill()
    with pytest.raises(RunInvalidError, match="the broker has ended by itself"):
        bench.ask(publish(UP, b"x", 1))


def test_a_broker_that_speaks_out_of_turn_makes_the_run_invalid(tmp_path: Path) -> None:
    broker = Broker(tmp_path)
    broker.start()
    bench = Bench((broker.host, broker.port))
    bench.ask(connect("SIM-1") + subscribe(1, DOWN))
    other = Bench((broker.host, broker.port))
    other.ask(connect("other"))
    other.ask(publish(DOWN, b"unexpected", 1))
    with pytest.raises(RunInvalidError, match="sent PUBLISH where PINGRESP was due"):
        bench.ask(b"\xc0\x00")
    broker.stop()


def test_what_came_without_being_asked_is_taken_in_by_settle(tmp_path: Path) -> None:
    broker = Broker(tmp_path)
    broker.start()
    bench = Bench((broker.host, broker.port))
    bench.ask(connect("SIM-1") + subscribe(1, DOWN))
    other = Bench((broker.host, broker.port))
    other.ask(connect("other"))
    other.ask(publish(DOWN, b"news", 1))
    bench.network.settle()
    bench.wait(5)
    assert bench.end.take() == [mqtt_packet(0x30, string(DOWN) + b"news")]
    assert bench.ask(b"\xc0\x00") == [b"\xd0\x00"]
    broker.stop()


def test_only_loopback_is_reached_unless_named() -> None:
    clock = Clock()
    net = Network(clock, rng(1, "n"), Journal(clock), {})
    ends = {}
    for host in ("192.0.2.1", "nosuch.example"):
        ends[host] = End(clock)
        net.open(host, 1883, ends[host])
    clock.advance_to(5 * US_PER_S)
    assert ends["192.0.2.1"].words == ["connection"]
    assert ends["nosuch.example"].words == ["name"]


# --- all of it, from the AT interface to the broker


def test_a_session_from_the_modems_console(far_side: Confirming) -> None:
    rig = Rig(resolve={HOST: far_side.broker_address}, far_side=far_side).active().open(HOST)
    assert rig.write(connect("SIM-1", 60)) == ["SEND OK"]
    assert rig.read() == CONNACK
    rig.write(subscribe(1, DOWN))
    assert rig.read() == b"\x90\x03\x00\x01\x00"
    block = bytes(range(256)) * 5 + bytes(100)
    whole = publish(UP, block, 2)
    rig.write(whole[:1000])
    rig.write(whole[1000:])
    rig.wait(3)
    assert rig.read() == b"\x40\x02\x00\x02" + mqtt_packet(
        0x30, string(DOWN) + b"kept 1: " + block
    )
    summary = rig.network.summary()
    assert summary["messages_up"] == summary["messages_down"] == 1
    sizes = [len(connect("SIM-1", 60)), len(subscribe(1, DOWN)), len(whole)]
    assert summary["bytes_up"] == sum(sizes)


def test_out_of_coverage_the_packet_waits_and_the_broker_hears_it_later(
    far_side: Confirming,
) -> None:
    bench = Bench(far_side.broker_address, far_side)
    bench.ask(connect("SIM-1") + subscribe(1, DOWN))
    bench.link.pause()
    assert bench.ask(publish(UP, b"x", 1), seconds=60) == []
    assert far_side.responder is not None
    assert far_side.responder.count == 0
    bench.link.resume()
    bench.wait(5)
    assert len(bench.end.take()) == 2
    # An answer on its way when coverage goes is not lost either.
    bench.link.send(publish(UP, b"y", 2))
    while far_side.responder.count < 2:
        bench.wait(0.01)
    bench.link.pause()
    bench.wait(30)
    assert bench.end.take() == []
    bench.link.resume()
    bench.wait(5)
    assert len(bench.end.take()) == 2
