"""BG95 that has been set to another rate: it is found, and set back for good.

Source: AT manual 3.5 (AT+IPR), 2.14 (AT&W). Other sources as in bg95.py.
"""

import time

from micropython import const

from drivers.at import ModemError
from drivers.bg95 import left

_RATE = const(115_200)
_OTHERS = (9600, 921_600, 460_800, 230_400, 57_600, 38_400, 19_200)
_ANSWER_MS = const(400)
_RECEIVE = const(2048)  # bytes, as the driver wants its UART


async def find(at, limit_ms):
    """Return whether the modem answered at another rate; it is now at 115,200 baud."""
    deadline = time.ticks_add(time.ticks_ms(), limit_ms)
    for rate in _OTHERS:
        if not left(deadline):
            break
        await _turn(at, rate)
        try:
            await at.command(b"AT", limit_ms=_ANSWER_MS)
            await at.command(b"AT+IPR=%d" % _RATE)
            await _turn(at, _RATE)
            await at.command(b"AT&W")
            return True
        except ModemError:
            pass
    await _turn(at, _RATE)
    return False


async def _turn(at, rate):
    await at.stop()  # what is under way at one rate is noise at another
    at.uart.init(baudrate=rate, rxbuf=_RECEIVE)
    at.start()
