"""BG95 before a connection: card, technologies, registration, data connection.

A module of its own: BG95.connect gives its memory back, to whoever uses the connection.
Sources as in modem.py.

    await setup.register(modem.at, "internet", 180_000, pin="1234")
"""

import asyncio
import time

from micropython import const

from drivers.bg95.at import (
    CommandError,
    NoNetwork,
    left,
    within,
)
from drivers.bg95.text import fields, integer, is_plain

# The manual's maximum response times.
_CPIN_MS = const(5_000)
_CFUN_MS = const(15_000)
_QIACT_MS = const(150_000)
_QIDEACT_MS = const(40_000)

_SIM_MS = const(20_000)  # a card that is not ready by then is none
_DENIED_MS = const(30_000)  # other networks may still accept
_POLL_MS = const(1_000)

# QCFG: 02 LTE-M, 03 NB-IoT, 01 GSM; automatic; LTE-M and NB-IoT.
_TECHNOLOGIES = ((b"nwscanseq", b"020301"), (b"nwscanmode", b"0"), (b"iotopmode", b"2"))

_HOME = const(1)
_DENIED = const(3)
_ROAMING = const(5)


async def register(at, apn, limit_ms, user=None, password=None, pin=None):
    """Do what BG95.register says."""
    deadline = time.ticks_add(time.ticks_ms(), limit_ms)
    command = at.command
    if await command(b"AT+CFUN?", b"+CFUN:") != b"1":
        await command(b"AT+CFUN=1", limit_ms=_CFUN_MS)
    await _card(at, min(_SIM_MS, left(deadline)), pin)
    await _technologies(at)
    await _access_point(at, apn, user, password)
    await _network(at, deadline)
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
        except CommandError as error:  # also while the card is being read
            state = error
        if not left(deadline):
            break
        await asyncio.sleep_ms(_POLL_MS)
    raise NoNetwork("SIM card not ready: %s" % _text(state))


async def _technologies(at):
    """Let it look for LTE-M, NB-IoT and GSM, in this order, for the tracker may be anywhere.

    Bands are left alone: from the factory it has all of the part's.
    """
    for name, value in _TECHNOLOGIES:
        # Kept in the modem's memory: written only where it differs.
        if await at.command(b'AT+QCFG="%s"' % name, b'+QCFG: "%s",' % name) != value:
            await at.command(b'AT+QCFG="%s",%s,1' % (name, value))


async def _access_point(at, apn, user, password):
    if not 0 < len(apn) <= 100 or not is_plain(apn):
        raise ValueError("an APN is 1 to 100 letters, digits, dots and hyphens")
    # Kept in the modem's memory: written only where it differs.
    secret = b'"%s","%s",%d' % ((user or "").encode(), (password or "").encode(), 3 if user else 0)
    wanted = b'1,"%s",%s' % (apn.encode(), secret)
    if await at.command(b"AT+QICSGP=1", b"+QICSGP:") != wanted:
        await at.command(b"AT+QICSGP=1," + wanted)


async def _network(at, deadline):
    denied = None
    while True:
        stat = await _stat(at, b"+CEREG")
        if stat in (_HOME, _ROAMING):
            return
        if await _stat(at, b"+CGREG") in (_HOME, _ROAMING):  # in GSM
            return
        now = time.ticks_ms()
        if stat != _DENIED:
            denied = None
        elif denied is None:
            denied = now
        elif time.ticks_diff(now, denied) >= _DENIED_MS:
            raise NoNetwork("the network denies registration")
        if not left(deadline):
            raise NoNetwork("no network (+CEREG %s)" % stat)
        await asyncio.sleep_ms(_POLL_MS)


async def _stat(at, name):
    found = fields(await at.command(b"AT" + name + b"?", name + b":"))
    return integer(found[1]) if len(found) > 1 else None


async def _activate(at, deadline):
    command = at.command
    try:
        await command(b"AT+QIACT=1", limit_ms=within(_QIACT_MS, deadline))
    except CommandError:
        # Also where a session before a restart of this side has left it active.
        await command(b"AT+QIDEACT=1", limit_ms=within(_QIDEACT_MS, deadline))
        await command(b"AT+QIACT=1", limit_ms=within(_QIACT_MS, deadline))


def _text(state):
    return str(state, "utf-8") if isinstance(state, bytes) else str(state)
