"""BG95, time: read the network's time. Sources as in modem.py.

found = await time.network_time(modem.at)
if found:
    unix, uncertainty_ms, ticks = found
"""

import asyncio
import time

from micropython import const

from drivers.bg95.at import CommandError, NoAnswer

_NITZ_MS = const(2_000)
_QLTS_MS = const(1_500)  # a running clock shows a new second within this
# A clock outside 2020 to 2069 was never set. Such clocks start at 1970, 1980 or 2004. Modules show
# the first two as 70 and 80, and some put a 20 before them.
_EARLIEST = const(1577836800)
_LATEST = const(3155760000)


async def network_time(at):
    """Return (Unix seconds, uncertainty in ms, ticks_ms at which that second began) or None.

    None means that the network has not given its time (NITZ) within 2 s. The function then asks
    until the second changes, for at most 1.5 s more. The uncertainty is that of the reading; the
    network's own uncertainty is unknown.
    """
    start = asked = time.ticks_ms()
    limit = _NITZ_MS
    first = None
    while time.ticks_diff(time.ticks_ms(), start) < limit:
        before, asked = asked, time.ticks_ms()
        try:
            now = unix(await at.command(b"AT+QLTS=1", b"+QLTS:"))
        except (CommandError, NoAnswer, ValueError):
            # The time comes a while after the registration, in networks that send it.
            await asyncio.sleep_ms(250)
            continue
        if first is None:
            first, start, limit = now, asked, _QLTS_MS
        elif now != first:
            width = time.ticks_diff(time.ticks_ms(), before)
            return now, (width + 1) // 2, time.ticks_add(before, width // 2)
        await asyncio.sleep_ms(50)
    return None


def unix(answer):
    """Return the Unix time of an AT+QLTS=1 answer, such as b'"2020/06/02,01:48:36+32,0"'.

    The manual states a year of two digits and shows one of four; both are accepted. The zone at
    the end is ignored, because the time before it is UTC. Raises ValueError when the answer has no
    time or an impossible one.
    """
    parts = answer.strip(b'"').split(b",")
    if len(parts) < 2:
        raise ValueError("no network time")
    year, month, day = [int(field) for field in parts[0].split(b"/")]
    hour, minute, second = [int(field) for field in parts[1][:8].split(b":")]
    if year < 100:
        year += 1900 if year >= 70 else 2000
    if not 1 <= month <= 12:
        raise ValueError("no month")
    begin = days(year, month)
    if not 1 <= day <= days(year, month + 1) - begin:
        raise ValueError("no day")
    if not (0 <= hour < 24 and 0 <= minute < 60 and 0 <= second < 60):
        raise ValueError("no time of day")
    seconds = (begin + day - 1) * 86400 + hour * 3600 + minute * 60 + second
    if not _EARLIEST <= seconds < _LATEST:
        raise ValueError("clock never set")
    return seconds


def days(year, month):
    """Return the days from 1970-01-01 to the first of ``month`` (1...13) of ``year``."""
    # The year is counted from March, because the lengths of its months then follow a formula.
    year, month = (year - 1, month + 9) if month < 3 else (year, month - 3)
    return year * 365 + year // 4 - year // 100 + year // 400 + (153 * month + 2) // 5 - 719468
