"""What the MQTT client does with a real broker; runs on CPython and on MicroPython."""
# ruff: noqa: B904, UP041
# mypy: ignore-errors

import asyncio
import gc
from errno import ETIMEDOUT

from coldtrail.uplink import mqtt_connect
from coldtrail.uplink.mqtt import Client, MqttError

TOPIC = "coldtrail/1/STORY/"
LIMIT_MS = 600_000  # of a hang
SIZES = (0, 1, 2, 81, 82, 1000, 1400)  # around 127 bytes of remaining length, and a whole block


class SocketStream:
    """A TCP connection as the client wants it."""

    def __init__(self, reader, writer):
        self.reader = reader
        self.writer = writer
        self.writes = 0

    async def readinto(self, buffer, limit_ms):
        try:
            data = await asyncio.wait_for_ms(self.reader.read(len(buffer)), limit_ms)
        except asyncio.TimeoutError:
            raise OSError(ETIMEDOUT)
        buffer[: len(data)] = data
        return len(data)

    async def write(self, buffers, limit_ms):
        self.writes += 1
        for buffer in buffers:
            self.writer.write(bytes(buffer))
        await asyncio.wait_for_ms(self.writer.drain(), limit_ms)

    def close(self):
        self.writer.close()


async def opened(port, name, keepalive=60):
    """Return a connected client and its stream."""
    stream = SocketStream(*await asyncio.open_connection("127.0.0.1", port))
    client = Client(stream, name, keepalive, bytearray(1536))
    await mqtt_connect.connect(client, LIMIT_MS)
    return client, stream


def collector(client):
    """Let the client collect what it receives."""
    received = []
    client.on_message = lambda topic, payload, retain: received.append(
        (topic, bytes(payload), retain)
    )
    return received


async def echo(port):
    """Publish at QoS 1 to itself; return the sizes that came back unchanged."""
    client, stream = await opened(port, "ECHO")
    received = collector(client)
    await mqtt_connect.subscribe(client, [(TOPIC + "echo", 1)], LIMIT_MS)
    same = []
    for number, size in enumerate(SIZES):
        payload = bytes((i * 7 + size) & 0xFF for i in range(size))
        await client.publish(
            TOPIC + "echo", memoryview(payload), 1 + number, bool(number & 1), LIMIT_MS
        )
        while not received:
            await client.receive(LIMIT_MS)
        if received.pop() == (TOPIC + "echo", payload, False):
            same.append(size)
    await client.disconnect()
    stream.close()
    return same


async def retained(port):
    """Return what the broker has kept for the topic, and whether it says so."""
    client, stream = await opened(port, "RETAINED")
    received = collector(client)
    await mqtt_connect.subscribe(client, [(TOPIC + "retained", 0)], LIMIT_MS)
    while not received:
        await client.receive(LIMIT_MS)
    await client.receive(500)  # there is no other
    await client.disconnect()
    stream.close()
    return [(topic, len(payload), retain) for topic, payload, retain in received]


async def oversized(port):
    """Say "ready", return what arrives of messages of several sizes."""
    client, stream = await opened(port, "OVERSIZED")
    received = collector(client)
    await mqtt_connect.subscribe(client, [(TOPIC + "sizes", 1)], LIMIT_MS)
    await client.publish(TOPIC + "ready", b"", 7, False, LIMIT_MS)
    while not received or received[-1][1] != b"end":
        if not await client.receive(LIMIT_MS):
            break
    await client.disconnect()
    stream.close()
    return [len(payload) for _, payload, _ in received], client.skipped


