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
ABOVE = const(0x40)  # FH
BELOW = const(0x20)  # FL

# One conversion takes 880 ms at most, and 10 ms longer for each change of range (section 6.5).
_CONVERT_MS = const(1000)
_POLL_MS = const(20)


def lux(code):
    """Convert a result or limit register to 0.01 lx: 0.01 * 2^E * R (section 7.6.1.1.1)."""
    return (code & 0xFFF) << (code >> 12)


def limit(centilux):
    """Return the limit register for ``centilux`` 0.01 lx, rounded down; 0...8386560."""
    exponent = 0
    while centilux > 0xFFF:
        centilux >>= 1
        exponent += 1
    return exponent << 12 | centilux


class OPT3001:
    """One sensor on an I2C bus, converting all the time (1.8 uA in the dark, section 6.5)."""

    def __init__(self, i2c, address=ADDRESS):
        """Use the part at ``address`` on ``i2c``; nothing is sent yet."""
        self._i2c = i2c
        self._address = address
        self._word = bytearray(2)
        self._known = False
        self.pending = 0
        """Events that were read and not yet asked for."""

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
        """Return the configuration; reading it lets go of INT and clears the flags, kept here."""
        if not self._known:
            if self._read(_MANUFACTURER_ID) != _TI or self._read(_DEVICE_ID) != _OPT3001:
                raise SensorFault(WRONG_ID)
            self._known = True
        configuration = self._read(_CONFIGURATION)
        self.pending |= configuration & (ABOVE | BELOW)
        return configuration

    def arm(self, above=None, below=None):
        """Pull INT low, latched, when a result is above or below these limits in 0.01 lx.

        None is no limit. A part that does so already goes on undisturbed; other limits than
        before forget their events. SensorFault when it does not answer or is another.
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
        """Return ABOVE, BELOW, both or 0: the limits crossed since this was last asked."""
        self._configuration()
        flags, self.pending = self.pending, 0
        return flags

    def measure(self):
        """Return the illuminance in 0.01 lx, of the conversion that ended last.

        Waits for the first conversion, 1 s at most, where the part was not converting yet or
        was asked for its configuration within its last conversion. Raises SensorFault: no
        answer, bus stuck, another part's identity, no conversion ends; full sun, which is more
        than the 83865.60 lx of its highest range, is ABOVE its range.
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
