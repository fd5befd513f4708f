"""Registers of the LIS2DW12 and the meaning of their fields (datasheet DocID029682, AN5038)."""

from __future__ import annotations

import math
from collections.abc import Sequence

WHO_AM_I = 0x0F
LIS2DW12_ID = 0x44
CTRL1, CTRL2, CTRL3, CTRL4, CTRL5, CTRL6 = range(0x20, 0x26)
STATUS = 0x27
OUT_X_L, OUT_Z_H = 0x28, 0x2D
FIFO_CTRL, FIFO_SAMPLES = 0x2E, 0x2F
TAP_THS_X = 0x30
WAKE_UP_THS, WAKE_UP_DUR, FREE_FALL = 0x34, 0x35, 0x36
WAKE_UP_SRC, SIXD_SRC, ALL_INT_SRC = 0x38, 0x3A, 0x3B
CTRL7 = 0x3F
WRITABLE = frozenset({*range(CTRL1, CTRL6 + 1), FIFO_CTRL, *range(TAP_THS_X, 0x37), 0x3C, 0x3D})
WRITABLE |= {0x3E, CTRL7}

IF_ADD_INC, BOOT, SOFT_RESET = 0x04, 0x80, 0x40
RESET = {CTRL2: IF_ADD_INC}

ST, ST_POSITIVE, ST_NEGATIVE = 0xC0, 0x40, 0x80
PP_OD, LIR, H_LACTIVE = 0x20, 0x10, 0x08
INT1_6D, INT1_WU, INT1_FF, INT1_DIFF5, INT1_FTH, INT1_DRDY = 0x80, 0x20, 0x10, 0x04, 0x02, 0x01
TRIGGERS = INT1_6D | INT1_WU | INT1_FF
"""Signals that trigger the FIFO when they are routed to INT1."""
INTERRUPTS_ENABLE, USR_OFF_ON_WU = 0x20, 0x08
ALL_6D_IA, ALL_WU_IA, ALL_FF_IA = 0x10, 0x02, 0x01

BYPASS, FIFO, CONTINUOUS_TO_FIFO, BYPASS_TO_CONTINUOUS, CONTINUOUS = 0, 1, 3, 4, 6

DIGIT_MG = 0.244
"""Sensitivity in mg per digit at +-2 g and 14 bits; proportional to the full scale."""
FREE_FALL_G = [n * 0.03125 for n in (5, 7, 8, 10, 11, 13, 15, 16)]
LONGEST_DURATION = 63
_HERTZ = (0, 12.5, 12.5, 25, 50, 100, 200, 400, 800, 1600)
_LOW_POWER, _HIGH_PERFORMANCE = 0, 1
# Noise in low-power modes 1 to 4 in mg RMS, and in high-performance mode as 90 ug/sqrt(Hz).
_NOISE_MG = (4.5, 2.4, 1.8, 1.3)
_NOISE_HIGH_PERFORMANCE_MG = 0.09
# Threshold angles of 80, 70, 60 and 50 degrees, as the sine.
_FACE_G = (0.985, 0.940, 0.866, 0.766)


def hertz(ctrl1: int) -> float:
    """Return the output data rate in Hz; 0 in power-down and for modes that are not modelled."""
    code, mode = ctrl1 >> 4, ctrl1 >> 2 & 3
    if code >= len(_HERTZ) or mode > _HIGH_PERFORMANCE:
        return 0
    if mode == _LOW_POWER:
        return 1.6 if code == 1 else min(_HERTZ[code], 200)
    return _HERTZ[code]


def is_twelve_bits(ctrl1: int) -> bool:
    """Return whether the mode is low-power mode 1, the only one with 12 instead of 14 bits."""
    return not ctrl1 & 0x0F


def is_high_performance(ctrl1: int) -> bool:
    """Return whether the mode is high-performance and not one of the low-power modes."""
    return ctrl1 >> 2 & 3 == _HIGH_PERFORMANCE


def noise_mg(ctrl1: int) -> float:
    """Return the noise of one sample, mg RMS."""
    if is_high_performance(ctrl1):
        return _NOISE_HIGH_PERFORMANCE_MG * math.sqrt(hertz(ctrl1) / 2)
    return _NOISE_MG[ctrl1 & 3]


def full_scale_g(ctrl6: int) -> int:
    """Return the full scale in g: 2, 4, 8 or 16."""
    return 2 << (ctrl6 >> 4 & 3)


def status(sources: int) -> int:
    """Return STATUS for the sources of ALL_INT_SRC."""
    return (
        (0x40 if sources & ALL_WU_IA else 0)
        | (0x04 if sources & ALL_6D_IA else 0)
        | (0x02 if sources & ALL_FF_IA else 0)
    )


def wake_up_source(sources: int) -> int:
    """Return the flags of WAKE_UP_SRC for the sources of ALL_INT_SRC."""
    return (0x20 if sources & ALL_FF_IA else 0) | (0x08 if sources & ALL_WU_IA else 0)


def face(g: Sequence[float], tap_ths_x: int) -> int:
    """Return the bits XL, XH, YL, YH, ZL, ZH of SIXD_SRC: the axes beyond the threshold."""
    threshold = _FACE_G[tap_ths_x >> 5 & 3]
    bits = 0
    for axis, value in enumerate(g):
        if abs(value) > threshold:
            bits |= (2 if value > 0 else 1) << 2 * axis
    return bits
