"""nRF52840: a voltage, as the SAADC sees it.

By register: the interpreter converts 8 bits against the supply, which nobody knows.
"""

from coldtrail.ports import nrf52840_registers


def reader(pin):
    """Return a function that converts once and returns microvolts at ``pin``."""
    return lambda: nrf52840_registers.microvolts(pin)
