"""Start the tracker from what was provisioned on its file system."""

import micropython

import board
from drivers import forget


def start():
    """Run one wake; returns only when the tracker is not provisioned, to the prompt."""
    micropython.kbd_intr(-1)  # Ctrl-C is the console's: it ends no tracker
    if board.CHIP != "esp32":
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
    forget("coldtrail.provisioned", "coldtrail.profile")
    forget("coldtrail.identity", "coldtrail.calibration")

    from coldtrail.ports.esp32 import Port
    from coldtrail.tracker import Tracker

    Tracker(Port(board), profile, identity, calibrations).wake()
