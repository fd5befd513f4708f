"""The MQTT client: with a real broker on real interpreters, byte by byte, and against noise."""

import ast
import asyncio
import subprocess
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from errno import ECONNRESET, ETIMEDOUT
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coldtrail.uplink import mqtt_connect
from coldtrail.uplink.mqtt import Client, MqttError
from coldtrail_simulator.esp32 import interpreter as process
from coldtrail_simulator.services import tools
from coldtrail_simulator.services.mosquitto import Broker
from coldtrail_simulator.services.process import free_port
from tests.firmware.support import mqtt_stories, on_cpython
from tests.support.blocks.garble import BATCH, garbled
from tests.support.extent import slice_or_all
from tests.support.references.mqtt_peer import Peer

ROOT = Path(__file__).resolve().parents[3]
SUPPORT = Path(__file__).parents[1] / "support"
TOPIC = mqtt_stories.TOPIC
CONNACK = b"\x20\x02\x00\x00"

Run = Callable[[str, int], Any]


# ---- with a real broker ----


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    broker = Broker(tmp_path_factory.mktemp("broker"))
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> Path:
    volume: Path = tmp_path_factory.mktemp("volume")
    firmware = ROOT / "firmware"
    process.install(
        volume,
        {
            "coldtrail/__init__.py": firmware / "coldtrail/__init__.py",
            "coldtrail/uplink/__init__.py": firmware / "coldtrail/uplink/__init__.py",
            "coldtrail/uplink/mqtt.py": firmware / "coldtrail/uplink/mqtt.py",
            "coldtrail/uplink/mqtt_connect.py": firmware / "coldtrail/uplink/mqtt_connect.py",
            "mqtt_stories.py": SUPPORT / "mqtt_stories.py",
        },
    )
    return volume


