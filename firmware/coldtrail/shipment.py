"""The records that begin and end a shipment."""

from coldtrail import records as r


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


def stop(recorder, t, cause):
    """End the shipment under way: ``cause`` as in ``records``. Its last block is sealed."""
    recorder.say_lost(t)
    recorder.record(r.SHIPMENT_STOP, [t, recorder.state.shipment, cause])
    recorder.settle()
    recorder.seal()
