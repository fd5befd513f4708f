"""Why a sensor gave no reading: one exception for all drivers, with its status codes.

try:
    value = driver.measure()
except SensorFault as fault:
    status = fault.code             # such as NO_ANSWER
"""

from errno import ETIMEDOUT

from micropython import const

NO_ANSWER = const(1)
CRC = const(2)
OPEN = const(3)
SHORT = const(4)
RANGE = const(5)
TIMEOUT = const(6)
BUS_STUCK = const(7)
REFERENCE = const(8)
WRONG_ID = const(9)
VALUE_STUCK = const(10)
NOT_FITTED = const(11)
# 14, more than the part can tell, and 15, less: _ABOVE_RANGE and _BELOW_RANGE where they are used,
# because a name here stays in memory.


class SensorFault(Exception):
    """A reading could not be taken; ``code`` is one of this module's constants."""

    def __init__(self, code):
        """Remember the status code."""
        super().__init__(code)
        self.code = code


def of_bus(error):
    """Return the status code for an OSError that a bus transfer raised.

    A time-out means that a line is held (clock stretching without end); everything else, above
    all ENODEV, that nobody acknowledged.
    """
    return BUS_STUCK if error.errno == ETIMEDOUT else NO_ANSWER