@pytest.fixture(params=["cpython", "micropython", "micropython32"])
def run(request: pytest.FixtureRequest, volume: Path) -> Run:
    """Return a function that runs a story and returns what the story returns."""
    if request.param == "cpython":
        return lambda story, port: asyncio.run(mqtt_stories.STORIES[story](port))
    interpreter = {
        "micropython": [*tools.micropython(), "-X", "heapsize=128k"],
        # All of it must run in 96 KiB: the client and its test alone in less than half.
        "micropython32": [*tools.micropython32(), "-X", "heapsize=40k"],
    }[request.param]

    def start(story: str, port: int) -> Any:
        program = f"import mqtt_stories; mqtt_stories.main({story!r}, {port})"
        done = subprocess.run(
            [*interpreter, "-c", program],
            env={"MICROPYPATH": f"{volume}:.frozen"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return ast.literal_eval(done.stdout.strip())

    return start


def test_what_is_published_arrives_unchanged(run: Run, broker: Broker) -> None:
    assert run("echo", broker.port) == list(mqtt_stories.SIZES)


def test_retained_messages_are_recognised(run: Run, broker: Broker) -> None:
    peer = Peer(broker.port)
    peer.client.publish(TOPIC + "retained", b"c" * 300, 1, retain=True).wait_for_publish()
    try:
        assert run("retained", broker.port) == [(TOPIC + "retained", 300, True)]
    finally:
        peer.client.publish(TOPIC + "retained", b"", 1, retain=True).wait_for_publish()
        peer.close()


def test_what_is_too_large_is_skipped_and_never_comes_again(run: Run, broker: Broker) -> None:
    peer = Peer(broker.port, TOPIC + "ready")

    def ready() -> None:
        for payload, qos in (
            (b"a" * 1400, 1),
            (b"b" * 1505, 1),  # the topic and the heads fill the buffer
            (b"c" * 1520, 1),
            (b"d" * 9000, 1),
            (b"e" * 16000, 0),
            (b"end", 1),
        ):
            peer.publish(TOPIC + "sizes", payload, qos)

    peer.on(TOPIC + "ready", ready)
    try:
        received, skipped = run("oversized", broker.port)
        assert received == [1400, 1505, 3]
        assert skipped == 3
    finally:
        peer.close()


def test_a_command_is_heard_until_it_is_replaced_and_cleared(run: Run, broker: Broker) -> None:
    peer = Peer(broker.port, TOPIC + "ready")

    def retain(payload: bytes) -> Any:
        return peer.client.publish(TOPIC + "command", payload, 1, retain=True)

    def ready() -> None:
        for payload in (b"second" * 100, b""):
            retain(payload)

    retain(b"first").wait_for_publish()
    peer.on(TOPIC + "ready", ready)
    try:
        once, twice, replaced, cleared = run("commands", broker.port)
        # Without any mark that it is a repeat: the firmware knows that by the counter within.
        assert once == twice == [(b"first", True)]
        assert replaced == [(b"first", True), (b"second" * 100, False), (b"", False)]
        assert cleared == []
    finally:
        retain(b"").wait_for_publish()
        peer.close()


def test_an_idle_connection_is_kept_alive(run: Run, broker: Broker) -> None:
    assert run("idle", broker.port) is False


def test_a_refusal_says_why(run: Run, tmp_path: Path) -> None:
    port = free_port()
    config = tmp_path / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous false\npersistence false\n")
    broker = subprocess.Popen(
        [*tools.mosquitto(), "-c", str(config)], stderr=subprocess.PIPE, text=True
    )
    try:
        assert broker.stderr
        while "running" not in broker.stderr.readline():
            assert broker.poll() is None
        assert run("refused", port) == "refused: not authorized"
    finally:
        broker.terminate()
        broker.communicate()


def test_a_killed_broker_is_noticed(run: Run, tmp_path: Path) -> None:
    broker = Broker(tmp_path)
    broker.start()
    peer = Peer(broker.port, TOPIC + "ready")
    peer.on(TOPIC + "ready", broker.kill)
    try:
        assert run("killed", broker.port) in ("MqttError", "OSError", "ConnectionResetError")
    finally:
        peer.close()
        broker.stop()


# ---- byte by byte ----


class Scripted:
    """A stream that yields given bytes, cut as told, and records what is written."""

    def __init__(self, incoming: bytes, pieces: int = 1 << 20, silent: bool = False) -> None:
        self.incoming = incoming
        self.written: list[bytes] = []
        self._pieces = pieces
        self._silent = silent

    async def readinto(self, buffer: memoryview, limit_ms: int) -> int:
        assert limit_ms > 0
        size = min(len(buffer), self._pieces, len(self.incoming))
        if not size and self._silent:
            await asyncio.sleep(limit_ms / 1000)
            raise OSError(ETIMEDOUT)
        buffer[:size] = self.incoming[:size]
        self.incoming = self.incoming[size:]
        return size

    async def write(self, buffers: Any, limit_ms: int) -> None:
        assert limit_ms > 0
        self.written.append(b"".join(bytes(buffer) for buffer in buffers))


def finish(call: Coroutine[Any, Any, Any]) -> Any:
    """Run a call that never has to wait."""
    try:
        call.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("the call waits")


def connected(incoming: bytes = b"", pieces: int = 1 << 20) -> tuple[Client, Scripted]:
    stream = Scripted(CONNACK + incoming, pieces)
    client = Client(stream, "T-1", 120, bytearray(1536))
    finish(mqtt_connect.connect(client, 1000))
    return client, stream


def test_packets_are_those_of_the_standard() -> None:
    client, stream = connected(b"\x90\x03\x00\x01\x00" + b"\x40\x02\x12\x34" * 2)
    finish(mqtt_connect.subscribe(client, [("a/b", 0)], 1000))
    finish(client.publish("a/b", b"payload", 0x1234, False, 1000))
    finish(client.publish("a/b", memoryview(b"payload"), 0x1234, True, 1000))
    finish(client.disconnect())
    assert stream.written == [
        # 3.1: protocol name and level 4, clean session, keep-alive 120 s, client identifier
        b"\x10\x0f\x00\x04MQTT\x04\x02\x00\x78\x00\x03T-1",
        b"\x82\x08\x00\x01\x00\x03a/b\x00",  # 3.8
        b"\x32\x0e\x00\x03a/b\x12\x34payload",  # 3.3
        b"\x3a\x0e\x00\x03a/b\x12\x34payload",  # DUP
        b"\xe0\x00",  # 3.14
    ]


@pytest.mark.parametrize(
    ("length", "head"),
    [
        # 2.2.3, table 2.4: the first and last value of each size
        (127, b"\x7f"),
        (128, b"\x80\x01"),
        (16383, b"\xff\x7f"),
        (16384, b"\x80\x80\x01"),
        (2097151, b"\xff\xff\x7f"),
    ],
)
def test_remaining_length_is_coded_as_in_the_standard(length: int, head: bytes) -> None:
    client, stream = connected(b"\x40\x02\x00\x01")
    finish(client.publish("t", bytes(length - 5), 1, False, 1000))
    assert stream.written[1][: 1 + len(head)] == b"\x32" + head


def message(topic: bytes, payload: bytes, packet_id: int = 0, flags: int = 0) -> bytes:
    """Encode a PUBLISH (3.3)."""
    body = len(topic).to_bytes(2, "big") + topic
    if packet_id:
        body += packet_id.to_bytes(2, "big")
    body += payload
    length, head = len(body), bytearray()
    while True:
        length, digit = divmod(length, 128)
        head.append(digit | (0x80 if length else 0))
        if not length:
            return bytes((0x30 | (2 if packet_id else 0) | flags, *head)) + body


messages = st.lists(
    st.tuples(
        st.text(st.characters(exclude_characters="#+\0", exclude_categories=["Cs"]), min_size=1,
                max_size=20),
        st.one_of(st.binary(max_size=300), st.integers(1400, 4000).map(bytes)),
        st.integers(0, 0xFFFF),
        st.booleans(),
        st.booleans(),
    ),
    max_size=6,
)  # fmt: skip


@given(messages, st.integers(1, 2000))
def test_any_messages_are_delivered_in_order_and_acknowledged_after(
    sent: list[tuple[str, bytes, int, bool, bool]], pieces: int
) -> None:
    incoming = b"".join(
        # DUP (bit 3) changes nothing: what has been seen before is known by what it says.
        message(topic.encode(), payload, packet_id, retain | (8 if dup and packet_id else 0))
        for topic, payload, packet_id, retain, dup in sent
    )
    client, stream = connected(incoming + b"\x40\x02\x00\x63", pieces)
    events: list[Any] = []
    client.on_message = lambda *found: events.append((found[0], bytes(found[1]), found[2]))
    write = stream.write

    async def recorded(buffers: Any, limit_ms: int) -> None:
        await write(buffers, limit_ms)
        events.append(stream.written[-1])

    stream.write = recorded  # type: ignore[method-assign]
    finish(client.publish("t", b"", 0x63, False, 1000))
    expected: list[Any] = [b"\x32\x05\x00\x01t\x00\x63"]
    skipped = 0
    for topic, payload, packet_id, retain, _ in sent:
        if len(message(topic.encode(), payload, packet_id)) <= 1536:
            expected.append((topic, payload, retain))
        else:
            skipped += 1
        if packet_id:
            expected.append(b"\x40\x02" + packet_id.to_bytes(2, "big"))
    assert events == expected
    assert client.skipped == skipped


BAD = {
    "QoS 3": b"\x36\x06\x00\x01t\x00\x01x",
    "QoS 2": b"\x34\x06\x00\x01t\x00\x01x",
    "DUP at QoS 0": b"\x38\x04\x00\x01tx",
    "packet identifier 0": b"\x32\x06\x00\x01t\x00\x00x",
    "topic longer than the packet": b"\x30\x04\x00\x09tx",
    "no topic": b"\x30\x03\x00\x00x",
    "wildcard in a topic": b"\x30\x05\x00\x02t#x",
    "NUL in a topic": b"\x30\x05\x00\x02t\0x",
    "topic not UTF-8": b"\x30\x04\x00\x01\xffx",
    "empty message": b"\x30\x00",
    "length of five bytes": b"\x30\x80\x80\x80\x80\x01",
    "packet of 16 MiB": b"\x30\x80\x80\x80\x08",
    "topic longer than the buffer": b"\x30\x80\x20\x08\x00" + b"t" * 4094,
    "a packet only clients send": b"\x82\x02\x00\x01",
    "reserved packet": b"\x00\x00",
    "SUBACK nobody waits for": b"\x90\x03\x00\x01\x00",
    "second CONNACK": CONNACK,
    "large PUBACK": b"\x40\x80\x10" + bytes(2048),
}


@pytest.mark.parametrize("packet", BAD.values(), ids=BAD.keys())
@pytest.mark.parametrize("pieces", [1, 4096])
def test_a_broken_packet_ends_the_connection(packet: bytes, pieces: int) -> None:
    client, _ = connected(packet, pieces)
    with pytest.raises(MqttError):
        finish(client.receive(1000))


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        # 3.2.2.3, table 3.1
        (b"\x20\x02\x00\x01", "refused: unacceptable protocol version"),
        (b"\x20\x02\x00\x02", "refused: identifier rejected"),
        (b"\x20\x02\x00\x03", "refused: server unavailable"),
        (b"\x20\x02\x00\x04", "refused: bad user name or password"),
        (b"\x20\x02\x00\x05", "refused: not authorized"),
        (b"\x20\x02\x00\x06", "refused: code 6"),
        (b"\x20\x02\x01\x00", "a clean session has nothing to resume"),
        (b"\x20\x03\x00\x00\x00", "unexpected packet"),
        (b"\xd0\x00" + b"\x90\x03\x00\x01\x00", "unexpected packet"),
        (b"", "closed by the broker"),
    ],
)
def test_connection_refused(answer: bytes, text: str) -> None:
    with pytest.raises(MqttError, match=text):
        finish(mqtt_connect.connect(Client(Scripted(answer), "T", 60, bytearray(1536)), 1000))


