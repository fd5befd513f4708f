"""BG95: its satellite receiver, which shares the way in with its radio.

Sources: "BG96 GNSS AT Commands Manual" V1.1; "priority" is the BG95's, a BG96 can do both at once.

    found = await gnss.locate(modem.at, 120_000, lambda: True)
    if found:
        latitude, longitude, metres = found  # 1e-6 degree
"""

import asyncio
import time

from micropython import const

from drivers.bg95.at import CommandError, ModemError, left
from drivers.bg95.text import fields

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
                found = position(await command(b"AT+QGPSLOC?", b"+QGPSLOC:"))
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
    """Return (latitude, longitude, uncertainty) of an AT+QGPSLOC? answer, or None."""
    found = fields(answer)
    if len(found) < 4:
        return None
    latitude, longitude = _angle(found[1], 2, b"NS"), _angle(found[2], 3, b"EW")
    whole, _, part = found[3].partition(b".")
    if latitude is None or longitude is None or not (whole + part).isdigit() or len(whole) > 3:
        return None
    return latitude, longitude, (_UERE_M * int(whole + (part + b"0")[:1]) + 9) // 10


def _angle(text, digits, hemispheres):
    """Return degrees of ``digits`` digits and minutes, as b"3150.7223N", in 1e-6 degree."""
    whole, _, part = text[:-1].partition(b".")
    side = hemispheres.find(text[-1:])
    if side < 0 or len(whole) != digits + 2 or not (whole + part).isdigit():
        return None
    minutes = int(whole[digits:] + (part + b"0000")[:4])  # 1e-4
    value = int(whole[:digits]) * 1_000_000 + (minutes * 10 + 3) // 6
    if minutes >= 600_000 or value > 90_000_000 * (digits - 1):
        return None
    return -value if side else value
