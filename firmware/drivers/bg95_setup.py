"""BG95 before a connection: power, AT settings, card, registration, data connection, time, signal.

A module of its own: BG95.connect gives its memory back, to whoever uses the connection.
Sources as in bg95.py.
"""

import asyncio
import time

from micropython import const

from drivers.at import CommandError, NoAnswer
from drivers.bg95 import (
    NoCoverage,
    RegistrationDenied,
    SimError,
    fields,
    integer,
    is_plain,
    left,
    within,
)

# Hardware design 3.6: VBAT stable for 30 ms.
_SUPPLY_MS = const(100)
_STATUS_MS = const(6_000)  # rises 2.1 s after PWRKEY, on a BG96 4.8 s
_UART_MS = const(500)  # answers 0.4 s after STATUS
_DEAF_MS = const(10_000)
_READY_MS = const(5_000)
_DISCHARGE_MS = const(1_000)

# The manual's maximum response times.
_CPIN_MS = const(5_000)
_CFUN_MS = const(15_000)
_QIACT_MS = const(150_000)
_QIDEACT_MS = const(40_000)

_SIM_MS = const(20_000)  # a card that is not ready by then is none
_DENIED_MS = const(30_000)  # other networks may still accept
_POLL_MS = const(1_000)

_QLTS_MS = const(1_500)  # a running clock shows a new second within this
_EARLIEST = const(1577836800)  # 2020-01-01: a clock before it was never set

_HOME = const(1)
_DENIED = const(3)
_ROAMING = const(5)


async def power_on(modem, limit_ms):
    """Do what BG95.power_on says."""
    at = modem.at
    deadline = time.ticks_add(time.ticks_ms(), limit_ms)
    modem.supply(True)
    await asyncio.sleep_ms(_SUPPLY_MS)
    at.start()
    while True:
        modem.ready = modem.is_on()
        if not modem.is_on():
            modem.press()
            await modem.status_within(True, min(_STATUS_MS, left(deadline)))
            await asyncio.sleep_ms(_UART_MS)
        if await _wake(at, min(_DEAF_MS, left(deadline))):
            break
        if not left(deadline):
            raise NoAnswer("the modem does not answer after power-on")
        await _cut(modem, min(_STATUS_MS, left(deadline)))
        modem.supply(True)
        await asyncio.sleep_ms(_SUPPLY_MS)
    await _prepare(at)
    # What it says while it starts would otherwise look like a restart later on.
    await at.until(lambda: modem.ready, min(_READY_MS, left(deadline)))
    modem.ready = True


async def _cut(modem, limit_ms):
    """Turn off a modem that does not answer."""
    if modem.is_on():
        modem.press()
        await modem.status_within(False, limit_ms)
    modem.supply(False)
    await asyncio.sleep_ms(_DISCHARGE_MS)


async def _wake(at, limit_ms):
    """Return whether the modem answers within the limit."""
    deadline = time.ticks_add(time.ticks_ms(), limit_ms)
    while left(deadline):
        try:
            await at.synchronise()
            return True
        except NoAnswer:
            pass
    return False


async def _prepare(at):
    command = at.command
    await command(b"ATE0")
    await command(b"AT+CMEE=1")
    # Else the data that AT+QISEND takes comes back and may look like a result.
    await command(b"AT+QISDE=0")
    # Kept in the modem's memory: written only where it differs.
    if await command(b'AT+QURCCFG="urcport"', b'+QURCCFG: "urcport",') != b'"uart1"':
        await command(b'AT+QURCCFG="urcport","uart1"')


async def register(at, apn, limit_ms):
    """Wait for card and network and open a data connection (PDP context 1) through ``apn``.

    Raises SimError, RegistrationDenied, NoCoverage, CommandError, NoAnswer.
    """
    deadline = time.ticks_add(time.ticks_ms(), limit_ms)
    command = at.command
    if await command(b"AT+CFUN?", b"+CFUN:") != b"1":
        await command(b"AT+CFUN=1", limit_ms=_CFUN_MS)
    await _card(at, min(_SIM_MS, left(deadline)))
    await _access_point(at, apn)
    await _network(at, deadline)
    await _activate(at, deadline)


async def _card(at, limit_ms):
    deadline = time.ticks_add(time.ticks_ms(), limit_ms)
    while True:
        try:
            state = await at.command(b"AT+CPIN?", b"+CPIN:", _CPIN_MS)
            if state == b"READY":
                return
            if state == b"SIM PIN" or state == b"SIM PUK":
                break
        except CommandError as error:  # also while the card is being read
            state = error
        if not left(deadline):
            break
        await asyncio.sleep_ms(_POLL_MS)
    raise SimError("SIM card not ready: %s" % _text(state))


async def _access_point(at, apn):
    if not 0 < len(apn) <= 100 or not is_plain(apn):
        raise ValueError("an APN is 1 to 100 letters, digits, dots and hyphens")
    # Kept in the modem's memory: written only where it differs.
    wanted = b'1,"' + apn.encode() + b'","","",0'
    if await at.command(b"AT+QICSGP=1", b"+QICSGP:") != wanted:
        await at.command(b"AT+QICSGP=1," + wanted)


async def _network(at, deadline):
    denied = None
    while True:
        found = fields(await at.command(b"AT+CEREG?", b"+CEREG:"))
        stat = integer(found[1]) if len(found) > 1 else None
        if stat in (_HOME, _ROAMING):
            return
        now = time.ticks_ms()
        if stat != _DENIED:
            denied = None
        elif denied is None:
            denied = now
        elif time.ticks_diff(now, denied) >= _DENIED_MS:
            raise RegistrationDenied("the network denies registration")
        if not left(deadline):
            raise NoCoverage("no network (+CEREG %s)" % stat)
        await asyncio.sleep_ms(_POLL_MS)


async def _activate(at, deadline):
    command = at.command
    try:
        await command(b"AT+QIACT=1", limit_ms=within(_QIACT_MS, deadline))
    except CommandError:
        # Also where a session before a restart of this side has left it active.
        await command(b"AT+QIDEACT=1", limit_ms=within(_QIDEACT_MS, deadline))
        await command(b"AT+QIACT=1", limit_ms=within(_QIACT_MS, deadline))


async def network_time(at):
    """Return (Unix seconds, uncertainty in ms, ticks_ms at which that second began) or None.

    None where the network has not given its time (NITZ). It asks until the second changes,
    at most 1.5 s. The uncertainty is that of the reading; the network's own is not known.
    """
    start = asked = time.ticks_ms()
    first = None
    while time.ticks_diff(asked, start) < _QLTS_MS:
        before, asked = asked, time.ticks_ms()
        try:
            now = unix(await at.command(b"AT+QLTS=1", b"+QLTS:"))
        except (CommandError, ValueError):
            return None
        if first is None:
            first = now
        elif now != first:
            width = time.ticks_diff(time.ticks_ms(), before)
            return now, (width + 1) // 2, time.ticks_add(before, width // 2)
        await asyncio.sleep_ms(50)
    return None


async def signal(at):
    """Return (system mode, RSSI, RSRP, SINR, RSRQ), or None without service.

    RSSI and RSRP in dBm, RSRQ in dB, SINR in steps of 0.2 dB from -20 dB (AT manual 6.16);
    RSRP, SINR and RSRQ are None in GSM.
    """
    found = fields(await at.command(b"AT+QCSQ", b"+QCSQ:"))
    values = [integer(field) for field in found[1:5]]
    if not values or values[0] is None:
        return None
    return (str(found[0], "utf-8"),) + tuple((values + [None, None, None])[:4])


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