@pytest.mark.parametrize("answer", [b"\x00\x01\x80", b"\x00\x01\x01", b"\x00\x02\x00"])
def test_subscription_refused(answer: bytes) -> None:
    client, _ = connected(b"\x90\x03" + answer)
    with pytest.raises(MqttError, match="subscription refused"):
        finish(mqtt_connect.subscribe(client, [("t", 0)], 1000))


def test_an_acknowledgement_of_something_else_is_an_error() -> None:
    client, _ = connected(b"\x40\x02\x00\x02")
    with pytest.raises(MqttError):
        finish(client.publish("t", b"", 1, False, 1000))


def test_what_cannot_be_sent_is_refused() -> None:
    client, stream = connected()
    for call in (
        client.publish("t\0", b"", 1, False, 1000),
        client.publish("t" * 70000, b"", 1, False, 1000),
        client.publish("t", b"", 0, False, 1000),
        client.publish("t", b"", 65536, False, 1000),
    ):
        with pytest.raises(ValueError):  # noqa: PT011
            finish(call)
    for keepalive in (0, 65536):
        with pytest.raises(ValueError, match="keepalive"):
            Client(stream, "T", keepalive, bytearray(1536))
    assert len(stream.written) == 1


# ---- limits ----


def test_silence_ends_every_call_at_its_limit() -> None:
    async def story() -> None:
        calls: list[tuple[bytes, Callable[[Client], Awaitable[Any]]]] = [
            (b"", lambda client: mqtt_connect.connect(client, 20_000)),
            (CONNACK, lambda client: mqtt_connect.subscribe(client, [("t", 0)], 20_000)),
            (CONNACK, lambda client: client.publish("t", b"", 1, False, 20_000)),
        ]
        for incoming, call in calls:
            client = Client(Scripted(incoming, silent=True), "T", 60, bytearray(1536))
            if incoming:
                await mqtt_connect.connect(client, 1000)
            start = on_cpython.now_ms()
            with pytest.raises(OSError) as caught:  # noqa: PT011
                await call(client)
            assert caught.value.args == (ETIMEDOUT,)
            assert on_cpython.now_ms() - start == pytest.approx(20_000, abs=2)
        client = Client(Scripted(CONNACK, silent=True), "T", 60, bytearray(1536))
        await mqtt_connect.connect(client, 1000)
        start = on_cpython.now_ms()
        assert await client.receive(20_000) is False
        assert on_cpython.now_ms() - start == pytest.approx(20_000, abs=2)

    on_cpython.run(story())


