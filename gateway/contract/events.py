"""The numbers of event types, channels and subjects (`uplink.cddl`): here, and nowhere else.

A test holds each to the contract's text. What a command asks for and what became of it are in
`command`.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class EventType(IntEnum):
    """The type of an event: the first number of its array."""

    POSITION = 2
    BOOT = 3
    CLOCK_SYNC = 4
    ALARM_START = 5
    ALARM_END = 6
    CONFIGURATION = 7
    KEY_CHANGE = 8
    LOG_GAP = 9
    SHIPMENT_START = 10
    SHIPMENT_STOP = 11
    FLIGHT_MODE = 12
    FAULT = 13
    SHOCK = 14
    FREE_FALL = 15
    CALIBRATION = 16
    COMMAND_OUTCOME = 17
    RADIO = 18
    CELL = 19
    SERVICE = 20
    REPEATED = 21

    @property
    def label(self) -> str:
        """The contract's name of it."""
        return self.name.lower().replace("_", "-")


class Channel(IntEnum):
    """What alarm rules judge: the readings of samples, and two that events measure."""

    PAYLOAD = 0
    AMBIENT = 1
    HUMIDITY = 2
    LIGHT = 3
    BATTERY = 4
    ACCELERATION_X = 5
    ACCELERATION_Y = 6
    ACCELERATION_Z = 7
    SHOCK = 8
    FREE_FALL = 9

    @property
    def label(self) -> str:
        """Its name in exports that have the unit elsewhere."""
        return self.name.lower()


SAMPLED: Final = tuple(channel for channel in Channel if channel < Channel.SHOCK)


class Subject(IntEnum):
    """The part that has a fault; a sample's status has the sensors alone, in this order."""

    PROBE = 0
    AMBIENT = 1
    LIGHT = 2
    ACCELEROMETER = 3
    BATTERY = 4
    LOG = 5
    MODEM = 6
    CLOCK = 7
    CONFIGURATION = 8
    DOWNLINK = 9

    @property
    def label(self) -> str:
        """Its name in words."""
        return self.name.lower()


SENSORS: Final = tuple(subject for subject in Subject if subject < Subject.LOG)
