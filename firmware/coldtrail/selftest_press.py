"""Self-test by the button: its lines go to the cable, its outcome to the LED. See selftest.py."""

import asyncio

from drivers import forget


def run(tracker, port, recorder):
    """Make every check and show the outcome; little stays in memory during the session."""
    from coldtrail import selftest

    failed, block = asyncio.run(tracker.attended(selftest.before(port, recorder, _print)))
    del selftest
    forget("coldtrail.selftest")
    if block:
        asyncio.run(tracker.session())
        forget("coldtrail.uplink", "coldtrail.mqtt")
    asyncio.run(tracker.attended(_conclude(port, recorder, failed, block)))


async def _conclude(port, recorder, failed, block):
    from coldtrail import selftest

    failed += await selftest.after(port, recorder, _print, block)
    del selftest
    forget("coldtrail.selftest")
    print("self-test: %d failed" % failed if failed else "self-test: passed")

    from coldtrail import selftest_panel

    await selftest_panel.show(port, failed)
    del selftest_panel
    forget("coldtrail.selftest_panel")


def _print(*result):
    from coldtrail.selftest import line

    print(line(*result))
