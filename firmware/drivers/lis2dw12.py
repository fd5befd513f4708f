"""ST LIS2DW12: acceleration, shock and free fall over I2C (datasheet DocID029682, AN5038).

The self-test of the part is in lis2dw12_selftest.py.

    accelerometer = LIS2DW12(i2c)
    accelerometer.arm(shock_mg=4000)    # INT1 rises at a shock
    x, y, z = accelerometer.measure()   # mg
"""

import time

from micropython import const

from drivers.fault import TIMEOUT, WRONG_ID, SensorFault, of_bus

ADDRESS = const(0x19)  # SA0 high (serial interface, table of addresses)
_WHO_AM_I = const(0x0F)
_LIS2DW12 = const(0x44)
_CTRL1 = const(0x20)
_STATUS = const(0x27)
_OUT_X_L = const(0x28)
_FIFO_CTRL = const(0x2E)
_FIFO_SAMPLES = const(0x2F)
_TAP_THS_X = const(0x30)
_WAKE_UP_THS = const(0x34)
_WAKE_UP_SRC = const(0x38)
_CTRL7 = const(0x3F)

# Each of STATUS and WAKE_UP_SRC has the wake-up and free-fall flags at its own bit positions.
_STATUS_EVENTS = const(0x42)
_SRC_FF_IA = const(0x20)
_SRC_WU_IA = const(0x08)

# Low-power mode 1 at 200 Hz has 12 bits, the lowest current and the widest bandwidth (3200 Hz), so
# a short shock is not averaged away. Further: +-16 g, latched interrupts, INT1 push-pull and
# active high.
_CTRL1_200_HZ_LP1 = const(0x60)
_CTRL2_BDU_IF_ADD_INC = const(0x0C)
_CTRL3_LIR = const(0x10)
_CTRL4_INT1_WU = const(0x20)
_CTRL6_16_G = const(0x30)
# The wake-up compares the unfiltered acceleration, which includes gravity.
_CTRL7_INTERRUPTS_ENABLE_USR_OFF_ON_WU = const(0x28)
_SIXD_THS_60_DEGREES = const(0x40)
_FF_THS_312_MG = const(3)
_FF_MG = const(312)
_BYPASS = const(0x00)
_CONTINUOUS_TO_FIFO = const(0x60)
_PERIOD_MS = const(5)
_DEPTH = const(32)
_SETTLE_MS = const(15)  # the first sample after turn-on, and one more as a margin
_SHOCK_STEP_MG = const(250)  # one step of WAKE_UP_THS: 1/64 of the full scale


def mg(low, high):
    """Convert an output register pair at +-16 g to mg: 14 bits of 1.952 mg each, rounded."""
    code = (high << 8 | low) >> 2
    if code & 0x2000:
        code -= 0x4000
    return (488 * code + 125) // 250


