"""Opens the connection to the broker; unloaded when it is open."""

from micropython import const

from drivers.bg95.at import ConnectError
from memory import forget

_REFUSED_BY_DATE = const(3)

_SECURE_MS = const(60_000)
_CONNECT_MS = const(75_000)
_REFUSAL_MS = const(300_000)

_REASONS = const(4)  # the number of reasons that are recorded
_ELSEWHERE = const((565, 569))  # the name is unknown, there was no answer

_CERTIFICATES = const(("ca.pem", "client.pem", "client.key"))


async def connect(session):
    """Return a stream to the broker.

    Raises OSError, the one of ``Session.refuse`` when another attempt cannot help.
    """
    modem, identity = session.modem, session.recorder.identity
    host, number, secure = identity.host, identity.port, bool(identity.tls)
    if secure:
        session.expect(_SECURE_MS)
        await _secure(session)
    session.expect(_CONNECT_MS)
    try:
        stream = await modem.connect(host, number, _CONNECT_MS, secure)
        _record_refusal(session, None)
        return stream
    except ConnectError as error:
        # One failure may be the network's, so the reason is searched after the second one.
        if not secure or error.code in _ELSEWHERE or not session.rung:
            raise
    from drivers.bg95 import refusal

    session.expect(_REFUSAL_MS)
    reason, words = await refusal.reason(modem, host, number, _CERTIFICATES[0])
    forget("drivers.bg95", "refusal")
    _record_refusal(session, reason)
    raise session.refuse(words)


def _record_refusal(session, reason):
    """Record that TLS is refused for a reason (refusal.py), and that another one is over."""
    for number in range(_REASONS):
        session.record_fault(_REFUSED_BY_DATE + number, number == reason)


async def _secure(session):
    """Prepare TLS; before the first clock sync, dates of certificates prove nothing."""
    from drivers.bg95 import tls

    sync = session.recorder.state.sync
    unix = None if sync is None else sync[2] + session.now() - sync[0]
    if not await tls.configure(session.modem.at, _CERTIFICATES, unix):
        print("uplink: this modem does not hold a certificate against the host's name")
    forget("drivers.bg95", "tls", "time")
