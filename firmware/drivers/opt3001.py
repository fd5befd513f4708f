"""Texas Instruments OPT3001: illuminance over I2C (datasheet SBOS681C).

light = OPT3001(i2c)
centilux = light.measure()
"""

import time

from micropython import const

from drivers.fault import TIMEOUT, WRONG_ID, SensorFault, of_bus

_ABOVE_RANGE = const(14)  # a status, see fault.py
ADDRESS = const(0x45)  # ADDR at VDD (section 7.3.4.1)
_RESULT = const(0x00)
_CONFIGURATION = const(0x01)
_LOW_LIMIT = const(0x02)
_MANUFACTURER_ID = const(0x7E)
_TI = const(0x5449)
_DEVICE_ID = const(0x7F)
_OPT3001 = const(0x3001)

# Configuration register (section 7.6.1.1.2).
_AUTOMATIC_RANGE = const(0xC000)
_CT_800_MS = const(0x0800)
_M_CONTINUOUS = const(0x0600)
_OVF = const(0x0100)
_CRF = const(0x0080)
_LATCH = const(0x0010)
_WANTED = const(_AUTOMATIC_RANGE | _CT_800_MS | _M_CONTINUOUS | _LATCH)
_WRITABLE = const(0xFE1F)

_HIGHEST = const(0xBFFF)
ABOVE = const(0x40)  # flag FH
BELOW = const(0x20)  # flag FL

# One conversion takes at most 880 ms, and 10 ms more for each change of range (section 6.5).
_CONVERT_MS = const(1000)
_POLL_MS = const(20)


def lux(code):
    """Convert a result or limit register to 0.01 lx: 0.01 * 2^E * R (section 7.6.1.1.1)."""
    return (code & 0xFFF) << (code >> 12)


def limit(centilux):
    """Return the limit register for ``centilux`` (0.01 lx), rounded down; 0...8386560."""
    exponent = 0
    while centilux > 0xFFF:
        centilux >>= 1
        exponent += 1
    return exponent << 12 | centilux


class OPT3001:
    """One sensor on an I2C bus that converts continuously (1.8 uA in the dark, section 6.5)."""

    def __init__(self, i2c, address=ADDRESS):
        """Store the bus and the address; nothing is sent yet."""
        self._i2c = i2c
        self._address = address
        self._word = bytearray(2)
        self._known = False
        self.pending = 0
        """Events (``ABOVE``, ``BELOW``) that were read and not yet returned by ``event``."""

    def _read(self, register):
        word = self._word
        try:
            self._i2c.readfrom_mem_into(self._address, register, word)
        except OSError as error:
            raise SensorFault(of_bus(error))
        return word[0] << 8 | word[1]

    def _write(self, register, value):
        try:
            self._i2c.writeto_mem(self._address, register, bytes((value >> 8, value & 255)))
        except OSError as error:
            raise SensorFault(of_bus(error))

    def _configuration(self):
        """Return the configuration. Reading it releases INT and clears the flags, so keep them."""
        if not self._known:
            if self._read(_MANUFACTURER_ID) != _TI or self._read(_DEVICE_ID) != _OPT3001:
                raise SensorFault(WRONG_ID)
            self._known = True
        configuration = self._read(_CONFIGURATION)
        self.pending |= configuration & (ABOVE | BELOW)
        return configuration

    def arm(self, above=None, below=None):
        """Pull INT low, latched, when a result is above or below these limits in 0.01 lx.

        None means no limit. A part that is configured like this already is not touched; a change
        of the limits discards older events. Raises SensorFault when the part does not answer or
        has the wrong identity.
        """
        low = 0 if below is None else limit(below)
        high = _HIGHEST if above is None else limit(above)
        configuration = self._configuration()
        if self._read(_LOW_LIMIT) != low or self._read(_LOW_LIMIT + 1) != high:
            self._write(_LOW_LIMIT, low)
            self._write(_LOW_LIMIT + 1, high)
            configuration = self.pending = 0
        if configuration & _WRITABLE != _WANTED:
            self._write(_CONFIGURATION, _WANTED)

    def event(self):
        """Return the limits crossed since the last call: ABOVE, BELOW, both or 0."""
        self._configuration()
        flags, self.pending = self.pending, 0
        return flags

    def measure(self):
        """Return the illuminance of the latest finished conversion in 0.01 lx.

        Waits at most 1 s for a conversion, when the part was not converting yet or when its
        configuration was read since the latest conversion. Raises SensorFault: no answer, bus
        stuck, wrong identity, no conversion ends, or above the highest range of 83865.60 lx (full
        sun).
        """
        configuration = self._configuration()
        if configuration & _M_CONTINUOUS != _M_CONTINUOUS:
            self.arm()
        waited = 0
        while not configuration & _CRF:
            if waited > _CONVERT_MS:
                raise SensorFault(TIMEOUT)
            time.sleep_ms(_POLL_MS)
            waited += _POLL_MS
            configuration = self._configuration()
        if configuration & _OVF:
            raise SensorFault(_ABOVE_RANGE)
        return lux(self._read(_RESULT))
