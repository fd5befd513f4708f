"""Quectel BG95 (and BG96): power, registration, network time, signal and TCP sockets.

Sources: Quectel's "BG95&BG77&BG600L Series AT Commands Manual" V2.0 (AT manual), "BG95&BG77&BG600L
Series TCP/IP Application Note" V1.1 (TCP/IP note), "BG95 Series Hardware Design" V1.2.
"""

import asyncio
import time
from errno import ECONNRESET, ETIMEDOUT

from micropython import const

from drivers.at import AT, COMMAND_MS, CommandError, ModemError, NoAnswer, SendFull

# Hardware design 3.6: VBAT stable for 30 ms; PWRKEY low for 500...1000 ms turns on, for
# 650...1500 ms turns off, and for 2 s resets. One width does both.
_SUPPLY_MS = const(100)
_PWRKEY_MS = const(700)
_STATUS_MS = const(6_000)  # rises 2.1 s after PWRKEY, on a BG96 4.8 s
_UART_MS = const(500)  # answers 0.4 s after STATUS
_DEAF_MS = const(10_000)
_READY_MS = const(5_000)
_DISCHARGE_MS = const(1_000)

# AT manual 1.8: after 65 s without POWERED DOWN the supply is cut; otherwise 1 s after it.
_POWERED_DOWN_MS = const(65_000)
_SAFE_MS = const(1_000)
POWER_OFF_MS = const(70_000)  # power_off takes no longer

# The manuals' maximum response times.
_CPIN_MS = const(5_000)
_CFUN_MS = const(15_000)
_QIACT_MS = const(150_000)
_QIDEACT_MS = const(40_000)
_QIOPEN_MS = const(150_000)
_QISEND_MS = const(120_000)
_QIRD_MS = const(120_000)
_QICLOSE_S = const(3)  # chosen, the default is 10: what was acknowledged is safe anyway

_SIM_MS = const(20_000)  # a card that is not ready by then is none
_DENIED_MS = const(30_000)  # other networks may still accept
_POLL_MS = const(1_000)
_SEND_MAX = const(1460)  # TCP/IP note 2.3.7
_READ_MAX = const(1500)  # TCP/IP note 2.3.8
_LOST_MS = const(2_000)  # an unsolicited code may be lost: look for data this often
_FULL_MS = const(500)

_QLTS_MS = const(1_500)  # a running clock shows a new second within this
_EARLIEST = const(1577836800)  # 2020-01-01: a clock before it was never set

_IDENTITY_USED = const(563)

