"""LIS2DW12: self-test by electrostatic deflection (datasheet DocID029682, AN5038).

This is a separate module because it is needed once, at packing.

    moved = lis2dw12_selftest.deflections(LIS2DW12(i2c))  # mg, one value for each axis
    good = all(LEAST_MG <= mg <= MOST_MG for mg in moved)
"""

import time

from micropython import const

from drivers.lis2dw12 import mg

# Limits of the deflection on each axis (mechanical characteristics, self-test).
LEAST_MG = const(70)
MOST_MG = const(1500)

_CTRL1 = const(0x20)
_CTRL3 = const(0x22)
_OUT_X_L = const(0x28)
_FIFO_CTRL = const(0x2E)
_WAKE_UP_SRC = const(0x38)
_BYPASS = const(0x00)
# High performance at 50 Hz; BDU and IF_ADD_INC; +-4 g.
_CTRL1_50_HZ_HP = const(0x44)
_CTRL2_BDU_IF_ADD_INC = const(0x0C)
_CTRL6_4_G = const(0x10)
_CTRL3_ST_POSITIVE = const(0x40)

_SETTLE_MS = const(100)
_SAMPLE_MS = const(21)
_SAMPLES = const(5)


def deflections(part):
    """Deflect the sensor and return the change of each axis in mg, without sign.

    ``part``: the LIS2DW12. It must not move for 0.5 s, and its configuration is restored
    afterwards. A good part gives LEAST_MG to MOST_MG. Raises SensorFault when the part does not
    answer.
    """
    part.check()
    control = part.read(_CTRL1, 6)
    part.write(_FIFO_CTRL, _BYPASS)
    part.write(_CTRL1, _CTRL1_50_HZ_HP, _CTRL2_BDU_IF_ADD_INC, 0, 0, 0, _CTRL6_4_G)
    rest = _sum(part)
    part.write(_CTRL3, _CTRL3_ST_POSITIVE)
    moved = _sum(part)
    part.write(_CTRL1, *control)
    part.read(_WAKE_UP_SRC, 1)
    part.restart_fifo()
    # mg() converts at +-16 g; the scale here is +-4 g, so divide by four.
    return tuple(abs(b - a) // (4 * _SAMPLES) for a, b in zip(rest, moved))


def _sum(part):
    """Return the sum of five samples of each axis, taken after the filter has settled."""
    sums = [0, 0, 0]
    time.sleep_ms(_SETTLE_MS)
    for n in range(_SAMPLES + 1):
        time.sleep_ms(_SAMPLE_MS)
        data = part.read(_OUT_X_L, 6)
        for axis in range(3):
            if n:
                sums[axis] += mg(data[2 * axis], data[2 * axis + 1])
    return sums