def test_a_link_that_died_silently_is_noticed_within_the_keep_alive() -> None:
    async def story() -> None:
        stream = Scripted(CONNACK, silent=True)
        client = Client(stream, "T", 60, bytearray(1536))
        await mqtt_connect.connect(client, 1000)
        start = on_cpython.now_ms()
        with pytest.raises(MqttError, match="ping"):
            await client.receive(3_600_000)
        assert on_cpython.now_ms() - start <= 60_100
        assert stream.written[1:] == [b"\xc0\x00"]

    on_cpython.run(story())


def test_errors_of_the_stream_pass_through() -> None:
    class Reset(Scripted):
        async def readinto(self, buffer: memoryview, limit_ms: int) -> int:
            raise OSError(ECONNRESET)

    with pytest.raises(OSError) as caught:  # noqa: PT011
        finish(mqtt_connect.connect(Client(Reset(b""), "T", 60, bytearray(1536)), 1000))
    assert caught.value.args == (ECONNRESET,)


# ---- noise ----

WORDS = [
    CONNACK, b"\x30", b"\x32", b"\x3a", b"\x40\x02\x00\x01", b"\x90\x03\x00\x01\x00", b"\xd0\x00",
    message(b"t", b"x"), message(b"t", b"x", 1), message(b"t/u", b"y" * 100, 2, 1),
    message(b"t", bytes(2000), 3), b"\x00\x01t", b"\x80", b"\xff\xff\xff\x7f", b"\x80\x20", b"\0",
    b"\x7f", bytes(200),
]  # fmt: skip

