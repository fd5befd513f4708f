"""Takes one sample: every fitted sensor once, absent values with the status that says why."""

from micropython import const

from drivers.fault import BUS_STUCK, VALUE_STUCK, SensorFault

CHANNELS = 8
OVERDUE = const(1 << 20)  # status: a calibration is past its due date

# Sensor number (its place in the status, four bits each), name at the port, channels.
SENSORS = (
    (0, "probe", (0,)),
    (1, "ambient", (1, 2)),
    (2, "light", (3,)),
    (3, "accelerometer", (5, 6, 7)),
    (4, "battery", (4,)),
)

# So many readings in a row that agree in every bit are no measurement. Each driver whose noise
# makes that impossible offers the bits as ``raw``; figures in README.md.
STUCK = const(16)

# 0.01 degC. The probe's converter has no checksum. What it reads is repeated at once where it
# differs by more than this from the reading before, and of the two the nearer one counts. A
# conversion takes 0.1 s. Within that even a bare element in moving air (63 % of a step in 4 s at
# the fastest), taken from a box at 5 degC into a yard at 40 degC, moves by 0.9 degC: two in a row
# that are further apart are not both a temperature. The payload itself, minutes slow, moves by
# 0.1 degC between samples a minute apart, and the noise, 0.1 degC, differs by 0.7 degC at five
# sigma: so it costs a conversion where something happens, and nothing where nothing does.
_JUMP = const(100)

# From memories.py, so that the compiler puts them in place.
_REPEATS_LAST = const(10)
_REPEATS_REPEATED = const(11)


def repeats():
    """Return the memory that ``read`` wants: the raw reading of each sensor, how often it came.

    And what ``_probe`` remembers.
    """
    return [0] * (2 * len(SENSORS)) + [None, None]


def read(port, memory):
    """Measure and return [status, raw value of channel 0 ... 7], None for a value that is absent.

    ``port.sensor(name)`` gives a driver with ``measure()`` (an integer, or a tuple of integers
    for consecutive channels, in the channels' units) or None where none is fitted. One sensor's
    fault leaves the others alone.
    """
    status = 0
    memory[_REPEATS_REPEATED] = None
    values = [None] * CHANNELS
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
        # A call needs the memory for other things.
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
    """Measure the payload; what does not fit the reading before has to be confirmed."""
    last, memory[_REPEATS_LAST] = memory[_REPEATS_LAST], None
    if last is None:
        last = driver.measure()
    try:
        reading = driver.measure()
    except SensorFault:
        reading = None  # one conversion that fails is no more believed than one that jumps
    if reading is None or abs(reading - last) > _JUMP:
        again = driver.measure()
        if reading is not None and abs(reading - last) < abs(again - last):
            reading, again = again, reading
        memory[_REPEATS_REPEATED], reading = reading, again
    memory[_REPEATS_LAST] = reading
    return reading


def _watch(memory, at, raw):
    """Raise SensorFault when ``raw`` has come too often in a row."""
    if raw is None:
        return
    memory[at + 1] = memory[at + 1] + 1 if raw == memory[at] else 1
    memory[at] = raw
    if memory[at + 1] >= STUCK:
        memory[at + 1] = STUCK
        raise SensorFault(VALUE_STUCK)


def sample(port, memory, tables):
    """Measure as ``read`` does, and correct by ``tables`` (see calibration.py)."""
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
    """Yield (sensor number, code) for every sensor; code 0 means that it gave a reading."""
    for number, _, _ in SENSORS:
        yield number, status >> 4 * number & 15
