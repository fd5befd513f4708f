"""Start the tracker from what was provisioned on its file system."""

import gc
import sys

import board
import coldtrail

PROFILE = "profile.cbor"
IDENTITY = "identity.cbor"


def _read(name):
    try:
        with open(name, "rb") as file:
            return file.read()
    except OSError as error:
        raise ValueError("%s is missing: provision the tracker" % name) from error


def _provisioned():
    """Return (profile, identity); ValueError when the tracker is not provisioned."""
    from coldtrail import identity, profile

    return profile.load(_read(PROFILE)), identity.load(_read(IDENTITY))


def _forget(*names):
    """Give back the memory of modules that the rest of this wake has no use for."""
    for name in names:
        del sys.modules["coldtrail." + name]
        delattr(coldtrail, name)
    gc.collect()


def start():
    """Run one wake; returns only when the tracker is not provisioned, to the prompt."""
    if board.CHIP != "esp32":
        print("coldtrail: there is no port layer for the chip", board.CHIP)
        return
    try:
        profile, identity = _provisioned()
    except ValueError as error:
        print("coldtrail:", error)
        return
    _forget("profile", "identity")

    from coldtrail.ports.esp32 import Port
    from coldtrail.tracker import Tracker

    Tracker(Port(board), profile, identity).wake()