NOISE = slice_or_all(50_000, 1_000_000)  # byte strings


def test_noise_raises_nothing_else_and_takes_no_more_memory() -> None:
    @settings(max_examples=NOISE // BATCH, deadline=None, database=None)
    @given(st.binary(min_size=8 * BATCH, max_size=8 * BATCH), st.integers(1, 300))
    def feed(choices: bytes, pieces: int) -> None:
        sizes: list[int] = []
        for number, data in enumerate(garbled(choices, WORDS)):
            client = Client(
                Scripted(CONNACK * (number % 4 > 0) + data, pieces), "T", 60, bytearray(1536)
            )
            client.on_message = lambda _topic, payload, _retain: sizes.append(len(payload))
            with pytest.raises(MqttError):
                finish(use(client, number % 4))
            assert len(client._buffer) == 1536
        assert all(size < 1536 for size in sizes)

    async def use(client: Client, phase: int) -> None:
        await mqtt_connect.connect(client, 1000)
        if phase == 1:
            await mqtt_connect.subscribe(client, [("t", 1)], 1000)
        elif phase == 2:
            await client.publish("t", b"", 1, False, 1000)
        while True:
            await client.receive(1000)

    feed()


def test_noise_on_real_interpreters(run: Run) -> None:
    refused, grown = run("noise", 10_000)
    assert refused == 10_000
    assert grown <= 0
