"""The records that begin a boot and a shipment, and end a shipment; imported for them alone."""

from coldtrail import VERSION
from coldtrail import records as r
from drivers import forget


def boot(port, recorder, events):
    """Begin the boot that the recorder knows of; ``events`` is the detector's memory."""
    state, profile = recorder.state, recorder.profile
    # What the last boot left counts from another zero: it goes into a block of its own.
    if state.configured == profile.digest:
        recorder.settle()
    recorder.seal()
    cause, rtc = recorder.boot
    if state.taken and cause == r.OTHER:
        cause = r.COMMANDED  # ports differ in what they call a reset by the program
    recorder.record(r.BOOT, [0, state.boot + 1, cause, rtc, VERSION])
    recorder.boot = []
    t = port.since_boot(state.boot_rtc)[0]
    recorder.record(r.CONFIGURATION, [t, profile.name, profile.digest])
    foreign = recorder.log.unknown > 0
    if foreign != state.stands(r.SUBJECT_LOG, r.OTHER_VERSION):
        recorder.record(r.FAULT, [t, r.SUBJECT_LOG, r.OTHER_VERSION, int(foreign)])
    from coldtrail import detector

    detector.begin(recorder, events, t)
    if state.taken:
        from coldtrail import commands

        commands.conclude(recorder, t, False, True)
        del commands
    del detector
    forget("coldtrail.commands", "coldtrail.detector")


def begin(recorder, t):
    """Begin the shipment that the identity names, unless it has begun already."""
    state, shipment = recorder.state, recorder.identity.shipment
    # One that a command has replaced does not begin again once that is over.
    if shipment not in (None, state.stopped, state.shipment, state.provisioned):
        start(recorder, t, shipment)


def start(recorder, t, shipment):
    """Begin a shipment; one that is under way ends."""
    if recorder.state.shipment is not None:
        stop(recorder, t, r.BY_OTHER_SHIPMENT)
    recorder.seal()
    recorder.record(r.SHIPMENT_START, [t, shipment])


def calibrations(recorder, t, entries):
    """Record under which calibrations this boot measures (see calibration.py)."""
    for entry in entries:
        recorder.record(r.CALIBRATION, [t] + entry)


def stop(recorder, t, cause):
    """End the shipment under way: ``cause`` as in ``records``. Its last block is sealed."""
    recorder.say_lost(t)
    recorder.record(r.SHIPMENT_STOP, [t, recorder.state.shipment, cause])
    recorder.settle()
    recorder.seal()
