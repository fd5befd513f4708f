"""Reads what was provisioned on the tracker's file system; unloaded afterwards."""

import os

from micropython import const

from coldtrail import identity
from coldtrail.judging import profile
from coldtrail.sensing import calibration

_PROFILE_FILE = const("profile.cbor")
_IDENTITY_FILE = const("identity.cbor")
_CALIBRATION_FILE = const("calibration.cbor")


def _read(name):
    try:
        with open(name, "rb") as file:
            return file.read()
    except OSError:
        raise ValueError("%s is missing: provision the tracker" % name)


def load(fitted):
    """Return (profile, identity, calibrations) for a board with the sensors ``fitted``.

    Raises ValueError when the tracker is not provisioned, or when the profile or a calibration
    needs a channel that the board cannot measure.
    """
    loaded = profile.load(_read(_PROFILE_FILE))
    lacking = profile.missing(profile.wanted(loaded), fitted)
    if lacking:
        raise ValueError(
            "profile %s needs %s, which no sensor on this board measures: "
            "provision another profile" % (loaded.name, profile.named(lacking))
        )
    calibrations = []
    if _CALIBRATION_FILE in os.listdir():
        calibrations = calibration.load(_read(_CALIBRATION_FILE))
    unfitted = profile.missing([entry[0] for entry in calibrations], fitted)
    if unfitted:
        raise ValueError(
            "calibration.cbor has channels %s, and no sensor on this board measures them: "
            "provision again" % unfitted
        )
    return loaded, identity.load(_read(_IDENTITY_FILE)), calibrations
