"""Self-test by the button or from the console: its lines go to the cable. See run.py.

In three wakes: console, checks and session leave the heap in pieces, and none is as whole as that
of a wake.
"""

import asyncio
import json

import board


def run(tracker, port, recorder, silent, as_json, gnss, failed=0, block=None, called=False):
    """Make the checks up to the session; or, with a ``block``, the session; or what is behind it.

    Where nothing may be sent (``silent``), and where a planned flight begins meanwhile, it ends
    without the rest. Return the arguments for the next wake, or None when all is done. With
    ``as_json`` each check is an object of its own: "check", "ok", "value", "unit", "limit"; the
    last has "failed_checks", or "error". On a bench without a modem, nothing of the way to the
    gateway is checked.
    """
    report = _object if as_json else _line
    if not called and not getattr(board, "MODEM", None):
        report("modem", True, "none on this board", "", "not checked, nor what needs it")
        return [as_json, gnss, 0, None, True]
    if called:
        asyncio.run(tracker.while_sampling(_conclude(port, recorder, report, failed, block)))
        return None
    if block is None and not silent:
        from coldtrail.selftest import run as selftest

        checks = selftest.before(port, recorder, report, gnss)
        try:
            failed, block = asyncio.run(tracker.while_sampling(checks))
            return [as_json, gnss, failed, block, not block]
        except asyncio.CancelledError:
            silent = True
    if silent:
        words = "in a flight nothing may be sent"
        print(json.dumps({"error": words}) if as_json else "self-test: ended, " + words)
        return None
    asyncio.run(tracker.session())
    return [as_json, gnss, failed, block, True]


async def _conclude(port, recorder, report, failed, block):
    from coldtrail.selftest import panel
    from coldtrail.selftest import run as selftest

    failed += await selftest.after(port, recorder, report, block)
    if report == _object:
        print(json.dumps({"failed_checks": failed}))
    else:
        print("self-test: %d failed" % failed if failed else "self-test: passed")
    await panel.show(port, failed)


def _line(name, ok, value, unit, limit):
    measured = value + " " + unit if unit else value
    print("%-6s %-17s %s (%s)" % ("ok" if ok else "FAILED", name, measured, limit))


def _object(name, ok, value, unit, limit):
    names = ("check", "ok", "value", "unit", "limit")
    print(json.dumps(dict(zip(names, (name, bool(ok), value, unit, limit)))))
