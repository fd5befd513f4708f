"""Start the tracker from what was provisioned on its file system."""

import sys

import micropython
from micropython import const

import board
from memory import forget

# From records.py, so that the compiler puts them in place.
_POWER_ON = const(1)
_WATCHDOG = const(3)

_MARK = const(0xC7)
_MOST = const(255)
_MOST_RESETS = const(5)  # of the watchdog, one after the other, before it is said


def start():
    """Run the tracker; returns only when it is not provisioned, to the prompt."""
    micropython.kbd_intr(-1)  # Ctrl-C is the console's: it ends no tracker
    if board.CHIP not in ("esp32", "nrf52840"):
        print("coldtrail: there is no port layer for the chip", board.CHIP)
        return
    from coldtrail import provisioned

    try:
        profile, identity, calibrations = provisioned.load(board.SENSORS)
    except ValueError as error:
        print("coldtrail:", error)
        micropython.kbd_intr(3)
        return
    del provisioned
    forget("coldtrail", "provisioned")
    forget("coldtrail.judging", "profile")
    forget("coldtrail", "identity")
    forget("coldtrail.sensing", "calibration")

    port = __import__("coldtrail.ports." + board.CHIP, None, None, ("*",)).Port(board)
    from coldtrail.tracker import Tracker

    while True:
        failures, reason = _failures(port), None
        if port.boot_cause == _WATCHDOG and failures >= _MOST_RESETS:
            reason = "the watchdog has reset it %d times in a row" % failures
        else:
            try:
                Tracker(port, profile, identity, calibrations).wake()
            except Exception as error:
                sys.print_exception(error)
                failures += 1
                reason = "%s: %s" % (type(error).__name__, error.args[-1] if error.args else "")
        if reason:
            from coldtrail import cannot_run

            cannot_run.stand(port, failures, reason)
        # Where a wake is a reset, this comes no further.
        import asyncio

        asyncio.new_event_loop()  # with all that the wake has left behind unfinished


def _failures(port):
    """Return how many starts in a row have failed before this one.

    The RTC memory keeps it: no flash wears by it, and a tracker that comes to its sleep overwrites
    it with its hint. On the nRF52840 nothing survives a watchdog's reset, so that only what is
    raised is counted there.
    """
    kept = port.retained()
    failures = 0
    if len(kept) == 2 and kept[0] == _MARK and port.boot_cause != _POWER_ON:
        failures = kept[1]
    if port.boot_cause == _WATCHDOG:
        failures = min(failures + 1, _MOST)
        port.retain(bytes((_MARK, failures)))
    return failures
