"""BG95, baud rate: find a modem that is set to another rate, and set it to the board's for good.

Source: AT manual 3.5 (AT+IPR), 2.14 (AT&W). Other sources as in modem.py.

    if await baud.find(modem.at, 115_200, 5_000):
        print("the modem answers at 115,200 baud from now on")
"""

import time

from micropython import const

from drivers.bg95.at import ModemError, left

_RATES = (115_200, 9600, 921_600, 460_800, 230_400, 57_600, 38_400, 19_200)
_ANSWER_MS = const(400)
_RECEIVE = const(2048)  # bytes; the receive buffer that BG95.__init__ asks for


async def find(at, baud, limit_ms):
    """Return whether the modem answered at another rate; it is then set to ``baud``."""
    deadline = time.ticks_add(time.ticks_ms(), limit_ms)
    for rate in _RATES:
        if not left(deadline):
            break
        if rate == baud:
            continue
        await _turn(at, rate)
        try:
            await at.command(b"AT", limit_ms=_ANSWER_MS)
            await at.command(b"AT+IPR=%d" % baud)
            await _turn(at, baud)
            await at.command(b"AT&W")
            return True
        except ModemError:
            pass
    await _turn(at, baud)
    return False


async def _turn(at, rate):
    await at.stop()  # bytes under way at one rate are noise at another
    at.uart.init(baudrate=rate, rxbuf=_RECEIVE)
    at.start()
