"""One sample: measured, recorded, judged. Imported for it, and given back for the next call."""

from micropython import const

from coldtrail.judging.alarms import judged
from coldtrail.sensing import sampler

# From records.py, so that the compiler puts them in place.
_SAMPLE = const(1)
_FAULT = const(13)
_SHOCK = const(14)
_FREE_FALL = const(15)
_REPEATED = const(21)
_CHANNEL_PAYLOAD = const(0)
_SUBJECT_LIGHT = const(2)
_SUBJECT_ACCELEROMETER = const(3)
_SUBJECT_CLOCK = const(7)
_NO_SYNC = const(1)
_STORM = const(12)

_CLOCK_LOST_S = const(6 * 3600)

# Of the detector's and the sampler's memories what is looked at here; from memories.py.
_EVENTS_OPEN = const(0)
_EVENTS_LIMIT = const(1)
_EVENTS_TO_ARM = const(2)
_REPEATS_REPEATED = const(11)


def take(tracker):
    """Take a sample now, with what it shows of faults, alarms and motion."""
    state, recorder = tracker.state, tracker.recorder
    urgent = state.urgent
    if state.oldest is not None and state.leading != state.interval:
        recorder.seal()  # the samples of a block share one interval
    t = tracker.rounded_now()
    reading = sampler.sample(tracker.port, tracker.repeats, tracker.corrections)
    if tracker.is_overdue(t):
        reading[0] |= sampler.OVERDUE
    repeated = tracker.repeats[_REPEATS_REPEATED]
    if repeated is not None:
        recorder.record(_REPEATED, [t, _CHANNEL_PAYLOAD, repeated])
    recorder.record(_SAMPLE, [t] + reading)
    recorder.settle()
    for subject, code in sampler.faults(reading[0]):
        for fault in list(state.faults):
            # A storm is the detector's, and no reading ends it.
            if fault >> 4 == subject and fault & 15 not in (code, _STORM):
                recorder.record(_FAULT, [t, subject, fault & 15, 0])
                if subject in (_SUBJECT_LIGHT, _SUBJECT_ACCELEROMETER):
                    tracker.events[_EVENTS_TO_ARM] |= subject - 1
        if code:
            _record_fault(recorder, t, subject, code, True)
    lost = state.sync is None and t >= _CLOCK_LOST_S
    if lost or state.sync is not None:
        _record_fault(recorder, t, _SUBJECT_CLOCK, _NO_SYNC, lost)
    _lit(tracker.events, judged(reading[0], reading[1:])[3])
    record_motion(tracker, t)
    tracker.port.release_all()
    if state.urgent and not urgent:
        # What is new does not wait because what was old failed.
        tracker.failures = tracker.not_before = 0


def _record_fault(recorder, t, subject, code, on):
    """Record a fault's start or end, once."""
    if on != recorder.state.stands(subject, code):
        recorder.record(_FAULT, [t, subject, code, int(on)])


def record_motion(tracker, t):
    """Record the shock, the free fall or both that the accelerometer found at its sample."""
    accelerometer, recorder = tracker.port.kept("accelerometer"), tracker.recorder
    if accelerometer is None:
        return
    peak, fall_ms = accelerometer.pending
    if fall_ms:
        recorder.record(_FREE_FALL, [t, fall_ms])
    if peak is not None:
        recorder.record(_SHOCK, [t] + list(peak))
    recorder.settle()


def _lit(events, light):
    """Take the light of a sample: the box may have been opened or closed unnoticed."""
    is_open, limit = events[_EVENTS_OPEN], events[_EVENTS_LIMIT]
    if light is None or not limit:
        return
    if is_open != (light >= limit or (is_open and 2 * light >= limit)):
        events[_EVENTS_OPEN] ^= 1
        events[_EVENTS_TO_ARM] |= 1
