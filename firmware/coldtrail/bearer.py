"""From a modem that is off to a connection with the broker. Given back once that stands."""

from micropython import const

from drivers import bg95, forget

# From records.py, so that the compiler puts them in place.
_FAULT = const(13)
_CELL = const(19)
_SUBJECT_MODEM = const(6)
_CERTIFICATE_DATES = const(2)
_REFUSED_BY_DATE = const(3)
_BUDGET_SPENT = const(13)
_NETWORK = const(1)

_POWER_ON_MS = const(30_000)
_REGISTER_MS = const(180_000)
_ANSWER_MS = const(30_000)
_SECURE_MS = const(60_000)
_CONNECT_MS = const(75_000)
_REFUSAL_MS = const(300_000)

_REASONS = const(4)  # that are worth a record
_ELSEWHERE = (565, 569)  # the name is unknown, there was no answer

# The modem's daily budget: seconds of being on in 24 hours. A session takes half a minute, so
# that hourly ones take 12 minutes a day; an hour at 100 mA is a 25th of a battery of 2,500 mAh,
# and what costs more than that every day leaves nothing for the way home.
_BUDGET_S = const(3600)
_DAY_S = const(86_400)

# What is kept of earlier sessions, times in seconds since boot: begin of the day that the budget
# counts, seconds spent of it, when the position was last looked for, the cell that was recorded
# last, the block of the last alarm that called beyond the budget.
_BEGIN = const(0)
_SPENT = const(1)
_LAST_CELL = const(3)
_ALARM = const(4)

_CERTIFICATES = ("ca.pem", "client.pem", "client.key")


async def connect(session):
    """Return a stream to the broker; on the way take time and serving cell.

    Raises OSError, "refused: ..." where trying again cannot help.
    """
    if _is_spent(session) and not _may_overdraw(session):
        raise OSError("refused: the modem's budget for the day is spent")
    modem, recorder, expect = session.modem, session.recorder, session.expect
    identity, unplaced = recorder.identity, recorder.state.sync is None
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
    if identity.tls:
        expect(_SECURE_MS)
        await _secure(session)
    if unplaced:
        # So that the gateway can place what this session brings, not only the next one.
        recorder.seal()
    expect(_CONNECT_MS)
    host, number, secure = identity.host, identity.port, bool(identity.tls)
    try:
        stream = await modem.connect(host, number, _CONNECT_MS, secure)
        _tell_refusal(session, None)
        return stream
    except bg95.ConnectError as error:
        # What fails once may be the network's fault: the reason is looked for at the second time.
        if not secure or error.code in _ELSEWHERE or not session.rung:
            raise
    from drivers import bg95_refusal

    expect(_REFUSAL_MS)
    reason, words = await bg95_refusal.reason(modem, host, number, _CERTIFICATES[0])
    forget("drivers.bg95_refusal")
    _tell_refusal(session, reason)
    raise OSError("refused: " + words)


def _tell_refusal(session, reason):
    """Record that TLS is refused for a reason (bg95_refusal.py), and that another one is over."""
    for number in range(_REASONS):
        _tell(session, _REFUSED_BY_DATE + number, number == reason)


def _is_spent(session):
    """Return whether the day's budget is spent; that it begins and ends to be is recorded."""
    radio, now = session.radio, _now(session)
    if not radio:
        radio.extend((0, 0, None, None, 0))
    if not radio[_BEGIN] <= now < radio[_BEGIN] + _DAY_S:
        radio[_BEGIN], radio[_SPENT] = now, 0
    spent = radio[_SPENT] >= _BUDGET_S
    _tell(session, _BUDGET_SPENT, spent)
    return spent


def _may_overdraw(session):
    """Whether an alarm waits that has not called yet: each gets one attempt."""
    state, radio = session.recorder.state, session.radio
    if state.urgent_number == radio[_ALARM] or state.is_confirmed(state.urgent_number):
        return False
    radio[_ALARM] = state.urgent_number
    return True


async def _note_cell(session):
    from drivers import bg95_cell

    found = await bg95_cell.serving(session.modem.at)
    forget("drivers.bg95_cell")
    if found is not None:
        cell = list(found[:5])
        if session.recorder.state.locate or cell != session.radio[_LAST_CELL]:
            session.radio[_LAST_CELL] = cell
            session.recorder.record(_CELL, [_now(session)] + list(found))


async def _secure(session):
    """Prepare TLS; before the first clock sync, dates of certificates prove nothing."""
    from drivers import bg95_tls

    sync = session.recorder.state.sync
    unix = None if sync is None else sync[2] + _now(session) - sync[0]
    _tell(session, _CERTIFICATE_DATES, unix is None)
    if not await bg95_tls.configure(session.modem.at, _CERTIFICATES, unix):
        print("uplink: this modem does not hold a certificate against the host's name")
    forget("drivers.bg95_tls", "drivers.bg95_time")


def _tell(session, code, stands):
    """Record that a fault of the modem begins or ends, where that is news."""
    if stands != session.recorder.state.stands(_SUBJECT_MODEM, code):
        fields = [_now(session), _SUBJECT_MODEM, code, int(stands)]
        session.recorder.record(_FAULT, fields)


def _now(session):
    return session.port.since_boot(session.recorder.state.boot_rtc)[0]
