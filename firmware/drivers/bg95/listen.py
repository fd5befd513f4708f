"""BG95, listening: find out whether a network is in reach without registering in one.

The AT manual calls no command receive-only, so this rests on the standards. A module transmits
only to register and afterwards. It registers by itself seconds after it was switched on, when it
has read the card and found a cell; AT+CFUN=4 as the first command switches its RF off before that.
AT+COPS=2 keeps it unregistered when AT+CFUN=1 turns the RF on again (3GPP TS 27.007, 7.3). A
search for networks only listens to what they broadcast (TS 23.122, 4.4).
Sources of the commands as in modem.py: AT manual 2.22 and 6.2.

    if await listen.hears(modem):  # the modem must be off, and is off again afterwards
        print("a network is in reach")
"""

import asyncio
import time

from micropython import const

from drivers.bg95 import power_on
from drivers.bg95.at import CommandError, ModemError, left

LIMIT_MS = const(330_000)  # hears() takes no longer

_POWER_ON_MS = const(30_000)
_CFUN_MS = const(15_000)
_CPIN_MS = const(5_000)
_CARD_MS = const(20_000)
_COPS_MS = const(180_000)
_POLL_MS = const(1_000)


async def hears(modem, pin=None):
    """Return whether a network is found; False also when the modem does not answer.

    The modem must be off; it is off again afterwards. ``pin`` is that of BG95.register.
    """
    command = modem.at.command
    try:
        await power_on.power_on(modem, _POWER_ON_MS, True)
        await _stay_out(modem.at, pin)
        await command(b"AT+CFUN=1", limit_ms=_CFUN_MS)
        # The answer has (status,"name",...) for each operator; with none, it has no quotes.
        return b'"' in await command(b"AT+COPS=?", b"+COPS:", _COPS_MS)
    except ModemError as error:
        print("listen:", error)
        return False
    finally:
        await modem.power_off()


async def _stay_out(at, pin):
    """Keep the modem unregistered; it refuses that while it reads the card or waits for a PIN."""
    deadline = time.ticks_add(time.ticks_ms(), _CARD_MS)
    while True:
        try:
            await at.command(b"AT+COPS=2", limit_ms=_CFUN_MS)
            return
        except CommandError:
            if not left(deadline):
                raise
        try:
            if pin and await at.command(b"AT+CPIN?", b"+CPIN:", _CPIN_MS) == b"SIM PIN":
                from drivers.bg95 import pin as card_pin

                await card_pin.enter(at, pin)
                pin = None
        except CommandError:
            pass  # the modem is still reading the card
        await asyncio.sleep_ms(_POLL_MS)
