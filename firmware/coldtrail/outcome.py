"""Records the outcome of a command (event 17); imported for this and unloaded afterwards."""

from micropython import const

# From records.py, so that the compiler puts them in place.
_COMMAND_OUTCOME = const(17)
_LOCATE = const(3)
_SEND_AGAIN = const(5)
_DONE = const(1)
_REFUSED = const(2)
_INTERRUPTED = const(4)

_REASON = const(64)  # bytes


def conclude(recorder, t, sent, booted=False):
    """Record the outcome of a command under way; return whether there was one.

    ``sent``: whether the session has published again the blocks that the command asked for.
    ``booted``: whether a boot came in between.
    """
    taken = recorder.state.taken
    if taken is None:
        return False
    counter, action, effect = taken
    if effect or (sent and action == _SEND_AGAIN):
        record(recorder, t, counter, action, _DONE)
    elif booted:
        record(recorder, t, counter, action, _INTERRUPTED)
    else:
        reason = "no position found" if action == _LOCATE else "the call failed"
        record(recorder, t, counter, action, _REFUSED, reason)
    return True


def record(recorder, t, counter, action, outcome, reason=None):
    """Record an outcome, with its reason in words if there is one; return whether it was taken."""
    fields = [t, counter, action, outcome]
    if reason:
        # The text is cut by characters, because a reason may quote text of a message beyond ASCII.
        reason = "".join([c if " " <= c < "\x7f" else "?" for c in reason[:_REASON]])
        fields.append(reason)
    return recorder.record(_COMMAND_OUTCOME, fields)
