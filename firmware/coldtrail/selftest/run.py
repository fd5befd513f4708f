"""Self-test: whether a tracker is fit to travel. Imported when asked for, and given back.

    failed, block = await before(port, recorder, report, gnss=False)
    ...                                   # if block: one session that publishes what is in the log
    failed += await after(port, recorder, report, block)

make one check after the other and hand each result on as soon as it is known:

    report(name, ok, value, unit, limit)

``name``: which part ("probe", "flash erase", "SIM", ...). ``ok``: whether it passed. ``value``:
what was measured, a decimal number as text where there is a ``unit``, else words. ``limit``: what
passes, words. A check that needs one that failed is reported as failed, too: nothing was
measured, its value says why.

The modem is to be free. Whoever runs this goes on sampling and feeding the watchdog beside it: no
step blocks for more than a second. The button's check waits up to 20 s for somebody to press it
while both colours of the LED take turns.
"""

import asyncio

from memory import forget


async def before(port, recorder, report, gnss=False):
    """Check the way to the gateway; return (how many failed, the block to be confirmed).

    Block 0: a session makes no sense. Whoever is short of memory gives this module back for the
    session, which needs the most.
    """
    from coldtrail.selftest import radio

    found = await radio.Radio(port, recorder).results(report, gnss)
    del radio
    forget("coldtrail.selftest", "radio")
    forget("drivers.bg95", "cell", "gnss", "time")
    return found


async def after(port, recorder, report, block):
    """Tell whether the block was confirmed, and check the rest; return how many failed.

    ``block`` None: there was no way to the gateway to be checked.
    """
    failed = 0
    if block is not None:
        confirmed = block > 0 and recorder.state.is_confirmed(block)
        value = "block %d" % block if block else "not sent"
        report("test block", confirmed, value, "", "confirmed by the gateway")
        failed = int(not confirmed)

    from coldtrail.selftest import parts

    for result in parts.results(port, recorder):
        failed += not result[1]
        report(*result)
        await asyncio.sleep_ms(0)
    result = None
    del parts
    forget("coldtrail.selftest", "parts")

    from coldtrail.selftest import panel

    limit = "pressed within %d s" % panel.PRESS_S
    waited = await panel.pressed(port)
    del panel
    forget("coldtrail.selftest", "panel")
    if waited is None:
        report("LED and button", False, "not pressed", "", limit)
    else:
        report("LED and button", True, str(waited), "s", limit)
    return failed + (waited is None)
