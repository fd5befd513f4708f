"""ESP32: the battery behind its divider, as the ADC sees it."""

import machine
from micropython import const

from drivers.fault import RANGE, SensorFault

# Below it the chip itself would not run (ESP32 datasheet, 2.3 V), above it is no lithium cell: it
# is a divider that has come loose.
_LOWEST_MV = const(2300)
_HIGHEST_MV = const(4500)


class Battery:
    """Measured on one pin, with the chip's own calibration."""

    def __init__(self, pin, numerator, denominator):
        """Measure on ``pin``; battery = reading * numerator / denominator."""
        self._adc = machine.ADC(machine.Pin(pin), atten=machine.ADC.ATTN_11DB)
        self._numerator = numerator
        self._denominator = denominator

    def measure(self):
        """Return the voltage in mV, the mean of four conversions; SensorFault out of range."""
        total = 0
        for _ in range(4):
            total += self._adc.read_uv()
        mv = total * self._numerator // (4000 * self._denominator)
        if not _LOWEST_MV <= mv <= _HIGHEST_MV:
            raise SensorFault(RANGE)
        return mv
