"""Self-test: whether a tracker is fit for a shipment. Imported on request, then unloaded.

    failed, block = await before(port, recorder, report, gnss=False)
    ...                                   # if block: one session that publishes the log
    failed += await after(port, recorder, report, block)

Both functions run their checks one after the other and report each result at once:

    report(name, ok, value, unit, limit)

``name``: the part ("probe", "flash erase", "SIM", ...). ``ok``: whether it passed. ``value``: the
measured value, a decimal number as text if there is a ``unit``, else words. ``limit``: the
condition for passing, in words. If a check depends on one that failed, it is also reported as
failed, and its value gives the reason.

The modem must not be in use. The caller continues to sample and to feed the watchdog meanwhile: no
step blocks for longer than a second. The check of the button waits up to 20 s for a press, while
the LED alternates between its colours.
"""

import asyncio

from memory import forget


async def before(port, recorder, report, gnss=False):
    """Check the connection to the gateway; return (number that failed, block to be confirmed).

    Block 0 means that a session cannot succeed. A caller that is short of memory unloads this
    module before the session, which needs the most memory.
    """
    from coldtrail.selftest import radio

    found = await radio.Radio(port, recorder).results(report, gnss)
    del radio
    forget("coldtrail.selftest", "radio")
    forget("drivers.bg95", "cell", "gnss", "time")
    return found


async def after(port, recorder, report, block):
    """Report whether the block was confirmed, and check the rest; return how many failed.

    ``block`` None: the connection to the gateway was not checked.
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
