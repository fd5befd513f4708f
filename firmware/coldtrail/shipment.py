"""The records that begin a boot and a shipment, and end a shipment; imported for them alone."""

from micropython import const

from coldtrail import VERSION
from memory import forget

# From records.py, so that the compiler puts them in place.
_BOOT = const(3)
_CONFIGURATION = const(7)
_SHIPMENT_START = const(10)
_SHIPMENT_STOP = const(11)
_FAULT = const(13)
_CALIBRATION = const(16)
_COMMANDED = const(4)
_OTHER = const(5)
_BY_OTHER_SHIPMENT = const(4)
_SUBJECT_LOG = const(5)
_OTHER_VERSION = const(9)


def resume(port, recorder, events, calibrations):
    """Record what has begun, now that the log has room; return by how much the clock has moved.

    This is the boot if there was one, the end of the full log, and the shipment. ``calibrations``
    are those of this boot, as calibration.py has loaded them. ``events`` is that of ``boot``.
    """

    def now():
        return port.since_boot(recorder.state.boot_rtc)[0]

    before, booted = now(), recorder.boot
    if booted:
        boot(port, recorder, events)
    moved = now() - before
    recorder.resume(now())
    begin(recorder, now())
    if booted:
        t = now()
        for entry in calibrations:
            recorder.record(_CALIBRATION, [t] + entry)
    return moved


def boot(port, recorder, events):
    """Begin the boot that the recorder knows of; ``events`` is the detector's memory."""
    state, profile = recorder.state, recorder.profile
    # Records of the last boot count from another zero, so they need a block of their own.
    if state.configured == profile.digest:
        recorder.settle()
    recorder.seal()
    cause, rtc = recorder.boot
    if state.taken and cause == _OTHER:
        cause = _COMMANDED  # ports report a reset by the program in different ways
    recorder.record(_BOOT, [0, state.boot + 1, cause, rtc, VERSION])
    recorder.boot = []
    t = port.since_boot(state.boot_rtc)[0]
    recorder.record(_CONFIGURATION, [t, profile.name, profile.digest])
    foreign = recorder.log.unknown > 0
    if foreign != state.stands(_SUBJECT_LOG, _OTHER_VERSION):
        recorder.record(_FAULT, [t, _SUBJECT_LOG, _OTHER_VERSION, int(foreign)])
    from coldtrail.sensing import detector

    detector.begin(recorder, events, t)
    if state.taken:
        from coldtrail import outcome

        outcome.conclude(recorder, t, False, True)
        del outcome
    del detector
    forget("coldtrail", "outcome")
    forget("coldtrail.sensing", "detector")


def begin(recorder, t):
    """Begin the shipment that the identity names, unless it has begun already."""
    state, shipment = recorder.state, recorder.identity.shipment
    # A shipment that a command has replaced does not begin again when the other one is over.
    if shipment not in (None, state.stopped, state.shipment, state.provisioned):
        start(recorder, t, shipment)


def start(recorder, t, shipment):
    """Begin a shipment; one that is under way ends."""
    if recorder.state.shipment is not None:
        stop(recorder, t, _BY_OTHER_SHIPMENT)
    recorder.seal()
    recorder.record(_SHIPMENT_START, [t, shipment])


def stop(recorder, t, cause):
    """End the shipment under way: ``cause`` as in ``records``. Its last block is sealed."""
    recorder.record_gap(t)
    recorder.record(_SHIPMENT_STOP, [t, recorder.state.shipment, cause])
    recorder.settle()
    recorder.seal()
