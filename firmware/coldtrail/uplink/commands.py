"""Commands of the gateway (uplink.cddl, `command`), carried out between two sessions.

The module is imported when there is a command, and unloaded afterwards. A command that can be
carried out is first recorded as taken. So it is never carried out twice, whatever stops the
tracker in between: the state says whether the log has the effect of the command. The effects are:

  configure    the boot that reports another profile in force (event 7). The file is replaced by a
               rename, and the tracker boots. So a profile comes into force in one way only: it is
               read and checked as at any boot, and no rule meets the state of other rules.
  acknowledge  the outcome itself, which the state applies
  locate       a position (event 2), which the next session looks for (``State.locate``)
  reboot       a boot with cause 4
  send again   the next session has published the blocks
  start, stop  events 10 and 11
"""

import hashlib
import os

from micropython import const

from coldtrail import outcome, shipment
from coldtrail.contract import cbor
from coldtrail.contract.limits import check, check_all
from coldtrail.sensing import sampler

# From records.py, so that the compiler puts them in place.
_FAULT = const(13)
_BY_COMMAND = const(2)
_CONFIGURE = const(1)
_ACKNOWLEDGE = const(2)
_LOCATE = const(3)
_REBOOT = const(4)
_SEND_AGAIN = const(5)
_START = const(6)
_STOP = const(7)
_TAKEN = const(0)
_DONE = const(1)
_REFUSED = const(2)
_EXPIRED = const(3)
_SUBJECT_DOWNLINK = const(9)
_NOT_VERIFIED = const(2)
_REPLAY = const(10)

_VERSION = const(1)
_FILE = "profile.cbor"  # as start.py reads it
_NEW = "profile.new"
_AT_ONCE_S = const(3600)  # locate and reboot: the longest from making to expiry
_CLOCK_S = const(60)  # by which the gateway's clock may differ from itself

_UINT32 = (1, 4294967295)
_COUNTER = (1, 9007199254740991)
_EXPIRY = (1577836800, 4294967295)
_ARGUMENTS = {
    _CONFIGURE: ((bytes, 8, 8), (bytes, 1, 1024)),
    _ACKNOWLEDGE: (),
    _LOCATE: (),
    _REBOOT: (),
    _SEND_AGAIN: (_UINT32,),
    _START: ((str, 1, 32),),
    _STOP: (),
}


def follow(port, recorder, message, refused, replayed, sent):
    """Handle what a session has received; return (whether there is an outcome to send, again).

    ``message``: payload of a command whose MAC has been verified, or None. ``refused``: how many
    messages were not believed, ``replayed`` of them because they were older commands. ``sent``:
    whether the session has published again what was asked for. ``again``: the number from which
    the next session publishes the blocks again, or None.
    """
    if recorder.boot:
        return False, None  # the log is full and does not have this boot yet
    t = port.since_boot(recorder.state.boot_rtc)[0]
    command = again = None
    if message:
        try:
            command = _parse(message)
        except ValueError as error:
            print("command:", error)
            refused += 1
    _report(recorder, t, refused - replayed, replayed)
    due = outcome.conclude(recorder, t, sent)
    if command:
        again = _obey(port, recorder, t, *command)
        due = recorder.state.command == command[0]  # otherwise the log was full
    return due, again


def _report(recorder, t, forged, replayed):
    """Record the begin or end of the downlink's faults, from the number of such messages."""
    for code, count in ((_NOT_VERIFIED, forged), (_REPLAY, replayed)):
        if bool(count) != recorder.state.stands(_SUBJECT_DOWNLINK, code):
            fields = [t, _SUBJECT_DOWNLINK, code, int(bool(count))]
            recorder.record(_FAULT, fields)


def _obey(port, recorder, t, counter, expiry, action):
    """Carry a command out, or refuse it with the reason; return ``again`` as ``follow`` does."""
    number = action[0]
    try:
        check_all("command", action[1:], _ARGUMENTS[number])
        if number in (_LOCATE, _REBOOT) and expiry - counter // 1000 > _AT_ONCE_S + _CLOCK_S:
            raise ValueError("it would be good for more than an hour")
        if _is_expired(recorder, t, expiry):
            outcome.record(recorder, t, counter, number, _EXPIRED)
            return None
        _check(port, recorder, number, action)
    except ValueError as error:
        outcome.record(recorder, t, counter, number, _REFUSED, str(error))
        return None
    if number == _CONFIGURE and action[1] == recorder.state.configured:
        outcome.record(recorder, t, counter, number, _DONE)
        return None
    if not outcome.record(recorder, t, counter, number, _TAKEN):
        return None
    recorder.settle()  # the end of the old rules ends their breaches
    try:
        done = _act(port, recorder, t, number, action)
    except OSError as error:
        outcome.record(recorder, t, counter, number, _REFUSED, "cannot be written: %s" % error)
        return None
    if done:
        outcome.record(recorder, t, counter, number, _DONE)
    return action[1] if number == _SEND_AGAIN else None


def _parse(message):
    """Return (counter, expiry, action); raises ValueError when no outcome could name them."""
    fields = cbor.decode(message, 3)
    if not isinstance(fields, dict) or sorted(fields) != [0, 1, 2, 3]:
        raise ValueError("not a map of keys 0 to 3")
    check("version", fields[0], (_VERSION, _VERSION))
    check("counter", fields[1], _COUNTER)
    check("expiry", fields[2], _EXPIRY)
    action = fields[3]
    if not isinstance(action, list) or not action:
        raise ValueError("no action")
    check("action", action[0], (1, len(_ARGUMENTS)))
    return fields[1], fields[2], action


def _is_expired(recorder, t, expiry):
    now = recorder.state.unix(t)
    if now is None:
        raise ValueError("no clock to judge its expiry by")
    return now >= expiry


def _check(port, recorder, number, action):
    """Raise ValueError with the reason why an action cannot be carried out."""
    state = recorder.state
    if number == _CONFIGURE:
        _check_profile(port, action[1], action[2])
    elif number == _SEND_AGAIN:
        if action[1] > state.number:
            raise ValueError("block %d is the newest" % state.number)
    elif number == _START:
        if action[1] == state.stopped:
            raise ValueError("that shipment has been stopped")
    elif number == _STOP and state.shipment is None:
        raise ValueError("no shipment is under way")


def _check_profile(port, digest, content):
    from coldtrail.judging import profile
    from memory import forget

    try:
        if hashlib.sha256(content).digest()[:8] != digest:
            raise ValueError("its digest is another")
        sensors = [s[1] for s in sampler.SENSORS if port.sensor(s[1]) is not None]
        # This is the check of provisioned.py: a profile that it refuses would never start.
        lacking = profile.missing(profile.wanted(profile.load(content)), sensors)
        if lacking:
            raise ValueError("no sensor measures " + profile.named(lacking))
    finally:
        port.release_all()
        forget("coldtrail.judging", "profile")


def _act(port, recorder, t, number, action):
    """Act; return True when the command is complete, False when its effect is still to come."""
    state = recorder.state
    if number == _CONFIGURE:
        with open(_NEW, "wb") as file:
            file.write(action[2])
        os.rename(_NEW, _FILE)  # replaces it, all at once
        port.reset()
    elif number == _REBOOT:
        port.reset()
    elif number == _START:
        if action[1] != state.shipment:
            shipment.start(recorder, t, action[1])
    elif number == _STOP:
        shipment.stop(recorder, t, _BY_COMMAND)
    return number in (_ACKNOWLEDGE, _START, _STOP)
