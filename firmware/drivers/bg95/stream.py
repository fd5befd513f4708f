"""BG95, sockets: a connection in buffer access mode. The module stays loaded while one is open.

Sources as in modem.py.

    stream = await modem.connect("broker.example", 1883, 60_000)
    await stream.write((b"hello",), 10_000)
    count = await stream.readinto(buffer, 10_000)
    await stream.close()
"""

import asyncio
import time
from errno import ECONNRESET, ETIMEDOUT

from micropython import const

from drivers.bg95.at import COMMAND_MS, ModemError, SendFull, left, within
from drivers.bg95.text import integer

# The manuals' maximum response times.
_QISEND_MS = const(120_000)
_QIRD_MS = const(120_000)
_QICLOSE_S = const(3)  # less than the default of 10, for acknowledged data is safe anyway

_SEND_MAX = const(1460)  # TCP/IP note 2.3.7
_READ_MAX = const(1500)  # TCP/IP note 2.3.8
_LOST_MS = const(2_000)  # how often to look for data, since an unsolicited code may be lost
_FULL_MS = const(500)


class Stream:
    """A connection in buffer access mode on socket 0: TCP, or TLS when ``secure``."""

    def __init__(self, at, secure=False):
        """Take the command engine ``at``; BG95.connect makes the streams."""
        self._at = at
        self._family = b"QSSL" if secure else b"QI"
        self._receive = b"QSSLRECV" if secure else b"QIRD"
        self._readable = False
        self._closed = False  # whether the peer has closed; what it sent can still be read
        self._lost = False
        self.result: "int | None" = None

    def opened(self, socket, result):
        """Take the result of +QIOPEN for a socket."""
        if socket == b"0" and self.result is None:
            self.result = integer(result)

    def unsolicited(self, kind, socket):
        """Take a +QIURC code for a socket."""
        if socket == b"0":
            if kind == b"recv":
                self._readable = True
            elif kind == b"closed":
                self._closed = True

    def lose(self):
        """Note that the modem no longer has this connection."""
        self._lost = True

    def is_settled(self):
        """Return whether +QIOPEN has come or can no longer come."""
        return self.result is not None or self._lost

    async def readinto(self, buffer, limit_ms):
        """Wait for data and read it into ``buffer``; return the number of bytes, 0 at the end.

        Raises OSError(ETIMEDOUT), OSError(ECONNRESET) and what a command raises.
        """
        deadline = time.ticks_add(time.ticks_ms(), limit_ms)
        view = memoryview(buffer)[:_READ_MAX]
        while True:
            await self._at.until(self._is_pending, min(left(deadline), _LOST_MS))
            if self._lost:
                raise OSError(ECONNRESET)
            closed = self._closed
            self._readable = False
            command = b"AT+%s=0,%d" % (self._receive, len(view))
            prefix = b"+%s:" % self._receive
            limit = within(_QIRD_MS, deadline)
            count = int(await self._at.command(command, prefix, limit, view))
            # The modem announces new data only when all earlier data was read (TCP/IP note 2.3.8).
            if count == len(view):
                self._readable = True
            if count or closed:
                return count
            if not left(deadline):
                raise OSError(ETIMEDOUT)

    def _is_pending(self):
        return self._readable or self._closed or self._lost

    async def write(self, buffers, limit_ms):
        """Send ``buffers`` one after the other, in pieces of at most 1,460 bytes.

        Each buffer is bytes-like, or has a length and returns bytes for a slice; the slices are
        taken when they are sent.

        The function returns when the modem has taken the data, not the peer. Raises
        OSError(ETIMEDOUT) when the modem's buffer stays full, OSError(ECONNRESET) and what a
        command raises.
        """
        deadline = time.ticks_add(time.ticks_ms(), limit_ms)
        start, total = 0, sum(len(buffer) for buffer in buffers)
        while start < total:
            if self._lost or self._closed:
                raise OSError(ECONNRESET)
            size = min(_SEND_MAX, total - start)
            limit = within(_QISEND_MS, deadline)
            try:
                command = b"AT+%sSEND=0,%d" % (self._family, size)
                await self._at.send(command, _slices(buffers, start, size), limit)
                start += size
            except SendFull:
                if not left(deadline):
                    raise OSError(ETIMEDOUT)
                await asyncio.sleep_ms(_FULL_MS)

    async def close(self):
        """Close the connection; nothing happens when it is closed already."""
        if not self._lost:
            self._lost = True
            try:
                command = b"AT+%sCLOSE=0,%d" % (self._family, _QICLOSE_S)
                await self._at.command(command, limit_ms=_QICLOSE_S * 1000 + COMMAND_MS)
            except ModemError:
                pass  # the power-off after the session closes it too


def _slices(buffers, start, size):
    """Yield ``size`` bytes of the joined ``buffers`` from ``start`` on, without joining them."""
    for buffer in buffers:
        if start < len(buffer):
            part = buffer[start : start + size]
            yield part
            size -= len(part)
            if not size:
                return
        start = max(0, start - len(buffer))