class LIS2DW12:
    """One sensor on an I2C bus that measures continuously.

    The FIFO holds the last 160 ms. The wake-up interrupt (INT1) freezes the FIFO
    (Continuous-to-FIFO mode): it then holds the samples before the shock, the one that crossed the
    threshold and one more. The event is therefore still available after the processor has booted.
    Free fall is not routed to INT1, because it would freeze the FIFO during the fall, before the
    impact. The free-fall flag is latched and read together with the event.
    """

    def __init__(self, i2c, address=ADDRESS):
        """Store the bus and the address; nothing is sent yet."""
        self._i2c = i2c
        self._address = address
        self._known = False
        self.raw = 0
        """All bits of the latest measurement, for the check of a stuck value."""
        self.pending = None
        """An event that was read from the part and not yet returned by ``event``."""

    def read(self, register, length):
        """Return ``length`` bytes from ``register`` on. Raises SensorFault."""
        data = bytearray(length)
        try:
            self._i2c.readfrom_mem_into(self._address, register, data)
        except OSError as error:
            raise SensorFault(of_bus(error))
        return data

    def write(self, register, *values):
        """Write registers from ``register`` on. Raises SensorFault."""
        try:
            self._i2c.writeto_mem(self._address, register, bytes(values))
        except OSError as error:
            raise SensorFault(of_bus(error))

    def check(self):
        """Raise SensorFault unless the part identifies itself as LIS2DW12; asked once only."""
        if not self._known:
            if self.read(_WHO_AM_I, 1)[0] != _LIS2DW12:
                raise SensorFault(WRONG_ID)
            self._known = True

    def restart_fifo(self):
        """Empty the FIFO. It then fills until an event freezes it."""
        self.write(_FIFO_CTRL, _BYPASS)
        self.write(_FIFO_CTRL, _CONTINUOUS_TO_FIFO)

    def arm(self, shock_mg=0, free_fall_ms=60):
        """Start measuring, and let INT1 rise when an axis exceeds ``shock_mg``.

        ``shock_mg``: 250...15750, in steps of 250, or 0 for no interrupt. ``free_fall_ms``: the
        shortest fall that is reported, 5...315. A part that is configured like this already is not
        touched. Raises SensorFault when the part does not answer or has the wrong identity.
        """
        self.check()
        threshold = min(63, shock_mg // _SHOCK_STEP_MG) or 63
        samples = max(1, min(63, free_fall_ms // _PERIOD_MS))
        wake = (threshold, (samples & 0x20) << 2, (samples & 0x1F) << 3 | _FF_THS_312_MG)
        control = (
            _CTRL1_200_HZ_LP1,
            _CTRL2_BDU_IF_ADD_INC,
            _CTRL3_LIR,
            _CTRL4_INT1_WU if shock_mg else 0,
            0,
            _CTRL6_16_G,
        )
        if self.read(_CTRL1, 6) == bytes(control) and self.read(_WAKE_UP_THS, 3) == bytes(wake):
            return
        self.write(_CTRL1, 0)
        self.write(_TAP_THS_X, _SIXD_THS_60_DEGREES)
        self.write(_WAKE_UP_THS, *wake)
        self.write(_CTRL7, _CTRL7_INTERRUPTS_ENABLE_USR_OFF_ON_WU)
        self.write(_CTRL1, *control)
        self.read(_WAKE_UP_SRC, 1)
        self.restart_fifo()

    def measure(self):
        """Return the acceleration (x, y, z) in mg, at most 160 ms old.

        An event that is latched in the part is read and kept for ``event``. Raises SensorFault: no
        answer, bus stuck, wrong identity, no new sample.
        """
        self.check()
        if self.read(_STATUS, 1)[0] & _STATUS_EVENTS:
            self.pending = self._take()  # a shock froze the FIFO, so read the event and restart it
        samples = self.read(_FIFO_SAMPLES, 1)[0] & 0x3F
        if samples < _DEPTH:
            # A full FIFO is the normal case. A FIFO that is not full has just been started, or the
            # part is powered down with old samples in the FIFO; their number then does not grow.
            if not self.read(_CTRL1, 1)[0]:
                self.arm()
            time.sleep_ms(_SETTLE_MS)
            if self.read(_FIFO_SAMPLES, 1)[0] & 0x3F <= samples:
                raise SensorFault(TIMEOUT)
        data = self.read(_OUT_X_L, 6)
        self.raw = int.from_bytes(data, "little")
        return tuple(mg(data[i], data[i + 1]) for i in (0, 2, 4))

    def event(self):
        """Return the event since the last call as (shock, free fall), or None.

        shock: the signed peak of each axis in mg, at most 15991, gravity included; None without a
        shock. free fall: its minimum duration in ms; 0 without a fall.
        """
        event, self.pending = self.pending, None
        if event is None and self.read(_STATUS, 1)[0] & _STATUS_EVENTS:
            event = self._take()
        return event

    def _take(self):
        """Read the frozen FIFO and the flags, which clears INT1, and restart the FIFO."""
        data = self.read(_OUT_X_L, 6 * (self.read(_FIFO_SAMPLES, 1)[0] & 0x3F))
        duration, fall = self.read(_WAKE_UP_THS + 1, 2)
        source = self.read(_WAKE_UP_SRC, 1)[0]
        self.restart_fifo()
        peaks = [0, 0, 0]
        falling = longest = 0
        for i in range(0, len(data), 6):
            falling += 1
            for axis in range(3):
                value = mg(data[i + 2 * axis], data[i + 2 * axis + 1])
                if abs(value) > abs(peaks[axis]):
                    peaks[axis] = value
                if abs(value) > _FF_MG:
                    falling = 0
            longest = max(longest, falling)
        longest = max(longest, (duration & 0x80) >> 2 | fall >> 3)
        return (
            tuple(peaks) if source & _SRC_WU_IA else None,
            longest * _PERIOD_MS if source & _SRC_FF_IA else 0,
        )
