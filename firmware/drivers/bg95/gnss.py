"""BG95, GNSS: get a position from the satellite receiver, which shares its front end with LTE.

Source: "BG96 GNSS AT Commands Manual" V1.1. "priority" exists on the BG95 only; a BG96 can use
both at once.

    found = await gnss.locate(modem.at, 120_000, lambda: True)
    if found:
        latitude, longitude, metres, unix, ticks = found  # 1e-6 degree
"""

import asyncio
import time

from micropython import const

from drivers.bg95.at import CommandError, ModemError, left
from drivers.bg95.text import fields

_POLL_MS = const(2_000)
_NOT_FIXED = const(516)
_ONGOING = const(504)

# An answer is checked before it counts as a position (AT+QGPSLOC, section 2.5), because modules
# without a single satellite have been seen to answer OK and zeros.
_FIXES = const((b"2", b"3"))
_SATELLITES = const(3)  # needed for a position; its height needs one more
_LEAST_HDOP = const(5)  # in tenths; the manual states 0.5 to 99.9, and no geometry gives less
_UERE_M = const(6)  # user range error of a single-frequency receiver; HDOP multiplies it
# With three satellites the receiver assumes a height. An error of a metre in height moves the
# position by up to a metre. Most places that boxes travel through by road lie within this distance
# of sea level or of the last height.
_HEIGHT_M = const(500)
_DAY_S = const(86_400)
_EARLIEST = const(1577836800)  # 2020-01-01; a week counter that has rolled over is 19 years off


async def locate(at, limit_ms, is_wanted, unix=None):
    """Return (latitude, longitude, uncertainty, unix, ticks), or None without a fix.

    The angles are in 1e-6 degree, the uncertainty in m. ``unix`` is the Unix second of the
    position, and ``ticks`` is ``time.ticks_ms()`` when the receiver gave it; it computes one
    position a second. The radio receives nothing meanwhile. The search ends within ``limit_ms``,
    and at once when ``is_wanted()`` becomes false. The argument ``unix`` is the time in Unix
    seconds, None when it is unknown; a position of another day is ignored. Raises NoAnswer.
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
                told = await command(b"AT+QGPSLOC?", b"+QGPSLOC:")
                ticks = time.ticks_ms()
                found = position(told, unix)
                second = moment(told) if found else None
                found = None if second is None else found + (second, ticks)
            except CommandError as error:
                if error.code != _NOT_FIXED:
                    break
            if found is None:
                await _pause(min(_POLL_MS, left(deadline)), is_wanted)
    finally:
        try:
            await command(b"AT+QGPSEND")
        except ModemError:
            pass  # the receiver is off already, or the power-off will end it
        await _prefer(command, 1)
    return found


async def _prefer(command, radio):
    try:
        await command(b'AT+QGPSCFG="priority",%d' % radio)
    except CommandError:
        pass  # a BG96 does not know the setting


async def _pause(ms, is_wanted):
    while ms > 0 and is_wanted():
        await asyncio.sleep_ms(min(ms, 250))
        ms -= 250


def position(answer, unix=None):
    """Return (latitude, longitude, uncertainty) of an AT+QGPSLOC? answer, or None.

    None stands for an answer that no receiver with enough satellites would give at the time
    ``unix`` (Unix seconds; None when the time is unknown).
    """
    found = fields(answer)
    if len(found) < 11 or found[5] not in _FIXES or not found[10].isdigit():
        return None
    satellites = int(found[10])
    latitude, longitude = _angle(found[1], 2, b"NS"), _angle(found[2], 3, b"EW")
    whole, _, part = found[3].partition(b".")
    if latitude is None or longitude is None or not (whole + part).isdigit() or len(whole) > 2:
        return None
    hdop = int(whole + (part + b"0")[:1])
    if hdop < _LEAST_HDOP or satellites < _SATELLITES + (found[5] == b"3"):
        return None
    if not (latitude or longitude) or not _is_of_day(found[9], unix):
        return None  # a receiver that computed nothing answers 0, 0, a point in the ocean
    assumed = 0 if satellites > _SATELLITES else _HEIGHT_M
    return latitude, longitude, (_UERE_M * hdop + 9) // 10 + assumed


def moment(answer):
    """Return the Unix second of an AT+QGPSLOC? answer with a position; None when it has no time.

    The date is written as b"110513" for 11 May 2013, the time as b"061951.0".
    """
    found = fields(answer)
    clock, date = found[0][:6], found[9]
    if len(clock) != 6 or not clock.isdigit():
        return None
    hour, minute, second = int(clock[:2]), int(clock[2:4]), int(clock[4:])
    if hour > 23 or minute > 59 or second > 59:
        return None
    return _begin(date) + hour * 3600 + minute * 60 + second


def _begin(date):
    """Return the Unix second at which a day of six digits begins."""
    from drivers.bg95.time import days

    return (days(2000 + int(date[4:]), int(date[2:4])) + int(date[:2]) - 1) * _DAY_S


def _is_of_day(date, unix):
    """Return whether ``date``, such as b"110513" for 11 May 2013, is within a day of ``unix``."""
    if len(date) != 6 or not date.isdigit():
        return False
    if not (1 <= int(date[:2]) <= 31 and 1 <= int(date[2:4]) <= 12):
        return False
    begin = _begin(date)
    if unix is None:
        return begin >= _EARLIEST
    return begin - _DAY_S <= unix < begin + 2 * _DAY_S


def _angle(text, digits, hemispheres):
    """Return an angle such as b"3150.7223N" in 1e-6 degree; its degrees have ``digits`` digits."""
    whole, _, part = text[:-1].partition(b".")
    side = hemispheres.find(text[-1:])
    if side < 0 or len(whole) != digits + 2 or not (whole + part).isdigit():
        return None
    minutes = int(whole[digits:] + (part + b"0000")[:4])  # 1e-4
    value = int(whole[:digits]) * 1_000_000 + (minutes * 10 + 3) // 6
    if minutes >= 600_000 or value > 90_000_000 * (digits - 1):
        return None
    return -value if side else value
