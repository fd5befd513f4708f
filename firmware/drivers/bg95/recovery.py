"""BG95, recovery: the steps from a new attempt to a supply cycle, for a modem that fails.

Sources as in modem.py; RESET_N is described in the hardware design, 3.7.

    for rung in (recovery.REPEAT, recovery.ATTACH, recovery.COMMAND):
        await recovery.climb(modem, rung)
        ...                       # try again; stop when it works
"""

import asyncio

from micropython import const

from drivers.bg95 import power
from drivers.bg95.at import ModemError

REPEAT = const(0)
ATTACH = const(1)
COMMAND = const(2)
PIN = const(3)
SUPPLY = const(4)

_CFUN_MS = const(15_000)
_RESET_MS = const(2_500)  # a BG95 needs at least 2 s, a BG96 150 ms
_STATUS_MS = const(6_000)
_UART_MS = const(500)


async def climb(modem, rung):
    """Take the step ``rung`` and count it. It never fails: the next attempt shows its effect.

    REPEAT does nothing, the caller only tries again. ATTACH leaves the network and joins it
    again. COMMAND, PIN and SUPPLY restart the module by AT+CFUN=1,1, by RESET_N, by its supply.
    """
    modem.counts[rung] += 1
    at = modem.at
    try:
        if rung == ATTACH:
            await at.command(b"AT+CFUN=4", limit_ms=_CFUN_MS)
            await at.command(b"AT+CFUN=1", limit_ms=_CFUN_MS)
        elif rung == COMMAND:
            await at.command(b"AT+CFUN=1,1", limit_ms=_CFUN_MS)
            await power.status_within(modem, False, 1_000)
    except ModemError:
        pass
    if rung == PIN:
        modem.reset(True)
        await asyncio.sleep_ms(_RESET_MS)
        modem.reset(False)
        await asyncio.sleep_ms(100)
    elif rung == SUPPLY:
        await power.cut(modem, _STATUS_MS)
    if rung in (COMMAND, PIN):
        await power.status_within(modem, True, _STATUS_MS)
        await asyncio.sleep_ms(_UART_MS)
