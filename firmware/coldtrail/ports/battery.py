"""The battery voltage behind a divider. Unloaded after a sample."""

from micropython import const

from drivers.fault import RANGE, SensorFault

# Below the lower limit neither chip could run on its regulator (ESP32 datasheet, 2.3 V). No
# lithium cell exceeds the upper limit, so a higher reading means a broken divider.
_LOWEST_MV = const(2300)
_HIGHEST_MV = const(4500)


class Battery:
    """A voltage measured on one pin, with the calibration of the chip."""

    def __init__(self, read_uv, numerator, denominator):
        """Store the divider: battery = ``read_uv()`` * numerator / denominator."""
        self._read_uv = read_uv
        self._numerator = numerator
        self._denominator = denominator

    def measure(self):
        """Return the voltage in mV, the mean of four conversions.

        Raises SensorFault when it is outside 2300...4500 mV.
        """
        total = 0
        for _ in range(4):
            total += self._read_uv()
        mv = total * self._numerator // (4000 * self._denominator)
        if not _LOWEST_MV <= mv <= _HIGHEST_MV:
            raise SensorFault(RANGE)
        return mv
