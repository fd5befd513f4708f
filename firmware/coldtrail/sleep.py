"""Passes a wake's memory to the next one, and sleeps; imported at the begin and end of a wake."""

from micropython import const

import board

# From memories.py, so that the compiler puts them in place.
_EVENTS_TO_ARM = const(2)
_EVENTS_ARMED = const(3)

_FLIGHT_S = const(600)  # the tracker checks for a landing at least this often

_SOURCES = const(((1, "light"), (2, "accelerometer")))  # the detector's

# Attributes of the tracker that are kept, beside what the recorder keeps.
_KEPT = "failures not_before attempted radio events repeats motion test".split()


def restore(tracker):
    """Restore what the last wake has kept for the tracker, if there is anything."""
    for name, value in zip(_KEPT, tracker.recorder.extra or ()):
        setattr(tracker, name, value)


def arm(tracker):
    """Arm the sensors' interrupts that are needed; none without a shipment."""
    events = tracker.events
    stopped = tracker.wait_s() is None
    if events[_EVENTS_ARMED] if stopped else events[_EVENTS_TO_ARM]:
        from coldtrail.sensing import detector

        if stopped:
            detector.disarm(tracker.port, events)
        else:
            detector.arm(tracker.port, tracker.recorder.profile, events)


def sleep(tracker):
    """Keep what the next wake needs and sleep until its sample or call, or the button."""
    port, recorder, state = tracker.port, tracker.recorder, tracker.state
    wait = tracker.wait_s()
    sooner = None
    if state.flight:
        sooner = _FLIGHT_S
    elif getattr(board, "MODEM", None) and (state.urgent or tracker.retries()):
        sooner = tracker.not_before - tracker.now()
    if wait is None or (sooner is not None and sooner < wait):
        wait = sooner
    if tracker.test:
        wait = 0
    arm(tracker)
    ms = port.since_boot(state.boot_rtc)[1]
    recorder.extra = [getattr(tracker, name) for name in _KEPT]
    port.retain(recorder.retain())
    armed = tracker.events[_EVENTS_ARMED]
    masked = [name for bit, name in _SOURCES if not armed & bit]
    port.deep_sleep(None if wait is None else max(0, wait * 1000 - ms), masked)
