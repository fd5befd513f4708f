"""Orientation and vibration of a LIS2DW12, from the samples in its FIFO.

This is a separate module because only a tracker that detects a take-off needs it.

    accelerometer.arm()                 # the FIFO collects 200 samples a second
    x, y, z, variance = lis2dw12_motion.read(accelerometer)
"""

from micropython import const

from drivers.fault import SensorFault
from drivers.lis2dw12 import mg

_STATUS = const(0x27)
_OUT_X_L = const(0x28)
_FIFO_SAMPLES = const(0x2F)
_STATUS_EVENTS = const(0x42)
_ENOUGH = const(16)


def read(sensor):
    """Return (x, y, z, variance) over at most the last 160 ms, or None without usable samples.

    x, y, z: the mean of each axis in mg. variance: the sum of the variances of the three axes in
    mg^2. A sensor fault also gives None.
    """
    try:
        count = sensor.read(_FIFO_SAMPLES, 1)[0] & 0x3F
        if count < _ENOUGH or sensor.read(_STATUS, 1)[0] & _STATUS_EVENTS:
            return None  # just emptied, or frozen by an event
        data = sensor.read(_OUT_X_L, 6 * count)
    except SensorFault:
        return None
    means, variance = [], 0
    for axis in (0, 2, 4):
        values = [mg(data[i], data[i + 1]) for i in range(axis, len(data), 6)]
        mean = sum(values) // count
        means.append(mean)
        variance += sum([(value - mean) * (value - mean) for value in values]) // count
    return tuple(means) + (variance,)
