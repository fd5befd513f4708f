"""nRF52840: voltages from the SAADC.

The registers are used directly, because the interpreter converts with 8 bits against the supply
voltage, which is not known.
"""

from coldtrail.ports import nrf52840_registers


def reader(pin):
    """Return a function that converts once and returns the voltage at ``pin`` in microvolts."""
    return lambda: nrf52840_registers.microvolts(pin)
