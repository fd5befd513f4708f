"""Alarm rules, judged sample by sample: a deterministic fold over the log.

Time. A sample stands for the time until the next sample of the same boot, but for at most 1.5
times the sampling interval (3 * interval // 2 seconds, with the interval between the two samples).
The rest is a gap. Time without a reading and the time between two boots are gaps as well. A gap
adds no time and ends nothing. The time of a sample is known when the next sample arrives, so the
latest sample does not count yet.

A *run* begins with a reading beyond the threshold and lasts until a reading is back within the
limit by the hysteresis. Readings between the threshold and the hysteresis belong to the run, but
their time does not count as beyond.

A run becomes a *breach*, with a start and an end, at the first sample at which
  instant      the run exists, which is its first reading;
  consecutive  the time beyond the threshold in this run has reached the delay;
  cumulative   the time beyond the threshold since the reset of the engine has reached the
               delay; every later run is then a breach from its first reading on.

The reading that ends a run also adds the time of the sample before it. If that time completes the
delay, the breach starts and ends at the same sample.

A *trend* breach begins when the reading is expected to cross the threshold within the notice, and
ends when this is no longer expected (see trend.py). The threshold itself need not be crossed.

A breach also ends when its sensor is lost, and at the end of the shipment. A run that is not yet a
breach continues when the sensor is lost, because a probe with intermittent faults must not hide an
excursion.

Sensor at the end of its range. There is no reading, but it is known to be above or below every
threshold. `judged` replaces it by the largest or smallest number of the contract, which no part
can measure and which the alarm record contains as well. Because a slope cannot be computed from
this number, a trend rule counts it neither as a reading nor as the loss of the sensor.

Rules on events (channels 8 and 9: shock, free fall) are instant and do not depend on samples. An
event beyond the threshold is a breach that starts and ends with the event.

An alarm is latched until it is acknowledged after its end, or until the next shipment begins.
"""

from micropython import const

from coldtrail.judging.trend import Trend

# Constants of records.py, repeated so that the compiler can inline them.
_INSTANT = const(1)
_CONSECUTIVE = const(2)
_CUMULATIVE = const(3)
_TREND = const(4)

_BACK_WITHIN = const(1)
_SENSOR_LOST = const(2)
_SHIPMENT_STOPPED = const(3)
_RULES_REPLACED = const(4)

# Indices into the state of a rule, a list of integers.
_FLAGS = const(0)
_BEYOND = const(1)  # seconds counted as beyond in this run
_TOTAL = const(2)  # seconds counted as beyond since the reset
_LATEST = const(3)  # latest reading beyond the threshold
_MINIMUM = const(4)  # of the readings of this run
_MAXIMUM = const(5)
_SIZE = const(6)

_RUN = const(1)  # a run is active
_OUT = const(2)  # the latest sample was beyond the threshold
_BREACH = const(4)  # the run is a breach
_LATCHED = const(8)  # there is or was a breach that has not been acknowledged

_EVENTS = const(8)  # the first channel of events

# Constants of records.py, repeated so that the compiler can inline them.
_ABOVE_RANGE = const(14)

_BEYOND_RANGE = const(16777215)  # what a value above or below the range is judged as


def judged(status, values):
    """Return the readings of 8 channels with sensors at the end of their range replaced."""
    if not status & 0xFFFFF:
        return values
    values = list(values)
    for sensor in range(5):
        code = status >> 4 * sensor & 15
        if code >= _ABOVE_RANGE:
            # Probe, ambient and battery have the number of their channel, light has channel 3. The
            # accelerometer never reports this: it reads the end of its range.
            channel = sensor + (sensor == 2)
            values[channel] = _BEYOND_RANGE if code == _ABOVE_RANGE else -_BEYOND_RANGE
    return values


class Engine:
    """Judges samples by rules.

    A rule is a tuple (id, kind, channel, comparison, threshold, duration, hysteresis, window), as
    `rule` in uplink.cddl.

    A change is one of two tuples. ("start", rule index, reading beyond the threshold, seconds, t):
    seconds is the time beyond so far, for a trend rule the time to breach. ("end", rule index,
    cause, minimum, maximum, seconds beyond, t): minimum and maximum of the readings of the breach.

    ``states``: one list for each rule. Its first item has flags (4: the run is a breach; 8:
    latched).
    """

    def __init__(self, rules):
        self.rules = rules
        self.reset()

    def reset(self):
        """Start a shipment: clear alarms, totals and history."""
        self.before = False  # an unacknowledged alarm from the log, possibly of other rules
        self._t = None
        self.states = [[0] * _SIZE for _ in self.rules]
        self._trends = {}  # by rule index
        for index, rule in enumerate(self.rules):
            if rule[1] == _TREND:
                self._trends[index] = Trend(rule[4], rule[3] > 2, rule[5], rule[7])

    def restart(self, passed=None):
        """Start a boot: the time before it is a gap, and trends lose their history.

        passed: seconds between the zero of the last boot's times and that of this boot's times, if
        the counter of the chip continued to run; trends then keep their history.
        """
        self._t = None
        for trend in self._trends.values():
            if passed is None:
                trend.restart()
            else:
                trend.shift(passed)

    def acknowledge(self):
        """Acknowledge the breaches that have ended; an active breach stays latched."""
        self.before = self.standing
        for state in self.states:
            if not state[_FLAGS] & _BREACH:
                state[_FLAGS] &= ~_LATCHED

    def within(self, values):
        """Return whether every channel with a rule has a reading, and none is beyond."""
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
        """Judge the readings from `judged` (integers, or None) and return the changes.

        t: seconds since boot, ascending. interval: sampling interval since the previous sample, in
        seconds.
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
        """End every run, because of the end of the shipment or ``cause``; return the changes."""
        changes = []
        for index in range(len(self.rules)):
            self._end(index, cause, t, changes)
        return changes

    @property
    def alarmed(self):
        """True when a breach is active or has not been acknowledged."""
        return self.before or any(state[_FLAGS] & _LATCHED for state in self.states)

    @property
    def standing(self):
        """True while a breach is active."""
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
        """Restore the state that save() returned.

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
    """Return how far ``value`` is beyond the threshold; above 0 means beyond.

    An inclusive comparison (even code) begins one unit earlier.
    """
    comparison, threshold = rule[3], rule[4]
    excess = value - threshold if comparison > 2 else threshold - value
    return excess + 1 - comparison % 2
