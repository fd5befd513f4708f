"""BG95: turning it off, and its power lines. Sources as in modem.py; power_on.py turns it on.

await power.power_off(modem)
"""

import asyncio
import time

from micropython import const

from drivers.bg95.at import ModemError, left

# Hardware design 3.6: PWRKEY low for 500...1000 ms turns the modem on, for 650...1500 ms turns it
# off, and for 2 s resets it. This width does both of the first.
_PWRKEY_MS = const(700)
_REST_MS = const(200)

# AT manual 1.8: the supply may be cut 1 s after POWERED DOWN, or after 65 s without that code.
_POWERED_DOWN_MS = const(65_000)
_SAFE_MS = const(1_000)

_DISCHARGE_MS = const(1_000)


async def power_off(modem):
    """Turn the modem off as BG95.power_off describes."""
    deadline = time.ticks_add(time.ticks_ms(), _POWERED_DOWN_MS)
    modem.lose()
    if modem.is_on():
        try:
            await modem.at.command(b"AT+QPOWD")
        except ModemError:
            await press(modem)
        if await status_within(modem, False, left(deadline)):
            await asyncio.sleep_ms(_SAFE_MS)
    await modem.at.stop()
    modem.supply(False)


async def cut(modem, limit_ms):
    """Turn off a modem that does not answer."""
    if modem.is_on():
        await press(modem)
        await status_within(modem, False, limit_ms)
    modem.supply(False)
    await asyncio.sleep_ms(_DISCHARGE_MS)


async def press(modem):
    """Press PWRKEY for as long as turns the modem on or off.

    Other tasks run in the first half second. The rest blocks, because another task could stretch
    the pulse until it resets the modem. A sample that falls due meanwhile is not yet late.
    """
    end = time.ticks_add(time.ticks_ms(), _PWRKEY_MS)
    modem.press(True)
    try:
        await asyncio.sleep_ms(_PWRKEY_MS - _REST_MS)
        time.sleep_ms(left(end))
    finally:
        modem.press(False)


async def status_within(modem, on, limit_ms):
    """Wait until the modem is on (or off); return whether STATUS showed it within the limit."""
    deadline = time.ticks_add(time.ticks_ms(), limit_ms)
    while modem.is_on() != on:
        if not left(deadline):
            return False
        await asyncio.sleep_ms(100)
    return True
