"""From a modem that is off to the network, with its time and cell. Given back after it."""

from micropython import const

from memory import forget

# From records.py, so that the compiler puts them in place.
_CELL = const(19)
_CERTIFICATE_DATES = const(2)
_BUDGET_SPENT = const(13)
_NETWORK = const(1)

_POWER_ON_MS = const(30_000)
_REGISTER_MS = const(180_000)
_ANSWER_MS = const(30_000)
_POWER_OFF_MS = const(70_000)
_SESSION_S = const(600)  # a session begins no attempt after that (recover.py)

# The modem's daily budget: seconds of being on in 24 hours. A session takes half a minute, so
# that hourly ones take 12 minutes a day; an hour at 100 mA is a 25th of a battery of 2,500 mAh,
# and what costs more than that every day leaves nothing for the way home.
_BUDGET_S = const(3600)
_DAY_S = const(86_400)

# What is kept of earlier sessions; from memories.py.
_RADIO_DAY = const(0)
_RADIO_SPENT = const(1)
_RADIO_CELL = const(3)
_RADIO_ALARM = const(4)


async def attach(session):
    """Register with the network; take its time and the serving cell.

    Raises OSError; that of ``Session.refuse`` where trying again cannot help.
    """
    if _is_spent(session) and not _may_overdraw(session):
        raise session.refuse("the modem's budget for the day is spent")
    modem, recorder, expect = session.modem, session.recorder, session.expect
    identity, clocked = recorder.identity, recorder.state.clock is not None
    expect(_POWER_ON_MS)
    await modem.power_on(_POWER_ON_MS)
    expect(_REGISTER_MS)
    user, password, pin = identity.apn_user, identity.apn_password, identity.pin
    await modem.register(identity.apn, _REGISTER_MS, user, password, pin)
    expect(_ANSWER_MS)
    await _note_cell(session)
    found = await modem.network_time()
    if found is not None:
        unix, uncertainty_ms, ticks = found
        session.synchronise(ticks, unix, 0, uncertainty_ms, _NETWORK)
    if identity.flights and not clocked and recorder.state.clock is not None:
        await _depart(session)
    if identity.tls:
        # Here, so that the block that is sealed next says so.
        session.record_fault(_CERTIFICATE_DATES, recorder.state.sync is None)


async def _depart(session):
    """End the session where the clock, just set, says that a planned flight is on or near."""
    from coldtrail.sensing import flight

    recorder, t = session.recorder, session.now()
    departure = flight.departure(recorder, t)
    flies = flight.is_planned(recorder, t)
    del flight
    forget("coldtrail.sensing", "flight")
    if flies or (departure is not None and departure - t < _SESSION_S):
        session.expect(_POWER_OFF_MS)
        await session.modem.power_off()
        raise session.refuse("a planned flight begins")


def _is_spent(session):
    """Return whether the day's budget is spent; that it begins and ends to be is recorded."""
    radio, now = session.radio, session.now()
    if not radio:
        radio.extend((0, 0, None, None, 0))
    if not radio[_RADIO_DAY] <= now < radio[_RADIO_DAY] + _DAY_S:
        radio[_RADIO_DAY], radio[_RADIO_SPENT] = now, 0
    spent = radio[_RADIO_SPENT] >= _BUDGET_S
    session.record_fault(_BUDGET_SPENT, spent)
    return spent


def _may_overdraw(session):
    """Whether an alarm waits that has not called yet: each gets one attempt."""
    state, radio = session.recorder.state, session.radio
    if state.urgent_number == radio[_RADIO_ALARM] or state.is_confirmed(state.urgent_number):
        return False
    radio[_RADIO_ALARM] = state.urgent_number
    return True


async def _note_cell(session):
    from drivers.bg95 import cell as bg95_cell

    found = await bg95_cell.serving(session.modem.at)
    forget("drivers.bg95", "cell")
    if found is not None:
        cell = list(found[:5])
        if session.recorder.state.locate or cell != session.radio[_RADIO_CELL]:
            session.radio[_RADIO_CELL] = cell
            session.recorder.record(_CELL, [session.now()] + list(found))
