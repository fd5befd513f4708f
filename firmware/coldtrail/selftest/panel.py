"""Self-test of LED and button, and its outcome on the LED. See run.py."""

import asyncio
import time

from micropython import const

PRESS_S = const(20)

_STEP_MS = const(50)
_BLINK_MS = const(250)
_RESULT_MS = const(5_000)


async def pressed(port):
    """Return after how many seconds the button was pressed, or None when it never was.

    Both colours take turns until then. A button that is down already has to be let go first: one
    that is stuck is never pressed.
    """
    was, begun, waited = True, time.ticks_ms(), 0
    try:
        while waited < PRESS_S * 1000:
            red = waited // _BLINK_MS % 2
            port.led(not red, red)
            down = port.button()
            if down and not was:
                return waited // 1000
            was = down
            await asyncio.sleep_ms(_STEP_MS)
            waited = time.ticks_diff(time.ticks_ms(), begun)
    finally:
        port.led(False, False)
    return None


async def show(port, failed):
    """Show the outcome: green for 5 s, or as many red flashes as there are failed checks."""
    for _ in range(max(1, failed)):
        port.led(not failed, bool(failed))
        await asyncio.sleep_ms(2 * _BLINK_MS if failed else _RESULT_MS)
        port.led(False, False)
        await asyncio.sleep_ms(2 * _BLINK_MS)
