"""Events between samples: the box is opened, shaken or dropped.

The light sensor and the accelerometer wake the tracker by their interrupt lines and keep the event
until it is read. Each may do so 12 times an hour. Then it is masked for the rest of that hour, so
that a loose lamp or a vibrating lorry costs a limited amount of energy. Fault 12 records the start
and the end of this.

The module is imported when needed and then unloaded. Its state is ``memory``, a list of integers,
which is kept in the RTC memory during deep sleep.
"""

from micropython import const

from drivers.fault import SensorFault

# Constants of records.py, repeated so that the compiler can inline them.
_FAULT = const(13)
_STORM = const(12)
_CHANNEL_LIGHT = const(3)
_CHANNEL_SHOCK = const(8)

_BUDGET = const(12)
_HOUR_S = const(3600)
_USUAL_SHOCK_MG = const(4000)  # used when the profile has no rule on shocks

# Sources, as bits of the port. Their subjects in fault records are 2 and 3.
LIGHT = const(1)
MOTION = const(2)
_SOURCES = (LIGHT, MOTION)

# Indices into ``memory``, from memories.py.
_EVENTS_OPEN = const(0)
_EVENTS_LIMIT = const(1)
_EVENTS_TO_ARM = const(2)
_EVENTS_ARMED = const(3)
_EVENTS_MASKED = const(4)
_EVENTS_HOURS = const(4)
_EVENTS_SIZE = const(9)


def begin(recorder, memory, t):
    """Reset the memory after a boot; this unmasks every source."""
    memory[:] = [0] * _EVENTS_SIZE
    memory[_EVENTS_TO_ARM] = LIGHT | MOTION
    for source in _SOURCES:
        if 16 * (source + 1) + _STORM in recorder.state.faults:
            recorder.record(_FAULT, [t, source + 1, _STORM, 0])


def arm(port, profile, memory, later=0):
    """Arm the sources that need it, except those in ``later``, with the limits of the profile."""
    memory[_EVENTS_LIMIT] = _limit(profile.rules, _CHANNEL_LIGHT)
    for source in _SOURCES:
        if not memory[_EVENTS_TO_ARM] & source or later & source:
            continue
        try:
            if _arm(port, profile, memory, source):
                memory[_EVENTS_ARMED] |= source
        except SensorFault:
            continue  # the next sample reports it; the next wake tries again
        memory[_EVENTS_TO_ARM] &= ~source


def _arm(port, profile, memory, source):
    """Arm a source; return whether it may now wake the tracker."""
    driver = port.sensor("light" if source == LIGHT else "accelerometer")
    if driver is None:
        return False
    masked = memory[_EVENTS_MASKED] & source
    if source == MOTION:
        limit = _limit(profile.rules, _CHANNEL_SHOCK) or _USUAL_SHOCK_MG
        driver.arm(0 if masked else limit)
        return not masked
    if masked or not memory[_EVENTS_LIMIT]:
        driver.arm()
        return False
    if memory[_EVENTS_OPEN]:
        driver.arm(below=memory[_EVENTS_LIMIT] // 2)
    else:
        driver.arm(above=memory[_EVENTS_LIMIT] - 1)
    return True


def disarm(port, memory):
    """Disable the interrupts of both sources, because no shipment is active."""
    memory[_EVENTS_ARMED] = memory[_EVENTS_OPEN] = 0
    memory[_EVENTS_TO_ARM] = LIGHT | MOTION  # for the next shipment
    for name in ("light", "accelerometer"):
        driver = port.sensor(name)
        if driver:
            try:
                driver.arm()
            except SensorFault:
                pass  # without a shipment the fault does not matter


def look(port, recorder, memory, seen, t):
    """Count the events of the sources in ``seen``; return whether they need a sample.

    Also unmasks the sources whose hour is over. ``t``: now, in seconds since boot.
    """
    sample = False
    for source in _SOURCES:
        hour = _EVENTS_HOURS + 2 * source - 1
        if memory[_EVENTS_MASKED] & source and t - memory[hour] >= _HOUR_S:
            memory[_EVENTS_MASKED] &= ~source
            memory[_EVENTS_TO_ARM] |= source
            memory[hour + 1] = 0
            recorder.record(_FAULT, [t, source + 1, _STORM, 0])
        elif seen & source:
            sample = True
            memory[_EVENTS_TO_ARM] |= source
            if source == LIGHT:
                memory[_EVENTS_OPEN] ^= 1
            if not memory[hour + 1] or t - memory[hour] >= _HOUR_S:
                memory[hour], memory[hour + 1] = t, 0
            memory[hour + 1] += 1
            if memory[hour + 1] >= _BUDGET:
                memory[_EVENTS_MASKED] |= source
                memory[_EVENTS_ARMED] &= ~source
                recorder.record(_FAULT, [t, source + 1, _STORM, 1])
    # The accelerometer's event is read with the sample; arming it now would clear the event.
    arm(port, recorder.profile, memory, seen & MOTION)
    return sample


def _limit(rules, channel):
    """Return the smallest reading beyond a rule on a channel, 0 without such a rule."""
    limits = [rule[4] + rule[3] % 2 for rule in rules if rule[2] == channel and rule[3] > 2]
    return min(limits) if limits else 0
