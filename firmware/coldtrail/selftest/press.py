"""Self-test by the button or from the console, with its output on the cable. See run.py.

It is divided over three wakes, because console, checks and session fragment the heap, and each of
them needs the heap as it is after a wake.
"""

import asyncio
import json

import board


def run(tracker, port, recorder, silent, as_json, gnss, failed=0, block=None, called=False):
    """Run one part of the self-test and return the arguments of the next wake, None at the end.

    Without ``block`` it runs the checks before the session; with ``block`` the session; with
    ``called`` the checks after the session. When nothing may be sent (``silent``), or when a
    planned flight begins meanwhile, the self-test ends there. With ``as_json`` each check is a
    JSON object with "check", "ok", "value", "unit" and "limit"; the last object has
    "failed_checks" or "error". On a bench without a modem the connection to the gateway is not
    checked.
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
