"""Start the tracker from what was provisioned on its file system."""

import board
from coldtrail import profile
from coldtrail.identity import Identity

PROFILE = "profile.cbor"
IDENTITY = "identity.cbor"


def _read(name):
    try:
        with open(name, "rb") as file:
            return file.read()
    except OSError as error:
        raise ValueError("%s is missing: provision the tracker" % name) from error


def start():
    """Run one wake; returns only when the tracker is not provisioned, to the prompt."""
    try:
        loaded = profile.load(_read(PROFILE))
        identity = Identity(_read(IDENTITY))
    except ValueError as error:
        print("coldtrail:", error)
        return
    if board.CHIP == "esp32":
        from coldtrail.ports.esp32 import Port
    else:
        print("coldtrail: there is no port layer for the chip", board.CHIP)
        return

    from coldtrail.tracker import Tracker

    Tracker(Port(board), loaded, identity).wake()
