"""Arrival: alarms that begin when the receiver opens the box are no alarms of the shipment.

Whoever receives a box opens it first and then holds the button, so light, shock and tilt alarms
begin shortly before the shipment stops. The profile's `arrival_window` says how shortly. Such an
alarm is recorded at once and *held* for this time. If the shipment is stopped meanwhile, the alarm
ends with cause 5, arrival, and the verdict is what it was before. If not, the tracker calls when
the window is over. It does not call earlier and withdraw the alarm later, because nobody can take
back a call at two in the morning. A theft is reported with this delay.

Temperature, humidity and battery alarms are never held. An alarm is no longer held after a boot,
because its age is then unknown, after a change of the rules, and after an acknowledgement.

The module is imported while an alarm is held, and unloaded afterwards.
"""

from micropython import const

# From records.py, so that the compiler puts them in place.
_SAMPLE = const(1)
_BOOT = const(3)
_ALARM_START = const(5)
_CONFIGURATION = const(7)
_SHIPMENT_STOP = const(11)
_COMMAND_OUTCOME = const(17)
_BY_OTHER_SHIPMENT = const(4)
_ACKNOWLEDGE = const(2)
_DONE = const(1)
_END_BY_ARRIVAL = const(5)

# Hands that open a box change light, acceleration (tilt), shock and free fall.
_CHANNELS = const(1 << 3 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 9)
_MOST = const(8)  # alarms held at once: more of them do not come from unpacking

_LATCHED = const(8)  # flag of a rule's state, see Engine.states


def follow(state, kind, fields):
    """Follow a record before the state applies it; return whether it begins an alarm to hold.

    ``state.held`` has [t, id of the rule, reading that met it] of each held alarm, oldest first.
    """
    window = state.profile.arrival_window
    if kind == _ALARM_START:
        if not _CHANNELS >> fields[3] & 1 or state.stopping:
            return False
        state.held.append([fields[0], fields[1], fields[7]])
        if len(state.held) > _MOST:
            _tell(state)
        return bool(state.held)
    if kind == _SAMPLE:
        _tell(state, fields[0] - window)
    elif kind == _SHIPMENT_STOP:
        # Nobody says of a shipment that another one replaces that it has arrived.
        _tell(state, None if fields[2] == _BY_OTHER_SHIPMENT else fields[0] - window)
        if state.held:
            _withdraw(state, fields[0])
    elif kind == _COMMAND_OUTCOME:
        if fields[2] == _ACKNOWLEDGE and fields[3] == _DONE:
            state.held = []
    elif kind in (_BOOT, _CONFIGURATION):
        _tell(state)
    return False


def _tell(state, before=None):
    """Hold no longer what began before a time, or nothing any more: somebody has to act."""
    while state.held and (before is None or state.held[0][0] < before):
        state.held.pop(0)
        state.urgent = state.engine.before = True


def _withdraw(state, t):
    """End the shipment's breaches; each held alarm by arrival, once more where it had ended."""
    engine, held = state.engine, state.held
    idents = [rule[0] for rule in engine.rules]
    # Its alarm from before the arrival, if there is one, still shows: by ``before``.
    for _, ident, _ in held:
        engine.states[idents.index(ident)][0] &= ~_LATCHED
    for change in engine.stop(t):
        change = list(change)
        of_rule = [alarm for alarm in held if alarm[1] == idents[change[1]]]
        if of_rule:
            change[2] = _END_BY_ARRIVAL
            held.remove(of_rule[-1])  # what stands is what began last
        state.owed.append(change)
    for _, ident, value in held:
        change = ["end", idents.index(ident), _END_BY_ARRIVAL, value, value, 0, t]
        state.owed.append(change)
    state.held = []
