"""How long the modem may be on: a day's budget, of which a part is kept for delivery.

The module is unloaded before the modem is switched on. A session that finds a network takes half a
minute, so hourly sessions take 12 minutes a day. The budget limits the searching: an hour at
100 mA is a 25th of a battery of 2,500 mAh, and more than that every day would not leave enough for
the journey.
"""

from micropython import const

_BUDGET_SPENT = const(13)  # from records.py, so that the compiler puts it in place

_DAY_S = const(86_400)
_BUDGET_S = const(3600)  # seconds for which the modem may be on in a day
_SEARCH_S = const(3000)  # of these, for searching; the rest is kept for sending
_ALARMS_S = const(7200)  # after this time in a day, no call is made even for an alarm

# A known cell is found within seconds; a search of every band takes minutes.
_LOOK_MS = const(45_000)

# What is kept of earlier sessions; from memories.py.
_RADIO_DAY = const(0)
_RADIO_SPENT = const(1)
_RADIO_ALARM = const(4)
_RADIO_VAIN = const(5)
_RADIO_ENDED = const(6)


def look_ms(session):
    """Return after how many ms a call without any cell gives up; None after the whole search.

    A new alarm and the end of a shipment always get one call. For other calls, the OSError of
    ``Session.refuse`` is raised when the budget is spent.
    """
    state, radio, now = session.recorder.state, session.radio, session.now()
    if not radio:
        radio.extend((0, 0, None, None, 0, 0, 0, 0))
    if not radio[_RADIO_DAY] <= now < radio[_RADIO_DAY] + _DAY_S:
        radio[_RADIO_DAY], radio[_RADIO_SPENT] = now, 0
    spent, vain = radio[_RADIO_SPENT], radio[_RADIO_VAIN]
    over = spent >= (_SEARCH_S if vain else _BUDGET_S)
    session.record_fault(_BUDGET_SPENT, over)
    ended = _has_ended(state, radio)
    alarmed = _is_new_alarm(state, radio) and spent < _ALARMS_S
    if over and not (ended or alarmed):
        raise session.refuse("the modem's budget for the day is spent")
    # The 1st, 2nd, 3rd, 5th, 9th ... call in vain searches every band.
    return None if ended or not vain & (vain - 1) else _LOOK_MS


def _has_ended(state, radio):
    """Return whether a shipment has ended and no call was made since."""
    ended = state.shipment is None and state.stopped is not None
    before, radio[_RADIO_ENDED] = radio[_RADIO_ENDED], int(ended)
    return ended and not before


def _is_new_alarm(state, radio):
    """Return whether there is an alarm for which no call was made."""
    number = state.urgent_number
    before, radio[_RADIO_ALARM] = radio[_RADIO_ALARM], number
    return number != before and not state.is_confirmed(number)
