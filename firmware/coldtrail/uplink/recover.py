"""After an attempt: recover for another one, or get a position and record how the call went."""

from micropython import const

from drivers.bg95.at import (
    ConnectError,
    ModemError,
    NoNetwork,
)
from memory import forget

# From records.py, so that the compiler puts them in place.
_POSITION = const(2)
_RADIO = const(18)
_BY_GNSS = const(1)
_GNSS = const(2)

_RECOVER_MS = const(45_000)
_SLACK_S = const(120)
_LOCATE_MS = const(120_000)  # a cold start under open sky takes 30 to 45 s
_GNSS_MS = const(1_500)  # a position may be a second old, and its time is in whole seconds
_TIME_S = const(3600)
_POWER_OFF_MS = const(70_000)
_SESSION_MS = const(600_000)  # after this time nothing more is tried in this session

# The highest rung (recovery.py) that can help.
_NONE = const(-1)
_ATTACH = const(1)
_SUPPLY = const(4)

# What is kept of earlier sessions; from memories.py.
_RADIO_LOCATED = const(2)


async def follow(session, failure):
    """Recover from ``failure`` and return True, or end the session and return False."""
    session.modem.lose()  # with the connection goes its code
    owed = failure is not None and session.is_owed()
    if owed and session.rung <= _highest(session, failure):
        await _climb(session)
        session.rung += 1
        return True
    if session.modem.is_on():
        try:
            await _locate(session)
        except OSError as error:
            session.reason = "%s %s" % (type(error).__name__, error)
        if failure is None and session.recorder.state.urgent and session.passed_ms() < _SESSION_MS:
            return True  # an alarm has come since: it goes out at once, the modem is on already
    session.expect(_POWER_OFF_MS)
    await session.modem.power_off()
    _record_radio(session)
    return False


def _highest(session, error):
    if session.passed_ms() >= _SESSION_MS or not session.modem.ready:
        return _NONE  # power_on has cut the supply already
    if session.is_refused or isinstance(error, NoNetwork):
        return _NONE  # the tracker can repair neither the card nor the network
    if isinstance(error, ConnectError) or not isinstance(error, ModemError):
        return _ATTACH  # the modem works, so a reset would not help
    return _SUPPLY


async def _climb(session):
    from drivers.bg95 import recovery

    session.expect(_RECOVER_MS)
    await recovery.climb(session.modem, session.rung)
    forget("drivers.bg95", "recovery", "power")


async def _locate(session):
    """Search for a position when one is due; an alarm that needs the radio ends the search."""
    if not (session.recorder.state.locate or _is_due(session) or _lacks_time(session)):
        return
    from drivers.bg95 import gnss

    state = session.recorder.state
    session.expect(_LOCATE_MS)
    session.radio[_RADIO_LOCATED] = session.now()
    unix = state.unix(session.now())
    found = await gnss.locate(session.modem.at, _LOCATE_MS, lambda: not state.urgent, unix)
    forget("drivers.bg95", "gnss", "time")
    if found is not None:
        session.recorder.record(_POSITION, [session.now()] + list(found[:3]) + [_BY_GNSS])
        session.synchronise(found[4], found[3], 500, _GNSS_MS, _GNSS)


def _lacks_time(session):
    """Whether a planned flight waits for a clock that nobody has set; once an hour."""
    recorder, last = session.recorder, session.radio[_RADIO_LOCATED]
    if recorder.state.clock is not None or not recorder.identity.flights or recorder.state.urgent:
        return False
    return last is None or not 0 <= session.now() - last < _TIME_S


def _is_due(session):
    """Whether the profile's interval is over, or nearly; never while an alarm waits to be sent.

    Searches follow calls, and calls of one rhythm reach this point some seconds earlier or later:
    without slack a search would wait for the next call, an hour later.
    """
    state, interval = session.recorder.state, session.recorder.profile.position_interval
    if not interval or state.shipment is None or state.urgent:
        return False
    last = session.radio[_RADIO_LOCATED]
    return last is None or not 0 <= session.now() - last < interval - _SLACK_S


def _record_radio(session):
    counts = session.modem.counts + [session.refused]
    if any(counts):
        fields = [min(0xFFFF, count) for count in counts]
        session.recorder.record(_RADIO, [session.now()] + fields)
