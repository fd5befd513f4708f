"""The exception that every driver raises when a sensor gives no reading, with its codes.

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
# The codes 14 (above the part's range) and 15 (below it) are defined where they are used, as
# _ABOVE_RANGE and _BELOW_RANGE, because a name without an underscore stays in memory.


class SensorFault(Exception):
    """A reading could not be taken; ``code`` is one of this module's constants."""

    def __init__(self, code):
        """Store the status code."""
        super().__init__(code)
        self.code = code


def of_bus(error):
    """Return the status code for an OSError that a bus transfer raised.

    A time-out means that a part holds a line (endless clock stretching). Every other error, above
    all ENODEV, means that no part acknowledged the transfer.
    """
    return BUS_STUCK if error.errno == ETIMEDOUT else NO_ANSWER
