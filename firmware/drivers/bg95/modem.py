"""Quectel BG95 (and BG96): sockets and the way down; bg95_power and bg95_setup have the way up.

Sources: Quectel's "BG95&BG77&BG600L Series AT Commands Manual" V2.0 (AT manual), "BG95&BG77&BG600L
Series TCP/IP Application Note" V1.1 (TCP/IP note), "BG96 SSL AT Commands Manual" V1.0 (SSL
manual), "BG95 Series Hardware Design" V1.2.
"""

import asyncio
import time
from errno import ECONNRESET, ETIMEDOUT

from micropython import const

from drivers import forget
from drivers.bg95.at import AT, COMMAND_MS, ModemError, SendFull

POWER_OFF_MS = const(70_000)  # power_off takes no longer

# The manuals' maximum response times.
_QISEND_MS = const(120_000)
_QIRD_MS = const(120_000)
_QICLOSE_S = const(3)  # chosen, the default is 10: what was acknowledged is safe anyway

_SEND_MAX = const(1460)  # TCP/IP note 2.3.7
_READ_MAX = const(1500)  # TCP/IP note 2.3.8
_LOST_MS = const(2_000)  # an unsolicited code may be lost: look for data this often
_FULL_MS = const(500)


class SimError(ModemError):
    """No card, or one that wants a PIN or is defective."""


class RegistrationDenied(ModemError):
    """The network refuses this card."""


class NoCoverage(ModemError):
    """No network within the limit."""


class ConnectError(ModemError):
    """The connection could not be opened."""

    def __init__(self, code):
        """Keep the result ``code`` of AT+QIOPEN (TCP/IP note, table 3)."""
        super().__init__(code)
        self.code = code

    def __str__(self):
        """Return the code with the manual's text."""
        from drivers.bg95 import text as at_text

        return "connection not opened: %d (%s)" % (self.code, at_text.meaning(self.code))


