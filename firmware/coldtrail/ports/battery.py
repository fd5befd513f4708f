"""The battery behind its divider. Given back after a sample."""

from micropython import const

from drivers.fault import RANGE, SensorFault

# Below it neither chip would run on its regulator (ESP32 datasheet, 2.3 V), above it is no lithium
# cell: it is a divider that has come loose.
_LOWEST_MV = const(2300)
_HIGHEST_MV = const(4500)


class Battery:
    """Measured on one pin, with the chip's own calibration."""

    def __init__(self, read_uv, numerator, denominator):
        """Measure with ``read_uv()``; battery = reading * numerator / denominator."""
        self._read_uv = read_uv
        self._numerator = numerator
        self._denominator = denominator

    def measure(self):
        """Return the voltage in mV, the mean of four conversions; SensorFault out of range."""
        total = 0
        for _ in range(4):
            total += self._read_uv()
        mv = total * self._numerator // (4000 * self._denominator)
        if not _LOWEST_MV <= mv <= _HIGHEST_MV:
            raise SensorFault(RANGE)
        return mv
