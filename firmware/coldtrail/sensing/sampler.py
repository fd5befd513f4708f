"""Takes one sample of every fitted sensor; a status gives the reason for an absent value."""

from micropython import const

from drivers.fault import BUS_STUCK, VALUE_STUCK, SensorFault

_CHANNELS = const(8)
OVERDUE = const(1 << 20)  # status bit: a calibration is past its due date

# Sensor number (its position in the status, four bits each), name at the port, channels.
SENSORS = (
    (0, "probe", (0,)),
    (1, "ambient", (1, 2)),
    (2, "light", (3,)),
    (3, "accelerometer", (5, 6, 7)),
    (4, "battery", (4,)),
)

# So many bit-identical readings in a row mark a noisy sensor as stuck. A driver offers the bits as
# ``raw`` if noise makes such a run impossible; README.md has the figures.
STUCK = const(16)

# 0.01 degC. The converter of the probe has no checksum. A reading that differs by more than this
# from the one before is repeated at once, and the nearer one of the two is used. A conversion
# takes 0.1 s. Even a bare element in moving air (63 % of a step in 4 s at the fastest) that is
# moved from a box at 5 degC into a yard at 40 degC changes by only 0.9 degC in that time. If two
# consecutive conversions differ by more, at most one of them is a temperature. The payload itself
# is slower: it changes by 0.1 degC between samples a minute apart. The noise of 0.1 degC gives a
# difference of 0.7 degC at five sigma. The repetition therefore costs a conversion only when the
# temperature really changes.
_JUMP = const(100)

# Constants of memories.py, repeated so that the compiler can inline them.
_REPEATS_LAST = const(10)
_REPEATS_REPEATED = const(11)


def read(port, memory):
    """Measure and return [status, raw value of channel 0 ... 7]; None for an absent value.

    ``port.sensor(name)`` gives a driver with ``measure()`` (an integer, or a tuple of integers for
    consecutive channels, in the units of the channels), or None when none is fitted. A fault of
    one sensor does not affect the others.

    ``memory``: what is known of the readings before, an empty list at first. For each sensor: its
    latest raw reading and how often it was repeated; then the state of ``_probe``.
    """
    status = 0
    if not memory:
        memory += [0] * (2 * len(SENSORS)) + [None, None]
    memory[_REPEATS_REPEATED] = None
    values = [None] * _CHANNELS
    for number, name, channels in SENSORS:
        driver = port.sensor(name)
        if driver is None:
            continue
        try:
            reading = _measure(port, driver) if number else _probe(driver, memory)
            _watch(memory, 2 * number, getattr(driver, "raw", None))
        except SensorFault as fault:
            status |= fault.code << 4 * number
            reading = ()
        if not isinstance(reading, tuple):
            reading = (reading,)
        for channel, value in zip(channels, reading):
            values[channel] = value
        # Free the memory, which a call needs.
        driver = None
        port.release(name)
    return [status] + values


def _measure(port, driver):
    try:
        return driver.measure()
    except SensorFault as fault:
        if fault.code != BUS_STUCK:
            raise
    port.free_bus()
    return driver.measure()


def _probe(driver, memory):
    """Measure the payload; a reading far from the one before is confirmed by another."""
    last, memory[_REPEATS_LAST] = memory[_REPEATS_LAST], None
    if last is None:
        last = driver.measure()
    try:
        reading = driver.measure()
    except SensorFault:
        reading = None  # a failed conversion is repeated like one that jumps
    if reading is None or abs(reading - last) > _JUMP:
        again = driver.measure()
        if reading is not None and abs(reading - last) < abs(again - last):
            reading, again = again, reading
        memory[_REPEATS_REPEATED], reading = reading, again
    memory[_REPEATS_LAST] = reading
    return reading


def _watch(memory, at, raw):
    """Raise SensorFault when ``raw`` was identical too often in a row."""
    if raw is None:
        return
    memory[at + 1] = memory[at + 1] + 1 if raw == memory[at] else 1
    memory[at] = raw
    if memory[at + 1] >= STUCK:
        memory[at + 1] = STUCK
        raise SensorFault(VALUE_STUCK)


def sample(port, memory, tables):
    """Measure as ``read`` does, and correct by ``tables`` {channel: points} (calibration.py)."""
    reading = read(port, memory)
    if tables:
        from coldtrail.sensing.correction import corrected

        for channel, points in tables.items():
            raw = reading[1 + channel]
            if raw is not None:
                reading[1 + channel] = corrected(points, raw)
            if not channel and memory[_REPEATS_REPEATED] is not None:
                memory[_REPEATS_REPEATED] = corrected(points, memory[_REPEATS_REPEATED])
    return reading


def faults(status):
    """Yield (sensor number, code) for every sensor; code 0 means a valid reading."""
    for number, _, _ in SENSORS:
        yield number, status >> 4 * number & 15
