"""Attaches to the network and reads its time and the serving cell; unloaded afterwards."""

from micropython import const

from drivers.bg95.at import NoNetwork
from memory import forget

# From records.py, so that the compiler puts them in place.
_CELL = const(19)
_CERTIFICATE_DATES = const(2)
_PASSED_OVER = const(7)
_NETWORK = const(1)

_POWER_ON_MS = const(30_000)
_REGISTER_MS = const(180_000)
_ANSWER_MS = const(30_000)
_POWER_OFF_MS = const(70_000)
_SESSION_S = const(600)  # a session begins no attempt after this time (recover.py)

# What is kept of earlier sessions; from memories.py.
_RADIO_CELL = const(3)
_RADIO_VAIN = const(5)
_RADIO_PASSED = const(7)


async def attach(session):
    """Register with the network; take its time and the serving cell.

    Raises OSError, the one of ``Session.refuse`` when another attempt cannot help.
    """
    from coldtrail.uplink import budget

    look_ms = budget.look_ms(session)
    del budget
    forget("coldtrail.uplink", "budget")
    modem, recorder, expect = session.modem, session.recorder, session.expect
    identity, clocked = recorder.identity, recorder.state.clock is not None
    expect(_POWER_ON_MS)
    await modem.power_on(_POWER_ON_MS)
    expect(_REGISTER_MS)
    user, password, pin = identity.apn_user, identity.apn_password, identity.pin
    try:
        await modem.register(identity.apn, _REGISTER_MS, user, password, pin, look_ms)
    except NoNetwork:
        session.radio[_RADIO_VAIN] += 1
        raise
    session.radio[_RADIO_VAIN] = 0
    _report_passed(session)
    expect(_ANSWER_MS)
    await _note_cell(session)
    found = await modem.network_time()
    if found is not None:
        unix, uncertainty_ms, ticks = found
        session.synchronise(ticks, unix, 0, uncertainty_ms, _NETWORK)
    if identity.flights and not clocked and recorder.state.clock is not None:
        await _depart(session)
    if identity.tls:
        # This is recorded here so that the next block contains it.
        session.record_fault(_CERTIFICATE_DATES, recorder.state.sync is None)


async def _depart(session):
    """End the session if the clock, which was just set, shows a planned flight now or soon."""
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


def _report_passed(session):
    """Report, once in a boot, the commands that the modem lacks and the driver does without."""
    passed, radio = session.modem.at.passed, session.radio
    if passed and not radio[_RADIO_PASSED]:
        radio[_RADIO_PASSED] = 1
        session.record_fault(_PASSED_OVER, True)
        print("uplink: the modem does without", str(b", ".join(passed), "utf-8"))


async def _note_cell(session):
    from drivers.bg95 import cell as bg95_cell

    found = await bg95_cell.serving(session.modem.at)
    forget("drivers.bg95", "cell")
    if found is not None:
        cell = list(found[:5])
        if session.recorder.state.locate or cell != session.radio[_RADIO_CELL]:
            session.radio[_RADIO_CELL] = cell
            session.recorder.record(_CELL, [session.now()] + list(found))
