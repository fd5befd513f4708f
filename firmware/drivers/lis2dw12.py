"""ST LIS2DW12: acceleration, shock and free fall over I2C (datasheet DocID029682, AN5038).

Its self-test lies in lis2dw12_selftest.py.

    accelerometer = LIS2DW12(i2c)
    accelerometer.arm(shock_mg=4000)    # INT1 says when there was one
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
_SIXD_SRC = const(0x3A)
_CTRL7 = const(0x3F)

# STATUS and WAKE_UP_SRC have the wake-up and the free-fall flag in places of their own.
_STATUS_EVENTS = const(0x42)
_SRC_FF_IA = const(0x20)
_SRC_WU_IA = const(0x08)

# Low-power mode 1 at 200 Hz: 12 bits, the least current, and the widest bandwidth (3200 Hz), so
# that a short shock is not averaged away. +-16 g, latched interrupts, INT1 push-pull, active high.
_CTRL1_200_HZ_LP1 = const(0x60)
_CTRL2_BDU_IF_ADD_INC = const(0x0C)
_CTRL3_LIR = const(0x10)
_CTRL4_INT1_WU = const(0x20)
_CTRL6_16_G = const(0x30)
# The wake-up compares the acceleration itself, gravity included, and not its high-pass.
_CTRL7_INTERRUPTS_ENABLE_USR_OFF_ON_WU = const(0x28)
_SIXD_THS_60_DEGREES = const(0x40)
_FF_THS_312_MG = const(3)
_FF_MG = const(312)
_BYPASS = const(0x00)
_CONTINUOUS_TO_FIFO = const(0x60)
_PERIOD_MS = const(5)
_DEPTH = const(32)
_SETTLE_MS = const(15)  # a sample after turn-on and one to spare
_SHOCK_STEP_MG = const(250)  # WAKE_UP_THS counts in 1/64 of the full scale

XL, XH, YL, YH, ZL, ZH = range(6)
"""Faces: which axis points down (L) or up (H), SIXD_SRC."""


def mg(low, high):
    """Convert an output register pair at +-16 g to mg: 14 bits of 1.952 mg each, rounded."""
    code = (high << 8 | low) >> 2
    if code & 0x2000:
        code -= 0x4000
    return (488 * code + 125) // 250


class LIS2DW12:
    """One sensor on an I2C bus, measuring all the time.

    The FIFO holds the last 160 ms. INT1, the wake-up, freezes it (Continuous-to-FIFO) with the
    samples before, the one that crossed the threshold and one after: the fall, the shock. So the
    event is there when the processor has booted. Free fall is not on INT1: it would freeze the
    FIFO while the box still falls, without the shock; its flag is latched and read with the event.
    """

    def __init__(self, i2c, address=ADDRESS):
        """Use the part at ``address`` on ``i2c``; nothing is sent yet."""
        self._i2c = i2c
        self._address = address
        self._known = False
        self.raw = 0
        """All bits of what was measured last."""
        self.pending = None
        """An event that was read and not yet asked for."""

    def read(self, register, length):
        """Return ``length`` bytes from ``register`` on; SensorFault."""
        data = bytearray(length)
        try:
            self._i2c.readfrom_mem_into(self._address, register, data)
        except OSError as error:
            raise SensorFault(of_bus(error))
        return data

    def write(self, register, *values):
        """Write registers from ``register`` on; SensorFault."""
        try:
            self._i2c.writeto_mem(self._address, register, bytes(values))
        except OSError as error:
            raise SensorFault(of_bus(error))

    def check(self):
        """Raise SensorFault unless this is the part, looked at once."""
        if not self._known:
            if self.read(_WHO_AM_I, 1)[0] != _LIS2DW12:
                raise SensorFault(WRONG_ID)
            self._known = True

    def restart_fifo(self):
        """Empty the FIFO; it fills until an event stops it."""
        self.write(_FIFO_CTRL, _BYPASS)
        self.write(_FIFO_CTRL, _CONTINUOUS_TO_FIFO)

    def arm(self, shock_mg=0, free_fall_ms=60):
        """Measure, and raise INT1 when an axis exceeds ``shock_mg``: 250...15750, 0 for never.

        A fall counts as one from ``free_fall_ms`` on, 5...315. A part that does so already goes
        on undisturbed. SensorFault when it does not answer or is another.
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

        Raises SensorFault: no answer, bus stuck, another part's identity, no sample comes. An
        event that stands is put aside for ``event``.
        """
        self.check()
        if self.read(_STATUS, 1)[0] & _STATUS_EVENTS:
            self.pending = self._take()  # after a shock the FIFO is frozen: it holds the event
        samples = self.read(_FIFO_SAMPLES, 1)[0] & 0x3F
        if samples < _DEPTH:
            # Just begun, or asleep with old samples in the FIFO: then their number stays.
            if not self.read(_CTRL1, 1)[0]:
                self.arm()
            time.sleep_ms(_SETTLE_MS)
            if self.read(_FIFO_SAMPLES, 1)[0] & 0x3F <= samples:
                raise SensorFault(TIMEOUT)
        data = self.read(_OUT_X_L, 6)
        self.raw = int.from_bytes(data, "little")
        return tuple(mg(data[i], data[i + 1]) for i in (0, 2, 4))

    def event(self):
        """Return None, or (shock, free fall) since this was last asked.

        Shock: the peak of each axis in mg, gravity included, signed, at most 15991 in size, or
        None. Free fall: its duration in ms, at least, 0 when there was none.
        """
        event, self.pending = self.pending, None
        if event is None and self.read(_STATUS, 1)[0] & _STATUS_EVENTS:
            event = self._take()
        return event

    def _take(self):
        """Read the frozen FIFO and the flags, which clears INT1, and start anew."""
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

    def face(self):
        """Return the face that lies so within 30 degrees (``XL`` ... ``ZH``), or None."""
        source = self.read(_SIXD_SRC, 1)[0] & 0x3F
        for face in range(6):
            if source == 1 << face:
                return face
        return None