async def commands(port):
    """Hear a retained message at QoS 1 twice; say "ready", hear it replaced, cleared, no more."""
    heard = []
    for _ in range(2):
        client, stream = await opened(port, "COMMANDS")
        received = collector(client)
        await mqtt_connect.subscribe(client, [(TOPIC + "command", 1)], LIMIT_MS)
        await client.receive(LIMIT_MS)
        await client.disconnect()
        stream.close()
        heard.append([(payload, retain) for _, payload, retain in received])
    client, stream = await opened(port, "COMMANDS")
    received = collector(client)
    await mqtt_connect.subscribe(client, [(TOPIC + "command", 1)], LIMIT_MS)
    await client.publish(TOPIC + "ready", b"", 7, False, LIMIT_MS)
    while not received or received[-1][1]:
        if not await client.receive(LIMIT_MS):
            break
    await client.disconnect()
    stream.close()
    heard.append([(payload, retain) for _, payload, retain in received])
    client, stream = await opened(port, "COMMANDS")
    received = collector(client)
    await mqtt_connect.subscribe(client, [(TOPIC + "command", 1)], LIMIT_MS)
    await client.receive(300)
    await client.disconnect()
    stream.close()
    heard.append(received)
    return heard


async def idle(port):
    """Stay connected for longer than the broker allows without a ping; then publish."""
    client, stream = await opened(port, "IDLE", keepalive=2)
    heard = await client.receive(5000)
    await client.publish(TOPIC + "idle", b"x", 9, False, LIMIT_MS)
    await client.disconnect()
    stream.close()
    return heard


async def refused(port):
    """Return why the broker does not want this client."""
    try:
        await opened(port, "REFUSED")
    except MqttError as error:
        return str(error)
    return None


async def killed(port):
    """Say "ready" and wait for a broker that will be killed; return what that looks like."""
    client, _ = await opened(port, "KILLED")
    try:
        await client.publish(TOPIC + "ready", b"", 7, False, LIMIT_MS)  # may be its last
        await client.receive(LIMIT_MS)
    except OSError as error:
        return type(error).__name__
    return None


class Given:
    """A stream that gives what it was given, then ends."""

    def __init__(self, data):
        self.data = data

    async def readinto(self, buffer, limit_ms):
        size = min(len(buffer), len(self.data), 100)
        buffer[:size] = self.data[:size]
        self.data = self.data[size:]
        return size

    async def write(self, buffers, limit_ms):
        pass


WORDS = (
    b"\x20\x02\x00\x00",
    b"\x32\x0e\x00\x03a/b\x12\x34payload",
    b"\x31\x04\x00\x01tx",
    b"\x40\x02\x00\x01",
    b"\x90\x03\x00\x01\x01",
    b"\xd0\x00",
    b"\xff\xff\xff\x7f",
    b"\x80\x20" + b"y" * 90,
)


async def noise(strings):
    """Feed that many pseudo-random strings; return (strings refused, bytes the heap grew by).

    Only what the client declares to raise is caught.
    """
    buffer = bytearray(672)
    refused = before = 0
    state = 1
    for number in range(strings):
        data = WORDS[0] if number & 3 else b""
        for _ in range(6):
            state = state * 1103515245 + 12345 & 0x3FFFFFFF
            choice = state >> 16 & 0xFF
            data += WORDS[choice & 7] if choice & 8 else bytes((choice,))
        client = Client(Given(data), "NOISE", 60, buffer)
        try:
            await mqtt_connect.connect(client, LIMIT_MS)
            if number & 3 == 1:
                await mqtt_connect.subscribe(client, [("t", 1)], LIMIT_MS)
            elif number & 3 == 2:
                await client.publish("t", b"", 1, False, LIMIT_MS)
            while True:
                await client.receive(LIMIT_MS)
        except MqttError:
            refused += 1
        client = None
        if number == 100:
            before = in_use()
    return refused, in_use() - before


def in_use():
    """Return the bytes of the heap in use, where the interpreter tells."""
    gc.collect()
    return gc.mem_alloc() if hasattr(gc, "mem_alloc") else 0


STORIES = {
    "noise": noise,
    "echo": echo,
    "retained": retained,
    "oversized": oversized,
    "commands": commands,
    "idle": idle,
    "refused": refused,
    "killed": killed,
}


def main(story, port):
    """Run a story and print what it returns."""
    print(repr(asyncio.run(STORIES[story](port))))