class BG95:
    """The modem, driven by one task at a time."""

    def __init__(
        self,
        uart,
        pwrkey,
        reset_n,
        status,
        supply,
        baud=115_200,
        pwrkey_active=1,
        reset_active=1,
        status_active=1,
        supply_active=1,
    ):
        """Take the modem's UART and pins; the modem is left as it is.

        ``uart``: at ``baud``, timeout 0, a receive buffer of 2 KiB so that a whole answer fits.
        ``pwrkey``, ``reset_n``, ``supply``: outputs; ``status``: input. ``..._active`` is the
        level at the chip's pin at which the function is asserted (1 where a transistor inverts).
        """
        self._pwrkey = pwrkey
        self._status = status
        self._supply = supply
        self._pwrkey_active = pwrkey_active
        self._status_active = status_active
        self._supply_active = supply_active
        self._reset = reset_n
        self._reset_active = reset_active
        pwrkey.value(not pwrkey_active)
        reset_n.value(not reset_active)
        self.baud = baud
        self.at = AT(uart, self._unsolicited)
        self.ready = False  # APP RDY: the module has started
        # Since the driver was made: attempts repeated, re-attachments, resets by command and by
        # pin, supply cycles.
        self.counts = [0, 0, 0, 0, 0]
        self.stream: "Stream | None" = None

    # ---- power ----

    async def power_on(self, limit_ms):
        """Turn the modem on and prepare its AT interface; a modem that is already on is kept.

        One that does not answer is turned off by PWRKEY, then by its supply, and started again.
        Raises NoAnswer.
        """
        from drivers.bg95 import power as bg95_power

        await bg95_power.power_on(self, limit_ms)
        forget("drivers.bg95.power")

    async def power_off(self):
        """Turn the modem off: by AT+QPOWD, else by PWRKEY; in the end the supply. Never fails.

        Takes at most POWER_OFF_MS, most of it when the modem cannot leave the network.
        """
        from drivers.bg95 import power as bg95_power

        await bg95_power.power_off(self)
        forget("drivers.bg95.power")

    def supply(self, on):
        """Switch the modem's supply."""
        self._supply.value(self._supply_active if on else not self._supply_active)

    def is_on(self):
        """Return whether STATUS says that the modem runs."""
        return self._status.value() == self._status_active

    def press(self, pressed):
        """Press PWRKEY, or let go of it."""
        self._pwrkey.value(self._pwrkey_active if pressed else not self._pwrkey_active)

    # ---- unsolicited codes ----

    def _unsolicited(self, line):
        if line.startswith(b"+QIURC:") or line.startswith(b"+QSSLURC:"):
            kind = fields(line[line.find(b":") + 1 :])
            if kind[0] == b"pdpdeact":
                self.lose()
            elif self.stream is not None and len(kind) > 1:
                self.stream.unsolicited(kind[0], kind[1])
        elif line.startswith(b"+QIOPEN:") or line.startswith(b"+QSSLOPEN:"):
            opened = fields(line[line.find(b":") + 1 :])
            if self.stream is not None and len(opened) > 1:
                self.stream.opened(opened[0], opened[1])
        elif line == b"APP RDY":
            if self.ready:
                self.lose()  # it has restarted by itself: nothing it knew is left
            self.ready = True
        elif line == b"POWERED DOWN":
            self.lose()

    def lose(self):
        """Forget the connection: the modem no longer has it."""
        if self.stream is not None:
            self.stream.lose()
            self.stream = None

    # ---- network ----

    async def register(self, apn, limit_ms, user=None, password=None, pin=None):
        """Wait for card and network and open a data connection (PDP context 1) through ``apn``.

        ``pin`` is entered where the card asks for it, and only while it has all its attempts.
        Raises SimError, RegistrationDenied, NoCoverage, CommandError, NoAnswer.
        """
        from drivers.bg95 import setup as bg95_setup

        await bg95_setup.register(self.at, apn, limit_ms, user, password, pin)
        forget("drivers.bg95.setup", "drivers.bg95.pin")

    def reset(self, on):
        """Hold RESET_N, or let go of it."""
        self._reset.value(self._reset_active if on else not self._reset_active)

    async def network_time(self):
        """Return (Unix seconds, uncertainty in ms, ticks_ms at which that second began) or None.

        None where the network does not give its time (NITZ) within 2 s. It asks until the second
        changes, at most 1.5 s more. The uncertainty is that of the reading; the network's own is
        not known.
        """
        from drivers.bg95 import time as bg95_time

        found = await bg95_time.network_time(self.at)
        forget("drivers.bg95.time")
        return found

    async def signal(self):
        """Return (system mode, RSSI, RSRP, SINR, RSRQ), or None without service.

        RSSI and RSRP in dBm, RSRQ in dB, SINR in steps of 0.2 dB from -20 dB (AT manual 6.16);
        RSRP, SINR and RSRQ are None in GSM.
        """
        from drivers.bg95 import cell as bg95_cell

        return await bg95_cell.signal(self.at)

    # ---- sockets ----

    async def connect(self, host, port, limit_ms, secure=False):
        """Open a TCP connection to ``host``:``port`` and return it as a Stream.

        ``secure``: one for TLS, as bg95_tls has configured it. Raises ConnectError,
        CommandError, NoAnswer; ValueError for an impossible address.
        """
        from drivers.bg95 import connect as bg95_connect

        stream = await bg95_connect.connect(self, host, port, limit_ms, secure)
        forget("drivers.bg95.connect")
        return stream


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


def left(deadline):
    """Return the milliseconds until ``deadline``, 0 after it."""
    return max(0, time.ticks_diff(deadline, time.ticks_ms()))


def within(limit_ms, deadline):
    """Return the manual's limit, or what is left, but enough for an answer that comes at once.

    To give up earlier would only put the modem out of step.
    """
    return max(COMMAND_MS, min(limit_ms, left(deadline)))


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


def fields(text):
    """Return the fields of an answer, without blanks and quotes; none of them holds a comma."""
    return [field.strip().strip(b'"') for field in text.split(b",")]


def integer(field):
    """Return the number in ``field``, or None where there is none."""
    digits = field[1:] if field.startswith(b"-") else field
    return int(field) if digits.isdigit() and len(digits) < 10 else None


def is_plain(name):
    """Return whether ``name`` can stand between quotes in a command."""
    return all(char < "{" and (char.isalpha() or char.isdigit() or char in ".-_") for char in name)
