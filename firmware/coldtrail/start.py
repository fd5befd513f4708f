"""Start the tracker from what was provisioned on its file system."""

import board
from drivers import forget

PROFILE = "profile.cbor"
IDENTITY = "identity.cbor"


def _read(name):
    try:
        with open(name, "rb") as file:
            return file.read()
    except OSError:
        raise ValueError("%s is missing: provision the tracker" % name)


def _provisioned():
    """Return (profile, identity).

    ValueError when the tracker is not provisioned, or with what it cannot measure.
    """
    from coldtrail import identity, profile
    from coldtrail.sampler import missing

    loaded = profile.load(_read(PROFILE))
    lacking = missing(profile.wanted(loaded), board.SENSORS)
    if lacking:
        raise ValueError(
            "profile %s needs %s, which no sensor on this board measures: "
            "provision another profile" % (loaded.name, profile.named(lacking))
        )
    return loaded, identity.load(_read(IDENTITY))


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
    forget("coldtrail.profile", "coldtrail.identity")

    from coldtrail.ports.esp32 import Port
    from coldtrail.tracker import Tracker

    Tracker(Port(board), profile, identity).wake()
