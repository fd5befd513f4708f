"""BG95, set-up: card, technologies, registration and data connection, before a socket is opened.

It is a module of its own so that its memory is free again while the connection is used.
Sources as in modem.py.

    await setup.register(modem.at, "internet", 180_000, pin="1234")
"""

import asyncio
import time

from micropython import const

from drivers.bg95.at import (
    CommandError,
    NoAnswer,
    NoNetwork,
    left,
    within,
)
from drivers.bg95.settings import attempt, keep
from drivers.bg95.text import fields, integer, is_plain

# The manual's maximum response times.
_CPIN_MS = const(5_000)
_CFUN_MS = const(15_000)
_QIACT_MS = const(150_000)
_QIDEACT_MS = const(40_000)
_COPS_MS = const(180_000)

_SIM_MS = const(20_000)  # a card that is not ready by then counts as missing
_DENIED_MS = const(30_000)  # another network may still accept within this time
_POLL_MS = const(1_000)

# AT+QCFG: search LTE-M (02), NB-IoT (03), GSM (01) in this order; take any; use both kinds of LTE.
_TECHNOLOGIES = ((b"nwscanseq", b"020301"), (b"nwscanmode", b"0"), (b"iotopmode", b"2"))

_UNKNOWN = (None, 3, 4)  # errors of AT+CPIN? that say nothing about the card (AT manual, table 20)

_HOME = const(1)
_DENIED = const(3)
_ROAMING = const(5)


async def register(at, apn, limit_ms, user=None, password=None, pin=None, look_ms=None):
    """Register and open the data connection as BG95.register describes."""
    deadline = time.ticks_add(time.ticks_ms(), limit_ms)
    if await attempt(at, b"AT+CFUN?", b"+CFUN:") != b"1":
        await attempt(at, b"AT+CFUN=1", limit_ms=_CFUN_MS)
    await _card(at, min(_SIM_MS, left(deadline)), pin)
    await _technologies(at)
    # A modem that earlier use has bound to one operator would find no other.
    limit = within(_COPS_MS, deadline)
    await keep(at, b"AT+COPS?", b"+COPS:", b"0", b"AT+COPS=0", limit)
    await _access_point(at, apn, user, password)
    await _network(at, deadline, look_ms)
    await _stay_reachable(at)
    await _activate(at, deadline)


async def _card(at, limit_ms, pin):
    deadline = time.ticks_add(time.ticks_ms(), limit_ms)
    while True:
        try:
            state = await at.command(b"AT+CPIN?", b"+CPIN:", _CPIN_MS)
            if state == b"READY":
                return
            if state == b"SIM PIN" and pin:
                from drivers.bg95 import pin as card_pin

                await card_pin.enter(at, pin)
                pin = None
                continue
            if state == b"SIM PIN" or state == b"SIM PUK":
                break
        except CommandError as error:  # this also comes while the modem reads the card
            state = error
        except NoAnswer as error:
            await at.in_step()
            state = error
        if not left(deadline):
            break
        await asyncio.sleep_ms(_POLL_MS)
    if not isinstance(state, bytes) and getattr(state, "code", None) in _UNKNOWN:
        at.passed.append(b"AT+CPIN?")  # the registration will show whether there is a card
        return
    raise NoNetwork("SIM card not ready: %s" % _text(state))


async def _technologies(at):
    """Let the modem search LTE-M, NB-IoT and GSM in this order: the tracker may be anywhere.

    The bands stay as they are: a modem from the factory uses all that the part supports.
    """
    for name, value in _TECHNOLOGIES:
        read = b'AT+QCFG="%s"' % name
        await keep(at, read, b'+QCFG: "%s",' % name, value, b"%s,%s,1" % (read, value))


async def _access_point(at, apn, user, password):
    if not 0 < len(apn) <= 100 or not is_plain(apn):
        raise ValueError("an APN is 1 to 100 letters, digits, dots and hyphens")
    secret = b'"%s","%s",%d' % ((user or "").encode(), (password or "").encode(), 3 if user else 0)
    wanted = b'1,"%s",%s' % (apn.encode(), secret)
    if await attempt(at, b"AT+QICSGP=1", b"+QICSGP:") == wanted:
        return  # the modem keeps it in its flash, so it is written only when it differs
    if await attempt(at, b"AT+QICSGP=1," + wanted) is None:
        if user:
            raise CommandError(b"AT+QICSGP=1", b"ERROR")
        await at.command(b'AT+CGDCONT=1,"IP","%s"' % apn.encode())  # 3GPP TS 27.007, 10.1.1


async def _network(at, deadline, look_ms):
    denied = look = None
    if look_ms is not None:
        look = time.ticks_add(time.ticks_ms(), look_ms)
    while True:
        stat = await _stat(at, b"+CEREG")
        if stat in (_HOME, _ROAMING):
            return
        if await _stat(at, b"+CGREG") in (_HOME, _ROAMING):  # this is the registration in GSM
            return
        now = time.ticks_ms()
        if stat != _DENIED:
            denied = None
        elif denied is None:
            denied = now
        elif time.ticks_diff(now, denied) >= _DENIED_MS:
            raise NoNetwork("the network denies registration")
        if look is not None and not left(look):
            seen = await attempt(at, b"AT+QCSQ", b"+QCSQ:") or b""
            if stat != _DENIED and b"NOSERVICE" in seen:
                raise NoNetwork("no cell in view")
            look = None
        if not left(deadline):
            raise NoNetwork("no network (+CEREG %s)" % stat)
        await asyncio.sleep_ms(_POLL_MS)


async def _stat(at, name):
    found = fields(await attempt(at, b"AT" + name + b"?", name + b":") or b"")
    return integer(found[1]) if len(found) > 1 else None


async def _stay_reachable(at):
    """End extended DRX, which can delay a confirmation by minutes (TS 27.007, 7.40, 7.41)."""
    found = fields(await attempt(at, b"AT+CEDRXRDP", b"+CEDRXRDP:") or b"")
    if found[0] in (b"4", b"5"):  # extended DRX is asked for in LTE-M (4) or NB-IoT (5)
        await attempt(at, b"AT+CEDRXS=0," + found[0])


async def _activate(at, deadline):
    command = at.command
    try:
        await command(b"AT+QIACT=1", limit_ms=within(_QIACT_MS, deadline))
    except CommandError:
        # The context may still be active from a session before the tracker restarted.
        await attempt(at, b"AT+QIDEACT=1", limit_ms=within(_QIDEACT_MS, deadline))
        await command(b"AT+QIACT=1", limit_ms=within(_QIACT_MS, deadline))


def _text(state):
    return str(state, "utf-8") if isinstance(state, bytes) else str(state)
