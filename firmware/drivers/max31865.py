"""Maxim MAX31865 with a PT1000: payload temperature over SPI, mode 1 or 3 (datasheet 19-6478).

probe = MAX31865(spi, cs, 4000, 3)  # machine.SPI, a pin, reference in ohms, wires
centidegrees = probe.measure()
"""

import time

from micropython import const

from drivers.fault import NO_ANSWER, OPEN, REFERENCE, SHORT, TIMEOUT, SensorFault

_ABOVE_RANGE = const(14)  # a status, see fault.py

# Register addresses, table 1; a write sets the top bit.
_CONFIGURATION = const(0x00)
_HIGH_FAULT_THRESHOLD = const(0x03)
_WRITE = const(0x80)

# Configuration register, table 2.
_VBIAS = const(0x80)
_ONE_SHOT = const(0x20)
_THREE_WIRE = const(0x10)
_LEADS_1 = const(0x08)  # fault detection with manual timing, step 1
_LEADS_2 = const(0x0C)  # ... and step 2
_FAULT_CLEAR = const(0x02)
_FILTER_50HZ = const(0x01)

# Fault status register, table 7. Tables 10 to 12 list what each bit means for the leads.
_RTD_LOW = const(0x40)
_REFIN_HIGH = const(0x20)  # the loop through element and reference is open
_LEAD_LOW = const(0x18)  # REFIN- or RTDIN- is low while FORCE- is open: a lead is shorted low
_OVER_UNDER_VOLTAGE = const(0x04)

# VBIAS starts within 10 ms. Then the input filter (4.3 kilo-ohm and 100 nF) needs 10.5 time
# constants and 1 ms (page 14). A voltage that has not settled reads too cold; with twice the sum
# the error is 0.001 degC. A single conversion takes 66 ms at most with the 50 Hz filter
# (electrical characteristics).
_SETTLE_MS = const(30)
_CONVERT_MS = const(67)
# The leads are tested with manual timing, because the filter is slower than the 100 us of the
# automatic test. Each half of the test needs 5 time constants before it (page 14). The second half
# closes FORCE- again, which needs 10.5 time constants before a conversion.
_LEADS_MS = const(3)
_RESETTLE_MS = const(6)

# 0.01 degC. No shipment is colder than liquid nitrogen, so a lower reading means a short. A
# reading above the upper limit may be real up to the end of the range of the standard; beyond that
# a lead is open.
_LOWEST = const(-20500)
_HIGHEST = const(11000)
_END = const(85000)

_R0 = const(1000)  # ohm at 0 degC


def resistance(centi):
    """Return the resistance of a PT1000 in micro-ohm at ``centi`` 0.01 degC (IEC 60751:2008, 5.2).

    R = R0 (1 + A t + B t^2 [+ C (t - 100) t^3 below 0 degC]); A = 3.9083e-3, B = -5.775e-7,
    C = -4.183e-12. Every factor is an integer in these units.
    """
    r = 1000000 * _R0 + 39083 * centi - 5775 * centi * centi // 100000
    if centi < 0:
        r -= 4183 * (centi - 10000) * centi * centi * centi // 100000000000000
    return r


def temperature(code, rref):
    """Return the temperature in 0.01 degC for a 15-bit RTD code against ``rref`` ohm.

    ``code``: 0...32767. Newton's method on the polynomial of the standard, without a table; the
    result is rounded to the nearest unit from -200 to +110 degC.
    """
    target = code * rref * 1000000 >> 15
    centi = (target - 1000000 * _R0) // 39083
    for _ in range(8):
        slope = 39083 - 1155 * centi // 10000
        if centi < 0:
            slope -= 4183 * (4 * centi - 30000) * centi * centi // 100000000000000
        step = (2 * (target - resistance(centi)) + slope) // (2 * slope)
        if not step:
            break
        centi += step
    return centi


class MAX31865:
    """One converter on an SPI bus with its own chip select."""

    def __init__(self, spi, cs, rref, wires=3):
        """Store the bus and the select pin ``cs``; ``rref`` in ohm, ``wires`` 2, 3 or 4."""
        self._spi = spi
        self._cs = cs
        self._rref = rref
        self._configuration = _FILTER_50HZ | (_THREE_WIRE if wires == 3 else 0)
        self._frame = bytearray(9)
        self.raw = 0  # the latest RTD code
        self._end = resistance(_END) // rref * 32768 // 1000000
        # Just outside the measuring range.
        high = (resistance(_HIGHEST) // rref * 32768 // 1000000) << 1
        low = (resistance(_LOWEST) // rref * 32768 // 1000000) << 1
        self._thresholds = bytes(
            (_WRITE | _HIGH_FAULT_THRESHOLD, high >> 8, high & 255, low >> 8, low & 255)
        )

    def _write(self, data):
        self._cs(0)
        self._spi.write(data)
        self._cs(1)

    def _configure(self, bits):
        self._write(bytes((_WRITE | _CONFIGURATION, self._configuration | bits)))

    def measure(self):
        """Test the leads, convert once and return the temperature in 0.01 degC.

        Raises SensorFault: no answer, element or leads open or shorted, an input out of its
        voltage range, no conversion since power-on, more than 110 degC. The bias is switched off
        afterwards, so that the element does not heat itself. The leads are tested each time,
        because with some broken leads "the data appear to be valid" (tables 10 to 12); the test
        takes 9 ms and two transfers. It cannot detect an open RTDIN+ lead: for that the datasheet
        wants 10 megohm from RTDIN+ to BIAS, which makes the reading full scale (page 20).
        """
        self._write(self._thresholds)
        self._configure(_VBIAS | _FAULT_CLEAR)
        time.sleep_ms(_SETTLE_MS)
        self._configure(_VBIAS | _LEADS_1)
        time.sleep_ms(_LEADS_MS)
        self._configure(_VBIAS | _LEADS_2)
        time.sleep_ms(_RESETTLE_MS)
        self._configure(_VBIAS | _ONE_SHOT)
        time.sleep_ms(_CONVERT_MS)
        frame = self._frame
        self._cs(0)
        self._spi.readinto(frame, 0)  # 8 registers from address 0
        self._cs(1)
        self._configure(0)
        # The registers must read back as written: an absent or unpowered part leaves the line
        # floating.
        configured = frame[1] & ~_ONE_SHOT == self._configuration | _VBIAS
        if not configured or frame[4:8] != self._thresholds[1:]:
            raise SensorFault(NO_ANSWER)
        code = frame[2] << 8 | frame[3]
        status = frame[8]
        if not code:
            # The code after power-on; a short would also set a fault bit.
            raise SensorFault(TIMEOUT)
        self.raw = code >> 1
        if status & _OVER_UNDER_VOLTAGE:
            raise SensorFault(REFERENCE)
        if status & _REFIN_HIGH or self.raw >= self._end:
            raise SensorFault(OPEN)
        if status & (_LEAD_LOW | _RTD_LOW):
            raise SensorFault(SHORT)
        centi = temperature(self.raw, self._rref)
        if centi < _LOWEST:
            raise SensorFault(SHORT)
        if centi > _HIGHEST:
            raise SensorFault(_ABOVE_RANGE)
        return centi