_HOME = const(1)
_DENIED = const(3)
_ROAMING = const(5)


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
        from drivers import at_text

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
        pwrkey_active=1,
        reset_active=1,
        status_active=1,
        supply_active=1,
    ):
        """Take the modem's UART and pins; the modem is left as it is.

        ``uart``: 115,200 baud, timeout 0, a receive buffer of 2 KiB so that a whole answer fits.
        ``pwrkey``, ``reset_n``, ``supply``: outputs; ``status``: input. ``..._active`` is the
        level at the chip's pin at which the function is asserted (1 where a transistor inverts).
        """
        self._pwrkey = pwrkey
        self._status = status
        self._supply = supply
        self._pwrkey_active = pwrkey_active
        self._status_active = status_active
        self._supply_active = supply_active
        pwrkey.value(not pwrkey_active)
        reset_n.value(not reset_active)
        self._at = AT(uart, self._unsolicited)
        self._ready = False  # APP RDY: the module has started
        self._stream: "Stream | None" = None

    # ---- power ----

    async def power_on(self, limit_ms):
        """Turn the modem on and prepare its AT interface; a modem that is already on is kept.

        One that does not answer is turned off by PWRKEY, then by its supply, and started again.
        Raises NoAnswer.
        """
        deadline = time.ticks_add(time.ticks_ms(), limit_ms)
        self._supply.value(self._supply_active)
        await asyncio.sleep_ms(_SUPPLY_MS)
        self._at.start()
        while True:
            self._ready = self._is_on()
            if not self._is_on():
                self._press()
                await self._status_within(True, min(_STATUS_MS, _left(deadline)))
                await asyncio.sleep_ms(_UART_MS)
            if await self._wake(min(_DEAF_MS, _left(deadline))):
                break
            if not _left(deadline):
                raise NoAnswer("the modem does not answer after power-on")
            await self._cut(min(_STATUS_MS, _left(deadline)))
            self._supply.value(self._supply_active)
            await asyncio.sleep_ms(_SUPPLY_MS)
        await self._prepare()
        # What it says while it starts would otherwise look like a restart later on.
        await self._at.until(lambda: self._ready, min(_READY_MS, _left(deadline)))
        self._ready = True

    async def power_off(self):
        """Turn the modem off: by AT+QPOWD, else by PWRKEY; in the end the supply. Never fails.

        Takes at most POWER_OFF_MS, most of it when the modem cannot leave the network.
        """
        deadline = time.ticks_add(time.ticks_ms(), _POWERED_DOWN_MS)
        self._lose()
        if self._is_on():
            try:
                await self._at.command(b"AT+QPOWD")
            except ModemError:
                self._press()
            if await self._status_within(False, _left(deadline)):
                await asyncio.sleep_ms(_SAFE_MS)
        await self._at.stop()
        self._supply.value(not self._supply_active)

    def _is_on(self):
        return self._status.value() == self._status_active

    def _press(self):
        # Not asyncio.sleep_ms: another task could stretch the pulse into a reset.
        self._pwrkey.value(self._pwrkey_active)
        time.sleep_ms(_PWRKEY_MS)
        self._pwrkey.value(not self._pwrkey_active)

    async def _status_within(self, on, limit_ms):
        deadline = time.ticks_add(time.ticks_ms(), limit_ms)
        while self._is_on() != on:
            if not _left(deadline):
                return False
            await asyncio.sleep_ms(100)
        return True

    async def _cut(self, limit_ms):
        """Turn off a modem that does not answer."""
        if self._is_on():
            self._press()
            await self._status_within(False, limit_ms)
        self._supply.value(not self._supply_active)
        await asyncio.sleep_ms(_DISCHARGE_MS)

    async def _wake(self, limit_ms):
        """Return whether the modem answers within the limit."""
        deadline = time.ticks_add(time.ticks_ms(), limit_ms)
        while _left(deadline):
            try:
                await self._at.synchronise()
                return True
            except NoAnswer:
                pass
        return False

    async def _prepare(self):
        command = self._at.command
        await command(b"ATE0")
        await command(b"AT+CMEE=1")
        # Else the data that AT+QISEND takes comes back and may look like a result.
        await command(b"AT+QISDE=0")
        # Kept in the modem's memory: written only where it differs.
        if await command(b'AT+QURCCFG="urcport"', b'+QURCCFG: "urcport",') != b'"uart1"':
            await command(b'AT+QURCCFG="urcport","uart1"')

    # ---- unsolicited codes ----

    def _unsolicited(self, line):
        if line.startswith(b"+QIURC:"):
            kind = _fields(line[7:])
            if kind[0] == b"pdpdeact":
                self._lose()
            elif self._stream is not None and len(kind) > 1:
                self._stream.unsolicited(kind[0], kind[1])
        elif line.startswith(b"+QIOPEN:"):
            opened = _fields(line[8:])
            if self._stream is not None and len(opened) > 1:
                self._stream.opened(opened[0], opened[1])
        elif line == b"APP RDY":
            if self._ready:
                self._lose()  # it has restarted by itself: nothing it knew is left
            self._ready = True
        elif line == b"POWERED DOWN":
            self._lose()

    def _lose(self):
        """Forget the connection: the modem no longer has it."""
        if self._stream is not None:
            self._stream.lose()
            self._stream = None

    # ---- network ----

    async def register(self, apn, limit_ms):
        """Wait for card and network and open a data connection (PDP context 1) through ``apn``.

        Raises SimError, RegistrationDenied, NoCoverage, CommandError, NoAnswer.
        """
        deadline = time.ticks_add(time.ticks_ms(), limit_ms)
        command = self._at.command
        if await command(b"AT+CFUN?", b"+CFUN:") != b"1":
            await command(b"AT+CFUN=1", limit_ms=_CFUN_MS)
        await self._card(min(_SIM_MS, _left(deadline)))
        await self._access_point(apn)
        await self._network(deadline)
        await self._activate(deadline)

    async def _card(self, limit_ms):
        deadline = time.ticks_add(time.ticks_ms(), limit_ms)
        while True:
            try:
                state = await self._at.command(b"AT+CPIN?", b"+CPIN:", _CPIN_MS)
                if state == b"READY":
                    return
                if state == b"SIM PIN" or state == b"SIM PUK":
                    break
            except CommandError as error:  # also while the card is being read
                state = error
            if not _left(deadline):
                break
            await asyncio.sleep_ms(_POLL_MS)
        raise SimError("SIM card not ready: %s" % _text(state))

    async def _access_point(self, apn):
        if not 0 < len(apn) <= 100 or not _is_plain(apn):
            raise ValueError("an APN is 1 to 100 letters, digits, dots and hyphens")
        # Kept in the modem's memory: written only where it differs.
        wanted = b'1,"' + apn.encode() + b'","","",0'
        if await self._at.command(b"AT+QICSGP=1", b"+QICSGP:") != wanted:
            await self._at.command(b"AT+QICSGP=1," + wanted)

    async def _network(self, deadline):
        denied = None
        while True:
            fields = _fields(await self._at.command(b"AT+CEREG?", b"+CEREG:"))
            stat = _integer(fields[1]) if len(fields) > 1 else None
            if stat in (_HOME, _ROAMING):
                return
            now = time.ticks_ms()
            if stat != _DENIED:
                denied = None
            elif denied is None:
                denied = now
            elif time.ticks_diff(now, denied) >= _DENIED_MS:
                raise RegistrationDenied("the network denies registration")
            if not _left(deadline):
                raise NoCoverage("no network (+CEREG %s)" % stat)
            await asyncio.sleep_ms(_POLL_MS)

    async def _activate(self, deadline):
        command = self._at.command
        try:
            await command(b"AT+QIACT=1", limit_ms=_within(_QIACT_MS, deadline))
        except CommandError:
            # Also where a session before a restart of this side has left it active.
            await command(b"AT+QIDEACT=1", limit_ms=_within(_QIDEACT_MS, deadline))
            await command(b"AT+QIACT=1", limit_ms=_within(_QIACT_MS, deadline))

    async def network_time(self):
        """Return (Unix seconds, uncertainty in ms, ticks_ms at which that second began) or None.

        None where the network has not given its time (NITZ). It asks until the second changes,
        at most 1.5 s. The uncertainty is that of the reading; the network's own is not known.
        """
        start = asked = time.ticks_ms()
        first = None
        while time.ticks_diff(asked, start) < _QLTS_MS:
            before, asked = asked, time.ticks_ms()
            try:
                now = unix(await self._at.command(b"AT+QLTS=1", b"+QLTS:"))
            except (CommandError, ValueError):
                return None
            if first is None:
                first = now
            elif now != first:
                width = time.ticks_diff(time.ticks_ms(), before)
                return now, (width + 1) // 2, time.ticks_add(before, width // 2)
            await asyncio.sleep_ms(50)
        return None

    async def signal(self):
        """Return (system mode, RSSI, RSRP, SINR, RSRQ), or None without service.

        RSSI and RSRP in dBm, RSRQ in dB, SINR in steps of 0.2 dB from -20 dB (AT manual 6.16);
        RSRP, SINR and RSRQ are None in GSM.
        """
        fields = _fields(await self._at.command(b"AT+QCSQ", b"+QCSQ:"))
        values = [_integer(field) for field in fields[1:5]]
        if not values or values[0] is None:
            return None
        return (str(fields[0], "utf-8"),) + tuple((values + [None, None, None])[:4])

    # ---- sockets ----

    async def connect(self, host, port, limit_ms):
        """Open a TCP connection to ``host``:``port`` and return it as a Stream.

        Raises ConnectError, CommandError, NoAnswer; ValueError for an impossible address.
        """
        if not 0 < len(host) <= 255 or not _is_plain(host):
            raise ValueError("a host is an IPv4 address or a domain name")
        deadline = time.ticks_add(time.ticks_ms(), limit_ms)
        self._lose()
        command = b'AT+QIOPEN=1,0,"TCP","' + host.encode() + b'",%d,0,0' % port
        result: "int | None" = _IDENTITY_USED
        for _ in range(2):
            stream = self._stream = Stream(self._at)
            await self._at.command(command)
            await self._at.until(stream.is_settled, min(_QIOPEN_MS, _left(deadline)))
            result = stream.result
            if result == 0:
                return stream
            await stream.close()
            if result is None:
                raise NoAnswer("no connection within the limit")
            if result != _IDENTITY_USED:  # left open by a session before a restart of this side
                break
        raise ConnectError(result)


