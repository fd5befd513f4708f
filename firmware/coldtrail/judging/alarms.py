"""Alarm rules, judged sample by sample: a deterministic fold over the log.

What a sample stands for: the time until the next sample of the same boot, at most 1.5 times the
sampling interval in force between the two (3 * interval // 2 seconds). The rest is a gap, and so
is the time without a reading and the time between the last sample of a boot and the first of the
next: neither good nor bad, it adds nothing and it ends nothing. How long a sample stands is known
only when the next one arrives, so the latest sample has not counted yet.

A *run* begins with a reading beyond the threshold and lasts until a reading is back within, by the
hysteresis. Readings between the threshold and the hysteresis belong to the run; the time they
stand for does not count as beyond.

A run becomes a *breach*, with a start and an end, at the first sample at which
  instant      it exists: at its first reading;
  consecutive  the time known to be beyond in this run has reached the delay;
  cumulative   the time known to be beyond since the engine was reset has reached the delay, so
               that after the delay every further run is a breach from its first reading on.
A reading that is back within still makes known what its predecessor stood for: where this reaches
the delay exactly, the breach starts and ends at the same sample.

A *trend* breach begins when the threshold is expected to be met within the notice, and ends when
it no longer is (see trend.py); the threshold itself need never be met.

A breach also ends when its sensor is lost, and with the shipment. A run that is no breach yet
outlives a lost sensor: a probe that fails now and then must not hide what it shows in between.

A sensor that was at the end of its range has no reading, but it is known on which side of every
threshold it is: more than a part can tell is greater than all, less than it can tell is smaller.
`judged` puts the contract's outermost number there, which no part reads and which an alarm's
record names as such. A slope cannot be taken from it: to a trend it is neither a reading nor the
loss of its sensor.

Rules on events (channels 8 and 9: shock, free fall) are instant, and no sample bears on them: an
event beyond the threshold is a breach that starts and ends with it.

An alarm latches until it is acknowledged after its end, or another shipment begins.
"""

from micropython import const

from coldtrail.judging.trend import Trend

# From records.py, so that the compiler puts them in place.
_INSTANT = const(1)
_CONSECUTIVE = const(2)
_CUMULATIVE = const(3)
_TREND = const(4)

_BACK_WITHIN = const(1)
_SENSOR_LOST = const(2)
_SHIPMENT_STOPPED = const(3)
_RULES_REPLACED = const(4)

# State of a rule: a list of integers.
_FLAGS = const(0)
_BEYOND = const(1)  # s known to be beyond in this run
_TOTAL = const(2)  # s known to be beyond since the reset
_LATEST = const(3)  # latest reading that was beyond
_MINIMUM = const(4)  # of the readings of this run
_MAXIMUM = const(5)
_SIZE = const(6)

_RUN = const(1)  # a run is going on
_OUT = const(2)  # the latest sample was beyond
_BREACH = const(4)  # the run is a breach
_LATCHED = const(8)  # there is or was a breach that nobody has acknowledged

_EVENTS = const(8)  # channels from here on are those of events

# From records.py, so that the compiler puts them in place.
_ABOVE_RANGE = const(14)
_BEYOND_RANGE = const(16777215)


def judged(status, values):
    """Return the readings of a sample as they are judged; ``values``: of 8 channels."""
    if not status & 0xFFFFF:
        return values
    values = list(values)
    for sensor in range(5):
        code = status >> 4 * sensor & 15
        if code >= _ABOVE_RANGE:
            # Probe, ambient and battery have their own number, light has channel 3; the
            # accelerometer reads the end of its range.
            channel = sensor + (sensor == 2)
            values[channel] = _BEYOND_RANGE if code == _ABOVE_RANGE else -_BEYOND_RANGE
    return values


