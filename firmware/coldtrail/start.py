"""Start the tracker from what was provisioned on its file system."""

import os

import micropython

import board
from drivers import forget

PROFILE = "profile.cbor"
IDENTITY = "identity.cbor"
CALIBRATION = "calibration.cbor"


def _read(name):
    try:
        with open(name, "rb") as file:
            return file.read()
    except OSError:
        raise ValueError("%s is missing: provision the tracker" % name)


def _provisioned():
    """Return (profile, identity, calibrations).

    ValueError when the tracker is not provisioned, or with what it cannot measure.
    """
    from coldtrail import calibration, identity, profile
    from coldtrail.sampler import missing

    loaded = profile.load(_read(PROFILE))
    lacking = missing(profile.wanted(loaded), board.SENSORS)
    if lacking:
        raise ValueError(
            "profile %s needs %s, which no sensor on this board measures: "
            "provision another profile" % (loaded.name, profile.named(lacking))
        )
    calibrations = []
    if CALIBRATION in os.listdir():
        calibrations = calibration.load(_read(CALIBRATION))
    unfitted = missing([entry[0] for entry in calibrations], board.SENSORS)
    if unfitted:
        raise ValueError(
            "calibration.cbor has channels %s, and no sensor on this board measures them: "
            "provision again" % unfitted
        )
    return loaded, identity.load(_read(IDENTITY)), calibrations


def start():
    """Run one wake; returns only when the tracker is not provisioned, to the prompt."""
    micropython.kbd_intr(-1)  # Ctrl-C is the console's: it ends no tracker
    if board.CHIP != "esp32":
        print("coldtrail: there is no port layer for the chip", board.CHIP)
        return
    try:
        profile, identity, calibrations = _provisioned()
    except ValueError as error:
        print("coldtrail:", error)
        micropython.kbd_intr(3)
        return
    forget("coldtrail.profile", "coldtrail.identity", "coldtrail.calibration")

    from coldtrail.ports.esp32 import Port
    from coldtrail.tracker import Tracker

    Tracker(Port(board), profile, identity, calibrations).wake()