class Stream:
    """A TCP connection in buffer access mode (socket 0)."""

    def __init__(self, at):
        """Made by BG95.connect."""
        self._at = at
        self._readable = False
        self._closed = False  # by the peer: what it sent before can still be read
        self._lost = False
        self.result: "int | None" = None

    def opened(self, socket, result):
        """Take +QIOPEN."""
        if socket == b"0" and self.result is None:
            self.result = _integer(result)

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
            await self._at.until(self._is_pending, min(_left(deadline), _LOST_MS))
            if self._lost:
                raise OSError(ECONNRESET)
            closed = self._closed
            self._readable = False
            command = b"AT+QIRD=0,%d" % len(view)
            limit = _within(_QIRD_MS, deadline)
            count = int(await self._at.command(command, b"+QIRD:", limit, view))
            # New data is announced only once all that there was has been read (TCP/IP note 2.3.8).
            if count == len(view):
                self._readable = True
            if count or closed:
                return count
            if not _left(deadline):
                raise OSError(ETIMEDOUT)

    def _is_pending(self):
        return self._readable or self._closed or self._lost

    async def write(self, buffers, limit_ms):
        """Send ``buffers``, as one piece where they fit into one (1,460 bytes).

        Returns when the modem has them, not the peer. Raises OSError(ETIMEDOUT) while the modem's
        buffer stays full, OSError(ECONNRESET) and what a command raises.
        """
        deadline = time.ticks_add(time.ticks_ms(), limit_ms)
        start, total = 0, sum(len(buffer) for buffer in buffers)
        while start < total:
            if self._lost or self._closed:
                raise OSError(ECONNRESET)
            size = min(_SEND_MAX, total - start)
            limit = _within(_QISEND_MS, deadline)
            try:
                command = b"AT+QISEND=0,%d" % size
                await self._at.send(command, _slices(buffers, start, size), limit)
                start += size
            except SendFull:
                if not _left(deadline):
                    raise OSError(ETIMEDOUT)
                await asyncio.sleep_ms(_FULL_MS)

    async def close(self):
        """Close the connection; harmless where it is closed already."""
        if not self._lost:
            self._lost = True
            try:
                command = b"AT+QICLOSE=0,%d" % _QICLOSE_S
                await self._at.command(command, limit_ms=_QICLOSE_S * 1000 + COMMAND_MS)
            except ModemError:
                pass  # the power-off that follows a session closes it too


