"""Takes one sample: every fitted sensor once, absent values with the status that says why."""

from drivers.fault import SensorFault

CHANNELS = 8

# Sensor number (its place in the status, four bits each), name at the port, first channel.
SENSORS = ((0, "probe", 0), (1, "ambient", 1), (4, "battery", 4))


def sample(port):
    """Measure and return [status, value of channel 0 ... 7], None for a value that is absent.

    ``port.sensor(name)`` gives a driver with ``measure()`` (an integer, or a tuple of integers
    for consecutive channels, in the channels' units) or None where none is fitted. One sensor's
    fault leaves the others alone.
    """
    status = 0
    values = [None] * CHANNELS
    for number, name, channel in SENSORS:
        driver = port.sensor(name)
        if driver is None:
            continue
        try:
            reading = driver.measure()
        except SensorFault as fault:
            status |= fault.code << 4 * number
            continue
        if isinstance(reading, tuple):
            for value in reading:
                values[channel] = value
                channel += 1
        else:
            values[channel] = reading
    return [status] + values


def faults(status):
    """Yield (sensor number, code) for every sensor; code 0 means that it gave a reading."""
    for number, _, _ in SENSORS:
        yield number, status >> 4 * number & 15
