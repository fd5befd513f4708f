"""The numbers and names of the uplink contract that the simulator uses.

They repeat ``firmware/uplink.cddl`` and ``firmware/UPLINK.md``; a test compares them with both.
"""

from __future__ import annotations

from enum import IntEnum

PREFIX = "coldtrail/1/"
"""The beginning of every topic of the contract."""
UP, CONFIRMATION, COMMAND = "up", "confirmation", "command"
"""The last part of a tracker's topics."""


def topic(tracker: str, ending: str) -> str:
    """Return a topic of a tracker; with "+" for the tracker a filter for all trackers."""
    return f"{PREFIX}{tracker}/{ending}"


class Envelope(IntEnum):
    """Indices into the array of a COSE_Mac0."""

    PAYLOAD = 2


class Confirmation(IntEnum):
    """Keys of a confirmation."""

    WATERMARK = 2
    RANGES = 4


class Profile(IntEnum):
    """Keys of a profile."""

    RULES = 7


class Rule(IntEnum):
    """Indices into the array of a rule."""

    CHANNEL = 2
    COMPARISON = 3
    THRESHOLD = 4


class Channel(IntEnum):
    """Numbers of the channels that a sample has."""

    PAYLOAD_TEMPERATURE = 0
    AMBIENT_TEMPERATURE = 1
    HUMIDITY = 2
    ILLUMINANCE = 3
    BATTERY = 4
    ACCELERATION_X = 5
    ACCELERATION_Y = 6
    ACCELERATION_Z = 7


UNITS = {
    Channel.PAYLOAD_TEMPERATURE: (100, "degC"),
    Channel.AMBIENT_TEMPERATURE: (100, "degC"),
    Channel.HUMIDITY: (10, "%RH"),
    Channel.ILLUMINANCE: (100, "lx"),
    Channel.BATTERY: (1, "mV"),
    Channel.ACCELERATION_X: (1, "mg"),
    Channel.ACCELERATION_Y: (1, "mg"),
    Channel.ACCELERATION_Z: (1, "mg"),
}
"""How many steps of the integer on the wire make one unit, and the name of the unit."""

LOWER_LIMIT = frozenset((1, 2))
UPPER_LIMIT = frozenset((3, 4))
"""Comparisons of a rule: a lower limit for < and <=, an upper limit for > and >=."""
