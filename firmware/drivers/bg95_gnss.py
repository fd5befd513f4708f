"""BG95: its satellite receiver, which shares the way in with its radio.

Sources: "BG96 GNSS AT Commands Manual" V1.1; "priority" is the BG95's, a BG96 can do both at once.
"""

import asyncio
import time

from micropython import const

from drivers.at import CommandError, ModemError
from drivers.bg95 import fields, left

_POLL_MS = const(2_000)
_NOT_FIXED = const(516)
_ONGOING = const(504)
_UERE_M = const(6)  # user range error of a single-frequency receiver; times HDOP


async def locate(at, limit_ms, is_wanted):
    """Return (latitude, longitude, uncertainty): 1e-6 degree, m; or None without a fix.

    The radio hears nothing meanwhile. Ends within ``limit_ms``, and at once when ``is_wanted()``
    says that nobody waits for it any more. Raises NoAnswer.
    """
    deadline = time.ticks_add(time.ticks_ms(), limit_ms)
    command = at.command
    await _prefer(command, 0)
    try:
        await command(b"AT+QGPS=1")
    except CommandError as error:
        if error.code != _ONGOING:
            await _prefer(command, 1)
            return None
    found = None
    try:
        while found is None and left(deadline) and is_wanted():
            try:
                found = position(await command(b"AT+QGPSLOC=2", b"+QGPSLOC:"))
            except CommandError as error:
                if error.code != _NOT_FIXED:
                    break
                await _pause(min(_POLL_MS, left(deadline)), is_wanted)
    finally:
        try:
            await command(b"AT+QGPSEND")
        except ModemError:
            pass  # off already, or the power-off ends it
        await _prefer(command, 1)
    return found


async def _prefer(command, radio):
    try:
        await command(b'AT+QGPSCFG="priority",%d' % radio)
    except CommandError:
        pass  # a BG96


async def _pause(ms, is_wanted):
    while ms > 0 and is_wanted():
        await asyncio.sleep_ms(min(ms, 250))
        ms -= 250


def position(answer):
    """Return (latitude, longitude, uncertainty) of an AT+QGPSLOC=2 answer, or None."""
    found = fields(answer)
    if len(found) < 4:
        return None
    latitude, longitude, hdop = _decimal(found[1], 6), _decimal(found[2], 6), _decimal(found[3], 1)
    if latitude is None or longitude is None or hdop is None or hdop < 0:
        return None
    if abs(latitude) > 90_000_000 or abs(longitude) > 180_000_000:
        return None
    return latitude, longitude, (_UERE_M * hdop + 9) // 10


def _decimal(text, places):
    """Return a decimal number times 10 ** ``places``, or None where there is none."""
    negative = text.startswith(b"-")
    whole, _, part = text[1 if negative else 0 :].partition(b".")
    if not whole.isdigit() or len(whole) > 3 or (part and not part.isdigit()):
        return None
    value = int(whole + (part + b"0" * places)[:places])
    return -value if negative else value