class Engine:
    """Judges samples by rules.

    A rule is a tuple (id, kind, channel, comparison, threshold, duration, hysteresis, window), as
    `rule` in uplink.cddl.

    A change is a tuple: ("start", index of the rule, reading that met it, seconds, t), where
    seconds is the time beyond so far (kind trend: the time to breach), or ("end", index, cause,
    minimum, maximum, seconds beyond, t) over the readings of the breach.

    ``states``: one list a rule, whose first item has flags (4: the run is a breach; 8: latched).
    """

    def __init__(self, rules):
        self.rules = rules
        self.reset()

    def reset(self):
        """Begin a shipment: no alarm, no totals, no history."""
        self.before = False  # an alarm of the log that nobody has acknowledged, by whatever rules
        self._t = None
        self.states = [[0] * _SIZE for _ in self.rules]
        self._trends = {}  # by index of the rule
        for index, rule in enumerate(self.rules):
            if rule[1] == _TREND:
                self._trends[index] = Trend(rule[4], rule[3] > 2, rule[5], rule[7])

    def restart(self, passed=None):
        """Begin a boot: it leaves a gap in what is counted, and in a trend all that was before.

        passed: seconds from the zero of the last boot's times to that of this one's, where the
        chip's counter ran on and so tells; the trends then go on.
        """
        self._t = None
        for trend in self._trends.values():
            if passed is None:
                trend.restart()
            else:
                trend.shift(passed)

    def acknowledge(self):
        """Take note that somebody has seen what is over; nobody has seen how what goes on ends."""
        self.before = self.standing
        for state in self.states:
            if not state[_FLAGS] & _BREACH:
                state[_FLAGS] &= ~_LATCHED

    def within(self, values):
        """Tell whether each reading that a rule wants is there, and none is beyond."""
        for rule in self.rules:
            if rule[2] < _EVENTS:
                value = values[rule[2]]
                if value is None or _excess(rule, value) > 0:
                    return False
        return True

    def event(self, t, channel, value):
        """Judge an event by the rules on its channel, 8 or 9, and return the changes."""
        changes: list = []
        for index, rule in enumerate(self.rules):
            if rule[2] == channel and _excess(rule, value) > 0:
                self.states[index][_FLAGS] |= _LATCHED
                changes.append(("start", index, value, 0, t))
                changes.append(("end", index, _BACK_WITHIN, value, value, 0, t))
        return changes

    def sample(self, t, interval, values):
        """Judge what `judged` returns (integers, None where absent) and return the changes.

        t: seconds since boot, ascending. interval: sampling interval in force since the previous
        sample, in seconds.
        """
        stood = 0 if self._t is None else min(t - self._t, 3 * interval // 2)
        self._t = t
        changes = []
        for index in range(len(self.rules)):
            channel = self.rules[index][2]
            if channel < _EVENTS:
                self._judge(index, t, stood, values[channel], changes)
        return changes

    def stop(self, t, cause=_SHIPMENT_STOPPED):
        """End every run, with the shipment or because of ``cause``. Return the changes."""
        changes = []
        for index in range(len(self.rules)):
            self._end(index, cause, t, changes)
        return changes

    @property
    def alarmed(self):
        """True when there is a breach, or was one that nobody has acknowledged."""
        return self.before or any(state[_FLAGS] & _LATCHED for state in self.states)

    @property
    def standing(self):
        """True while a breach is going on."""
        return any(state[_FLAGS] & _BREACH for state in self.states)

    def _judge(self, index, t, stood, value, changes):
        rule = self.rules[index]
        kind, duration = rule[1], rule[5]
        state = self.states[index]
        if state[_FLAGS] & _OUT:
            state[_BEYOND] += stood
            state[_TOTAL] += stood
            state[_FLAGS] &= ~_OUT
        trend = self._trends.get(index)
        within = False
        if value is not None:
            excess = _excess(rule, value)
            if trend:
                if abs(value) < _BEYOND_RANGE:
                    trend.add(t, value)
                begins = trend.near
                within = not begins
            else:
                begins = excess > 0
                within = excess + rule[6] <= 0
            if not state[_FLAGS] & _RUN and begins:
                state[_FLAGS] |= _RUN
                state[_MINIMUM] = state[_MAXIMUM] = state[_LATEST] = value
            if state[_FLAGS] & _RUN and not within:
                state[_MINIMUM] = min(state[_MINIMUM], value)
                state[_MAXIMUM] = max(state[_MAXIMUM], value)
                if excess > 0:
                    state[_FLAGS] |= _OUT
                    state[_LATEST] = value
        if state[_FLAGS] & (_RUN | _BREACH) == _RUN:
            seconds = state[_TOTAL if kind == _CUMULATIVE else _BEYOND]
            if kind == _INSTANT or trend or seconds >= duration:
                state[_FLAGS] |= _BREACH | _LATCHED
                seconds = trend.seconds if trend else seconds
                changes.append(("start", index, state[_LATEST], seconds, t))
        if within and state[_FLAGS] & _RUN:
            self._end(index, _BACK_WITHIN, t, changes)
        elif value is None and state[_FLAGS] & _BREACH:
            self._end(index, _SENSOR_LOST, t, changes)

    def _end(self, index, cause, t, changes):
        state = self.states[index]
        if state[_FLAGS] & _BREACH:
            changes.append(
                ("end", index, cause, state[_MINIMUM], state[_MAXIMUM], state[_BEYOND], t)
            )
        state[_FLAGS] &= _LATCHED
        state[_BEYOND] = state[_LATEST] = state[_MINIMUM] = state[_MAXIMUM] = 0
        if index in self._trends:
            self._trends[index].withdraw()

    def save(self):
        """Return the state as a list of integers, None and lists, for load()."""
        saved: list = [self._t, self.before]
        for index, state in enumerate(self.states):
            trend = self._trends.get(index)
            saved.append(state + trend.save() if trend else state[:])
        return saved

    def load(self, saved):
        """Take over what save() returned under the same rules.

        Raises ValueError when it was saved under other rules.
        """
        self.reset()
        if [len(old) for old in saved[2:]] != [len(own) for own in self.save()[2:]]:
            raise ValueError("the saved alarm state belongs to other rules.")
        self._t, self.before = saved[:2]
        for index, old in enumerate(saved[2:]):
            self.states[index] = old[:_SIZE]
            if index in self._trends:
                self._trends[index].load(old[_SIZE:])


def _excess(rule, value):
    """Return how far ``value`` is beyond: above 0 when it is.

    An inclusive comparison (even code) begins one unit earlier.
    """
    comparison, threshold = rule[3], rule[4]
    excess = value - threshold if comparison > 2 else threshold - value
    return excess + 1 - comparison % 2
