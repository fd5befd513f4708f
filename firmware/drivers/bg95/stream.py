"""BG95: a connection in buffer access mode. Loaded to open one, and kept by it alone.

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
_QICLOSE_S = const(3)  # chosen, the default is 10: what was acknowledged is safe anyway

_SEND_MAX = const(1460)  # TCP/IP note 2.3.7
_READ_MAX = const(1500)  # TCP/IP note 2.3.8
_LOST_MS = const(2_000)  # an unsolicited code may be lost: look for data this often
_FULL_MS = const(500)


class Stream:
    """A connection in buffer access mode (socket 0), TCP's or, when ``secure``, TLS's."""

    def __init__(self, at, secure=False):
        """Made by BG95.connect."""
        self._at = at
        self._family = b"QSSL" if secure else b"QI"
        self._receive = b"QSSLRECV" if secure else b"QIRD"
        self._readable = False
        self._closed = False  # by the peer: what it sent before can still be read
        self._lost = False
        self.result: "int | None" = None

    def opened(self, socket, result):
        """Take +QIOPEN."""
        if socket == b"0" and self.result is None:
            self.result = integer(result)

    def unsolicited(self, kind, socket):
        """Take +QIURC."""
        if socket == b"0":
            if kind == b"recv":
                self._readable = True
            elif kind == b"closed":
                self._closed = True

    def lose(self):
        """Take note that the modem no longer has this connection."""
        self._lost = True

    def is_settled(self):
        """Return whether +QIOPEN has come, or never will."""
        return self.result is not None or self._lost

    async def readinto(self, buffer, limit_ms):
        """Read what is there, at least one byte, into ``buffer``; return how many, 0 at the end.

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
            # New data is announced only once all that there was has been read (TCP/IP note 2.3.8).
            if count == len(view):
                self._readable = True
            if count or closed:
                return count
            if not left(deadline):
                raise OSError(ETIMEDOUT)

    def _is_pending(self):
        return self._readable or self._closed or self._lost

    async def write(self, buffers, limit_ms):
        """Send ``buffers``, as one piece where they fit into one (1,460 bytes).

        Each is bytes-like or has a length and gives its bytes by slices, when they are sent.

        Returns when the modem has them, not the peer. Raises OSError(ETIMEDOUT) while the modem's
        buffer stays full, OSError(ECONNRESET) and what a command raises.
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
        """Close the connection; harmless where it is closed already."""
        if not self._lost:
            self._lost = True
            try:
                command = b"AT+%sCLOSE=0,%d" % (self._family, _QICLOSE_S)
                await self._at.command(command, limit_ms=_QICLOSE_S * 1000 + COMMAND_MS)
            except ModemError:
                pass  # the power-off that follows a session closes it too


def _slices(buffers, start, size):
    """Yield the parts of ``buffers`` that make up ``size`` bytes from ``start`` of their sum."""
    for buffer in buffers:
        if start < len(buffer):
            part = buffer[start : start + size]
            yield part
            size -= len(part)
            if not size:
                return
        start = max(0, start - len(buffer))
