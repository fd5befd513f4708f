"""Self-test of LED and button, and the outcome on the LED. See run.py."""

import asyncio
import time

from micropython import const

PRESS_S = const(20)

_STEP_MS = const(50)
_BLINK_MS = const(250)
_RESULT_MS = const(5_000)


async def pressed(port):
    """Return after how many seconds the button was pressed, or None if it was not.

    The LED alternates between its colours meanwhile. A button that is already down must be
    released first, so a stuck button never counts as pressed.
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
    """Show the outcome: green for 5 s, or one red flash for each failed check."""
    for _ in range(max(1, failed)):
        port.led(not failed, bool(failed))
        await asyncio.sleep_ms(2 * _BLINK_MS if failed else _RESULT_MS)
        port.led(False, False)
        await asyncio.sleep_ms(2 * _BLINK_MS)
