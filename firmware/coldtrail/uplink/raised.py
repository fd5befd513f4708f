"""Ends a call after an unforeseen error; imported for this and unloaded afterwards."""

import asyncio
import sys

from micropython import const

from memory import forget

# From records.py, so that the compiler puts them in place.
_FAULT = const(13)
_SUBJECT_MODEM = const(6)
_CALL_RAISED = const(8)

_LOOP_MS = const(250)


async def end(tracker, error):
    """Unload the modules of the call, print and record its end, and delay the next call.

    When the error came from sampling, the session still has to switch the modem off. Raises
    OSError when the flash does not answer.
    """
    task, tracker.task = tracker.task, None
    while task and not task.done():
        tracker.watchdog.feed()
        await asyncio.sleep_ms(_LOOP_MS)
    for name in list(sys.modules):
        for package in ("coldtrail.uplink", "drivers.bg95"):
            if name.startswith(package + "."):
                forget(package, name[len(package) + 1 :])
    print("uplink: the call has ended:", type(error).__name__, error)
    sys.print_exception(error)
    tracker.postpone()
    if not tracker.state.stands(_SUBJECT_MODEM, _CALL_RAISED):
        tracker.recorder.record(_FAULT, [tracker.now(), _SUBJECT_MODEM, _CALL_RAISED, 1])
