"""Takes one sample: every fitted sensor once, absent values with the status that says why."""

from drivers.fault import SensorFault

CHANNELS = 8

# Sensor number (its place in the status, four bits each), name at the port, channels.
SENSORS = (
    (0, "probe", (0,)),
    (1, "ambient", (1, 2)),
    (2, "light", (3,)),
    (3, "accelerometer", (5, 6, 7)),
    (4, "battery", (4,)),
)


def missing(required, fitted):
    """Return those of the channels in ``required`` that no sensor in ``fitted`` measures."""
    for _, name, channels in SENSORS:
        if name in fitted:
            required = [channel for channel in required if channel not in channels]
    return list(required)


def sample(port):
    """Measure and return [status, value of channel 0 ... 7], None for a value that is absent.

    ``port.sensor(name)`` gives a driver with ``measure()`` (an integer, or a tuple of integers
    for consecutive channels, in the channels' units) or None where none is fitted. One sensor's
    fault leaves the others alone.
    """
    status = 0
    values = [None] * CHANNELS
    for number, name, channels in SENSORS:
        driver = port.sensor(name)
        if driver is None:
            continue
        try:
            reading = driver.measure()
        except SensorFault as fault:
            status |= fault.code << 4 * number
            reading = ()
        if not isinstance(reading, tuple):
            reading = (reading,)
        for channel, value in zip(channels, reading):
            values[channel] = value
        # A call needs the memory for other things.
        driver = None
        port.release(name)
    return [status] + values


def faults(status):
    """Yield (sensor number, code) for every sensor; code 0 means that it gave a reading."""
    for number, _, _ in SENSORS:
        yield number, status >> 4 * number & 15
