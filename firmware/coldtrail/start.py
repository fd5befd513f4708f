"""Start the tracker from what was provisioned on its file system."""

import micropython
from micropython import const

import board
from memory import forget

_WATCHDOG = const(3)  # from records.py, so that the compiler puts it in place


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
    forget("coldtrail.sensing", "calibration", "sampler")

    port = __import__("coldtrail.ports." + board.CHIP, None, None, ("*",)).Port(board)
    from coldtrail.tracker import Tracker

    while True:
        reason = None
        if port.boot_cause == _WATCHDOG:
            from coldtrail import cannot_run

            reason = cannot_run.before(port)
            del cannot_run
            forget("coldtrail", "cannot_run")
        if reason is None:
            try:
                Tracker(port, profile, identity, calibrations).wake()
            except Exception as error:
                reason = error
        if reason is not None:
            from coldtrail import cannot_run

            cannot_run.stand(port, reason)
        # Where a wake is a reset, this comes no further.
        import asyncio

        asyncio.new_event_loop()  # with all that the wake has left behind unfinished
