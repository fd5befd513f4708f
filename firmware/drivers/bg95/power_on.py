"""BG95: from no supply to an AT interface that answers. Sources as in modem.py.

A module of its own: where the heap is short, the modem can still be turned off (power.py).

    await power_on.power_on(modem, 30_000)
"""

import asyncio
import time

from micropython import const

from drivers.bg95.at import NoAnswer, left
from drivers.bg95.power import cut, press, status_within
from memory import forget

# Hardware design 3.6: VBAT stable for 30 ms.
_SUPPLY_MS = const(100)
_STATUS_MS = const(6_000)  # rises 2.1 s after PWRKEY, on a BG96 4.8 s
_UART_MS = const(500)  # answers 0.4 s after STATUS
_DEAF_MS = const(10_000)
_READY_MS = const(5_000)
_CFUN_MS = const(15_000)
_RATES_MS = const(5_000)


async def power_on(modem, limit_ms, silent=False):
    """Do what BG95.power_on says; ``silent``: first of all, switch its RF off."""
    at = modem.at
    deadline = time.ticks_add(time.ticks_ms(), limit_ms)
    modem.supply(True)
    await asyncio.sleep_ms(_SUPPLY_MS)
    at.start()
    while True:
        modem.ready = modem.is_on()
        if not modem.is_on():
            await press(modem)
            await status_within(modem, True, min(_STATUS_MS, left(deadline)))
            await asyncio.sleep_ms(_UART_MS)
        if await _wake(at, min(_DEAF_MS, left(deadline))):
            break
        if modem.is_on() and await _retune(modem, left(deadline)):
            break
        if not left(deadline):
            raise NoAnswer("the modem does not answer after power-on")
        await cut(modem, min(_STATUS_MS, left(deadline)))
        modem.counts[4] += 1
        modem.supply(True)
        await asyncio.sleep_ms(_SUPPLY_MS)
    if silent:
        await at.command(b"AT+CFUN=4", limit_ms=_CFUN_MS)
    await _prepare(at)
    forget("drivers.bg95", "settings")
    # What it says while it starts would otherwise look like a restart later on.
    await at.until(lambda: modem.ready, min(_READY_MS, left(deadline)))
    modem.ready = True


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


async def _retune(modem, limit_ms):
    from drivers.bg95 import baud

    found = await baud.find(modem.at, modem.baud, min(_RATES_MS, limit_ms))
    forget("drivers.bg95", "baud")
    return found


async def _prepare(at):
    from drivers.bg95 import settings

    await settings.attempt(at, b"ATE0")
    at.numbered = await settings.attempt(at, b"AT+CMEE=1") is not None
    # Else the data that AT+QISEND takes comes back and may look like a result.
    await settings.attempt(at, b"AT+QISDE=0")
    port = b'"urcport"'
    command = b"AT+QURCCFG=" + port
    await settings.keep(at, command, b"+QURCCFG: %s," % port, b'"uart1"', command + b',"uart1"')
    # A modem that is used with PSM elsewhere would fall asleep while an answer is awaited.
    await settings.keep(at, b"AT+CPSMS?", b"+CPSMS:", b"0", b"AT+CPSMS=0")
