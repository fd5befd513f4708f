"""MQTT 3.1.1 client over any stream (OASIS standard, 29 October 2014; section numbers are its).

A stream has ``await readinto(buffer, limit_ms)`` (at least one byte, 0 at the end of the stream,
OSError after the limit) and ``await write(buffers, limit_ms)``.
"""

import time
from errno import ETIMEDOUT

from micropython import const

_LARGEST = const(16384)  # a larger packet ends the connection, a smaller one may be skipped

_PUBLISH = const(0x30)
_PUBACK = const(0x40)
_PINGRESP = const(0xD0)

_DUP = const(0x08)
_QOS = const(0x06)
_QOS1 = const(0x02)
_RETAIN = const(0x01)

_PINGREQ = const(b"\xc0\x00")
_DISCONNECT = const(b"\xe0\x00")


class MqttError(OSError):
    """The broker refuses, closes, is silent or breaks the protocol; the connection has ended."""


class Client:
    """One connection with a clean session, which mqtt_connect.py opens; one call at a time.

    After any exception only the stream can be closed. ``on_message(topic, payload, retain)`` is
    called for every message: ``topic`` a str, ``payload`` a memoryview that is valid during the
    call. ``skipped`` counts messages too large for the buffer.
    """

    def __init__(self, stream, client_id, keepalive, buffer):
        """Use ``stream``; ``keepalive`` is in seconds, 1...65535.

        ``buffer``, a bytearray of 5 bytes or more, limits the size of the packets that are read.
        """
        if not 0 < keepalive <= 0xFFFF:
            raise ValueError("keepalive out of range")
        self.on_message = None
        self.skipped = 0
        self._stream = stream
        self.client_id = client_id
        self.keepalive = keepalive
        self._buffer = buffer
        self._view = memoryview(self._buffer)
        self._end = 0  # bytes in the buffer
        self._taken = 0  # bytes at the beginning of the buffer that have been handled
        self._skip = 0  # bytes still to come of a packet that is skipped
        self._skipped_id = 0  # the packet identifier of that packet, if it has one
        self._sent = 0  # ticks_ms of the last packet to the broker
        self._pinged: "int | None" = None  # ticks_ms of a ping without answer

    async def publish(self, topic, payload, packet_id, dup, limit_ms):
        """Publish ``payload`` at QoS 1; return once the broker has taken it.

        ``payload`` is bytes-like, or has a length and gives its bytes by slices, as the stream.

        ``packet_id`` 1...65535; ``dup`` when it may have been published before. Messages that
        arrive meanwhile are delivered.
        """
        if not 0 < packet_id <= 0xFFFF:
            raise ValueError("packet identifier out of range")
        deadline = deadline_in(limit_ms)
        flags = _PUBLISH | _QOS1 | (_DUP if dup else 0)
        await self.send(flags, [string(topic), packet_id.to_bytes(2, "big"), payload], deadline)
        if u16(await self.expect(_PUBACK, 2, deadline), 0) != packet_id:
            raise MqttError("acknowledges what was not published")

    async def receive(self, limit_ms):
        """Wait for the next message; return whether one came within the limit.

        Raises MqttError; OSError.
        """
        deadline = deadline_in(limit_ms)
        kind = _PINGRESP
        while kind == _PINGRESP:
            kind, _ = await self._next(deadline)
        if kind is not None and kind & 0xF0 != _PUBLISH:
            raise MqttError("unexpected packet")
        return kind is not None

    async def ping(self, limit_ms):
        """Ask for an answer, and wait for it; messages that the broker sent before are delivered.

        Raises MqttError; OSError.
        """
        deadline = deadline_in(limit_ms)
        await self._stream.write((_PINGREQ,), limit_ms)
        self._pinged = self._sent = time.ticks_ms()
        await self.expect(_PINGRESP, 0, deadline)

    async def disconnect(self, limit_ms=5000):
        """End the session; the stream is then closed by its owner."""
        await self._stream.write((_DISCONNECT,), limit_ms)

    # ---- packets out ----

    async def send(self, first, fields, deadline):
        """Send a packet that begins with the byte ``first``, in one write."""
        length = sum(len(field) for field in fields)
        if length >= 1 << 28:
            raise ValueError("packet too large")
        head = bytearray((first,))
        while length > 0x7F:  # 2.2.3
            head.append(length & 0x7F | 0x80)
            length >>= 7
        head.append(length)
        await self._stream.write([head] + fields, max(1, _left(deadline)))
        self._sent = time.ticks_ms()

    # ---- packets in ----

    async def expect(self, kind, size, deadline):
        """Return the body of the next packet that is no message: ``kind``, of ``size`` bytes."""
        while True:
            found, body = await self._next(deadline)
            if found is None:
                raise OSError(ETIMEDOUT)
            if found & 0xF0 != _PUBLISH and (found != _PINGRESP or kind == _PINGRESP):
                if found != kind or len(body) != size:
                    raise MqttError("unexpected packet")
                return body

    async def _next(self, deadline):
        """Return (first byte, body) of the next packet, (None, b"") when the limit passes first.

        The body is valid until the next call. A message has then been delivered and acknowledged.
        """
        while True:
            self._drop_taken()
            if self._skip:
                self._taken = min(self._skip, self._end)
                self._skip -= self._taken
                if self._taken and not self._skip:
                    self.skipped += 1
                    await self._acknowledge(self._skipped_id, deadline)
                if self._taken:
                    continue
            else:
                start, size = self._measure()
                if size and size <= self._end:
                    self._taken = size
                    first, body = self._buffer[0], self._view[start:size]
                    if first & 0xF0 == _PUBLISH:
                        await self._acknowledge(self._deliver(first, body), deadline)
                        return first, body
                    if first == _PINGRESP:
                        self._pinged = None
                    return first, body
                if self._end == len(self._buffer):
                    self._skipped_id = self._parse(self._buffer[0], self._view[start:])[1]
                    self._skip = size
                    continue
            if not await self._fill(deadline):
                return None, b""

    def _drop_taken(self):
        rest = self._end - self._taken
        if self._taken:
            self._view[:rest] = self._view[self._taken : self._end]
        self._end = rest
        self._taken = 0

    def _measure(self):
        """Return (where the body starts, size of the packet); (0, 0) while that is not known."""
        size = 0
        for i in range(1, 5):
            if i >= self._end:
                return 0, 0
            byte = self._buffer[i]
            size |= (byte & 0x7F) << 7 * (i - 1)
            if byte < 0x80:
                size += i + 1
                if size > _LARGEST:
                    raise MqttError("packet too large")
                return i + 1, size
        raise MqttError("malformed length")

    async def _fill(self, deadline):
        """Read what there is; return False when the limit passes first. Pings a silent broker."""
        half = self.keepalive * 500
        while True:
            now = time.ticks_ms()
            left = time.ticks_diff(deadline, now)
            if left <= 0:
                return False
            if self._pinged is None and time.ticks_diff(now, self._sent) >= half:
                await self._stream.write((_PINGREQ,), left)
                self._pinged = self._sent = now
            since = self._sent if self._pinged is None else self._pinged
            due = half - time.ticks_diff(now, since)
            if due <= 0:
                raise MqttError("no answer to a ping")
            try:
                count = await self._stream.readinto(self._view[self._end :], min(left, due))
            except OSError as error:
                if not error.args or error.args[0] != ETIMEDOUT:
                    raise
                continue
            if not count:
                raise MqttError("closed by the broker")
            self._end += count
            return True

    def _deliver(self, first, body):
        """Hand a message over; return its packet identifier, 0 at QoS 0."""
        topic, packet_id, start = self._parse(first, body)
        if self.on_message is not None:
            self.on_message(topic, body[start:], bool(first & _RETAIN))
        return packet_id

    def _parse(self, first, body):
        """Return (topic, packet identifier or 0, start of the payload) of a PUBLISH (3.3)."""
        qos = first & _QOS
        if first & 0xF0 != _PUBLISH or qos > _QOS1 or (first & _DUP and not qos):
            raise MqttError("unexpected packet")
        end = 2 + u16(body, 0)
        packet_id = 0
        start = end
        if qos:
            packet_id = u16(body, end)
            start += 2
        if start > len(body) or (qos and not packet_id):
            raise MqttError("malformed message")
        try:
            topic = str(body[2:end], "utf-8")
        except ValueError:
            raise MqttError("malformed topic")
        if not topic or "#" in topic or "+" in topic or "\0" in topic:
            raise MqttError("malformed topic")
        return topic, packet_id, start

    async def _acknowledge(self, packet_id, deadline):
        if packet_id:
            await self.send(_PUBACK, [packet_id.to_bytes(2, "big")], deadline)


def deadline_in(limit_ms):
    """Return the moment at which a limit from now on passes."""
    return time.ticks_add(time.ticks_ms(), limit_ms)


def _left(deadline):
    return time.ticks_diff(deadline, time.ticks_ms())


def u16(body, at):
    """Return the big-endian number at ``at``."""
    if at + 2 > len(body):
        raise MqttError("packet too short")
    return body[at] << 8 | body[at + 1]


def string(text):
    """Return ``text`` as a UTF-8 encoded string (1.5.3)."""
    data = text.encode()
    if len(data) > 0xFFFF or b"\0" in data:
        raise ValueError("not a string for MQTT")
    return len(data).to_bytes(2, "big") + data
