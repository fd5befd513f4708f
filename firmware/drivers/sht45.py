"""Sensirion SHT45: ambient temperature and relative humidity over I2C (datasheet SHT4x, v6).

air = SHT45(i2c)
centidegrees, permille = air.measure()
"""

import time

from micropython import const

from drivers.fault import CRC, SensorFault, of_bus

_ABOVE_RANGE = const(14)  # a status, see fault.py
_BELOW_RANGE = const(15)
ADDRESS = const(0x44)
_MEASURE_HIGH_PRECISION = const(b"\xfd")  # table 8
_READ_SERIAL = const(b"\x89")
# Table 5: high repeatability takes 8.3 ms at most; sleep_ms may end one tick early.
_MEASURE_MS = const(10)
_FULL_SCALE = const(0xFFFF)


def crc8(data):
    """Return the CRC-8 of ``data``: polynomial 0x31, start 0xFF (section 4.4: 0xBEEF, 0x92)."""
    crc = 0xFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1) ^ 0x31 if crc & 0x80 else crc << 1
        crc &= 0xFF
    return crc


def temperature(ticks):
    """Convert 16-bit ticks to 0.01 degC, rounded: T = -45 + 175 * ticks / 65535 (section 4.6)."""
    return (17500 * ticks + 32767) // 65535 - 4500


def humidity(ticks):
    """Convert 16-bit ticks to 0.1 %RH, rounded and held to 0...100 %RH (section 4.6)."""
    return min(1000, max(0, (1250 * ticks + 32767) // 65535 - 60))


class SHT45:
    """One sensor on an I2C bus."""

    def __init__(self, i2c, address=ADDRESS):
        """Store the bus and the address; nothing is sent yet."""
        self._i2c = i2c
        self._address = address
        self._words = bytearray(6)
        self.raw = 0  # both words of the latest measurement

    def _fetch(self, command, wait_ms):
        words = self._words
        try:
            self._i2c.writeto(self._address, command)
            time.sleep_ms(wait_ms)
            self._i2c.readfrom_into(self._address, words)
        except OSError as error:
            raise SensorFault(of_bus(error))
        if crc8(words[:2]) != words[2] or crc8(words[3:5]) != words[5]:
            raise SensorFault(CRC)
        return words[0] << 8 | words[1], words[3] << 8 | words[4]

    def serial(self):
        """Return the 32-bit serial number (section 4.5). Raises SensorFault."""
        high, low = self._fetch(_READ_SERIAL, 1)
        return high << 16 | low

    def measure(self):
        """Measure once and return (temperature in 0.01 degC, humidity in 0.1 %RH).

        Raises SensorFault: no answer, wrong CRC, bus stuck, or a temperature at either end of the
        scale (-45 and +130 degC), because the true one may be beyond it. Humidity is limited to
        0...100 %RH (section 4.6), so its ends are valid readings.
        """
        words = self._fetch(_MEASURE_HIGH_PRECISION, _MEASURE_MS)
        self.raw = words[0] << 16 | words[1]
        if words[0] in (0, _FULL_SCALE):
            raise SensorFault(_ABOVE_RANGE if words[0] else _BELOW_RANGE)
        return temperature(words[0]), humidity(words[1])
