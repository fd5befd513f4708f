"""BG95 that does not do what it should: the ladder from a new attempt to a cut of the supply.

Sources as in modem.py; RESET_N: hardware design 3.7.

    for rung in (recovery.REPEAT, recovery.ATTACH, recovery.COMMAND):
        await recovery.climb(modem, rung)
        ...                       # try again; end where it works
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
_RESET_MS = const(2_500)  # a BG95 wants 2 s at least, a BG96 150 ms
_STATUS_MS = const(6_000)
_UART_MS = const(500)


async def climb(modem, rung):
    """Do what ``rung`` says, and count it; never fails, for what follows will show.

    REPEAT does nothing: only the attempt is repeated. ATTACH leaves the network and joins it
    again. COMMAND, PIN, SUPPLY restart the module by AT+CFUN=1,1, by RESET_N, by its supply.
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