def _left(deadline):
    """Return the milliseconds until ``deadline``, 0 after it."""
    return max(0, time.ticks_diff(deadline, time.ticks_ms()))


def _within(limit_ms, deadline):
    """Return the manual's limit, or what is left, but enough for an answer that comes at once.

    To give up earlier would only put the modem out of step.
    """
    return max(COMMAND_MS, min(limit_ms, _left(deadline)))


def _slices(buffers, start, size):
    """Yield the parts of ``buffers`` that make up ``size`` bytes from ``start`` of their sum."""
    for buffer in buffers:
        if start < len(buffer):
            part = memoryview(buffer)[start : start + size]
            yield part
            size -= len(part)
            if not size:
                return
        start = max(0, start - len(buffer))


def _fields(text):
    """Return the fields of an answer, without blanks and quotes; none of them holds a comma."""
    return [field.strip().strip(b'"') for field in text.split(b",")]


def _integer(field):
    """Return the number in ``field``, or None where there is none."""
    digits = field[1:] if field.startswith(b"-") else field
    return int(field) if digits.isdigit() and len(digits) < 10 else None


def _is_plain(name):
    """Return whether ``name`` can stand between quotes in a command."""
    return all(char < "{" and (char.isalpha() or char.isdigit() or char in ".-_") for char in name)


def _text(state):
    return str(state, "utf-8") if isinstance(state, bytes) else str(state)


def unix(answer):
    """Return the Unix time of an AT+QLTS=1 answer, such as b'"2020/06/02,01:48:36+32,0"'.

    The manual states a year of two digits and shows four: both are taken. The zone is that of the
    local time and does not count. Raises ValueError where there is none or an impossible one.
    """
    parts = answer.strip(b'"').split(b",")
    if len(parts) < 2:
        raise ValueError("no network time")
    year, month, day = [int(field) for field in parts[0].split(b"/")]
    hour, minute, second = [int(field) for field in parts[1][:8].split(b":")]
    if year < 100:
        year += 1900 if year >= 80 else 2000  # a clock that was never set stands at 1980
    if not 1 <= month <= 12:
        raise ValueError("no month")
    begin = _days(year, month)
    if not 1 <= day <= _days(year, month + 1) - begin:
        raise ValueError("no day")
    if not (0 <= hour < 24 and 0 <= minute < 60 and 0 <= second < 60):
        raise ValueError("no time of day")
    seconds = (begin + day - 1) * 86400 + hour * 3600 + minute * 60 + second
    if not _EARLIEST <= seconds < 1 << 32:
        raise ValueError("clock never set")
    return seconds


def _days(year, month):
    """Return the days from 1970-01-01 to the first of ``month`` (1...13) of ``year``."""
    # Counted in years from March, whose months have a regular pattern.
    year, month = (year - 1, month + 9) if month < 3 else (year, month - 3)
    return year * 365 + year // 4 - year // 100 + year // 400 + (153 * month + 2) // 5 - 719468
