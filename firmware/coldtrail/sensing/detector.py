"""What happens between samples: the box is opened, shaken, dropped.

Light and accelerometer wake the tracker by their interrupt lines and keep what they saw until it
is fetched. Each may do so 12 times an hour. Then it is masked until that hour is over, so that a
loose lamp or a rattling lorry costs a known amount of energy: fault 12, its start and its end.

Imported when there is something to do, and given back. What stays is ``memory``, a list of
integers, in the RTC memory during deep sleep.
"""

from micropython import const

from drivers.fault import SensorFault

# From records.py, so that the compiler puts them in place.
_FAULT = const(13)
_STORM = const(12)
_CHANNEL_LIGHT = const(3)
_CHANNEL_SHOCK = const(8)

_BUDGET = const(12)
_HOUR_S = const(3600)
_USUAL_SHOCK_MG = const(4000)  # where the profile has no rule on shocks

# Sources: bits at the port. Their subjects (of faults) are 2 and 3.
LIGHT = const(1)
MOTION = const(2)
_SOURCES = (LIGHT, MOTION)

# Memory; from memories.py.
_EVENTS_OPEN = const(0)
_EVENTS_LIMIT = const(1)
_EVENTS_TO_ARM = const(2)
_EVENTS_ARMED = const(3)
_EVENTS_MASKED = const(4)
_EVENTS_HOURS = const(4)
_EVENTS_SIZE = const(9)


def begin(recorder, memory, t):
    """Begin anew after a boot, which lets every source in again."""
    memory[:] = [0] * _EVENTS_SIZE
    memory[_EVENTS_TO_ARM] = LIGHT | MOTION
    for source in _SOURCES:
        if 16 * (source + 1) + _STORM in recorder.state.faults:
            recorder.record(_FAULT, [t, source + 1, _STORM, 0])


def arm(port, profile, memory, later=0):
    """Arm the sources that are to be armed, but those in ``later``, as the profile wants it."""
    memory[_EVENTS_LIMIT] = _limit(profile.rules, _CHANNEL_LIGHT)
    for source in _SOURCES:
        if not memory[_EVENTS_TO_ARM] & source or later & source:
            continue
        try:
            if _arm(port, profile, memory, source):
                memory[_EVENTS_ARMED] |= source
        except SensorFault:
            continue  # its sample says so; the next wake tries again
        memory[_EVENTS_TO_ARM] &= ~source


def _arm(port, profile, memory, source):
    """Arm a source; return whether it may wake the tracker now."""
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
    """Let nothing but clock and button wake the tracker: there is no shipment."""
    memory[_EVENTS_ARMED] = memory[_EVENTS_OPEN] = 0
    memory[_EVENTS_TO_ARM] = LIGHT | MOTION  # when there is one again
    for name in ("light", "accelerometer"):
        driver = port.sensor(name)
        if driver:
            try:
                driver.arm()
            except SensorFault:
                pass  # nobody listens


def look(port, recorder, memory, seen, t):
    """Count what the sources in ``seen`` have latched; return whether to take a sample for it.

    Also lets those in again whose hour is over. ``t``: now.
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
    # What the accelerometer has seen is fetched with the sample, and arming anew would clear it.
    arm(port, recorder.profile, memory, seen & MOTION)
    return sample


def _limit(rules, channel):
    """Return the least reading beyond a rule on a channel, 0 when there is no such rule."""
    limits = [rule[4] + rule[3] % 2 for rule in rules if rule[2] == channel and rule[3] > 2]
    return min(limits) if limits else 0
