"""Self-test: whether a tracker is fit to travel. Imported when asked for, and given back.

    failed = await run(port, recorder, call, report, gnss=False)

makes one check after the other and hands each result on as soon as it is known:

    report(name, ok, value, unit, limit)

``name``: which part ("probe", "flash erase", "SIM", ...). ``ok``: whether it passed. ``value``:
what was measured, a decimal number as text where there is a ``unit``, else words. ``limit``: what
passes, words. ``failed`` is the number of checks that did not pass. A check that needs one that
failed is reported as failed, too: nothing was measured, its value says why.

``call()`` is awaited for one uplink session that publishes what is in the log. Whoever runs this
goes on sampling and feeding the watchdog beside it: no step blocks for more than half a second.
The button's check waits up to 20 s for somebody to press it while both colours of the LED take
turns. The modem is to be free; it is off in the end.

    line(name, ok, value, unit, limit)      # the result as a line for people
"""

import asyncio

from micropython import const

from drivers import forget

_PRESS_MS = const(20_000)
_BLINK_MS = const(250)
_STEP_MS = const(50)
_RESULT_MS = const(5_000)


def line(name, ok, value, unit, limit):
    """Return a result as a line for people."""
    measured = value + " " + unit if unit else value
    return "%-6s %-17s %s (%s)" % ("ok" if ok else "FAILED", name, measured, limit)


async def run(port, recorder, call, report, gnss=False):
    """Make every check; see above."""
    results = []

    def note(name, ok, value, unit, limit):
        results.append(ok)
        report(name, ok, value, unit, limit)

    from coldtrail import selftest_parts

    for result in selftest_parts.results(port, recorder):
        note(*result)
        await asyncio.sleep_ms(0)
    del selftest_parts, result
    forget("coldtrail.selftest_parts")

    from coldtrail import selftest_radio

    block = await selftest_radio.Radio(port, recorder).results(note, gnss)
    del selftest_radio
    forget("coldtrail.selftest_radio", "drivers.bg95_setup", "drivers.bg95_gnss")
    if block:
        await call()
    confirmed = bool(block) and recorder.state.is_confirmed(block)
    value = "block %d" % block if block else "not sent"
    note("test block", confirmed, value, "", "confirmed by the gateway")

    waited = await _pressed(port)
    seen = waited is not None
    note("LED and button", seen, str(waited) if seen else "not pressed", "s" if seen else "",
         "pressed within %d s" % (_PRESS_MS // 1000))  # fmt: skip
    return len(results) - sum(results)


async def _pressed(port):
    """Return after how many seconds the button was pressed, or None when it never was.

    One that is down already has to be let go first: a button that is stuck down is never pressed.
    """
    was = True
    try:
        for waited in range(0, _PRESS_MS, _STEP_MS):
            red = waited // _BLINK_MS % 2
            port.led(not red, red)
            down = port.button()
            if down and not was:
                return waited // 1000
            was = down
            await asyncio.sleep_ms(_STEP_MS)
    finally:
        port.led(False, False)
    return None


async def by_button(port, recorder, call):
    """Make every check, print the lines, show the end by the LED.

    Green for 5 s when all is well, else red: as many flashes as there are failed checks.
    """
    failed = await run(port, recorder, call, lambda *result: print(line(*result)))
    print("self-test:", "passed" if not failed else "%d failed" % failed)
    for _ in range(max(1, failed)):
        port.led(not failed, bool(failed))
        await asyncio.sleep_ms(2 * _BLINK_MS if failed else _RESULT_MS)
        port.led(False, False)
        await asyncio.sleep_ms(2 * _BLINK_MS)
