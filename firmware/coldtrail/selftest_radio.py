"""Self-test of what speaks to the outside: modem, SIM, registration, clock, GNSS. See selftest.py."""

import asyncio
import time

from micropython import const

import board
from coldtrail import records as r
from drivers.at import ModemError

_POWER_ON_MS = const(30_000)
_SIM_MS = const(15_000)
_POLL_MS = const(1_000)
_REGISTER_MS = const(180_000)
_GNSS_MS = const(120_000)

_LEAST_DBM = const(-115)  # RSRP, in GSM RSSI: with less, a truck's steel is the end of it
_CLOCK_MS = const(1_000)  # contract: times within a second


async def results(port, recorder, note, gnss):
    """Make the checks; return the number of a block to be confirmed, 0 when none can be sent.

    The modem stays on then.
    """
    rows = _checks(recorder, gnss)
    modem = port.modem()
    failure = None
    for name, limit, check in rows:
        if failure:
            note(name, False, "not tried: " + failure, "", limit)
            continue
        try:
            value, unit, ok = await check(modem, port)
        except (OSError, ValueError) as error:
            value, unit, ok = str(error) or type(error).__name__, "", False
            if name in ("modem", "SIM", "registration"):
                failure = "no " + name
        note(name, ok, value, unit, limit)
    if failure:
        await modem.power_off()
        return 0
    await modem.at.stop()
    recorder.seal()
    return recorder.state.number


def _checks(recorder, gnss):
    identity = recorder.identity

    async def power(modem, port):
        await modem.power_on(_POWER_ON_MS)
        # Its answer has no name before it, but every revision begins so.
        return "BG" + str(await modem.at.command(b"AT+CGMR", b"BG"), "utf-8"), "", True

    async def card(modem, port):
        deadline = time.ticks_add(time.ticks_ms(), _SIM_MS)
        while True:
            try:
                return str(await modem.at.command(b"AT+QCCID", b"+QCCID:"), "utf-8"), "", True
            except ModemError:  # also while the card is being read
                if time.ticks_diff(deadline, time.ticks_ms()) <= 0:
                    raise ModemError("none: insert a card")
            await asyncio.sleep_ms(_POLL_MS)

    async def registration(modem, port):
        await modem.register(identity.apn, _REGISTER_MS)
        found = await modem.signal()
        if found is None:
            raise ModemError("no service")
        dbm = found[1] if found[2] is None else found[2]
        return str(dbm), "dBm", dbm >= _LEAST_DBM

    async def clock(modem, port):
        found = await modem.network_time()
        if found is None:
            raise ModemError("the network gives no time")
        return _deviation(port, recorder, *found)

    rows = [
        ("modem", "answers", power),
        ("SIM", "a card that answers", card),
        ("registration", "at least %d" % _LEAST_DBM, registration),
        ("clock", "within %d" % _CLOCK_MS, clock),
    ]
    if gnss:
        rows.append(("GNSS", "a fix within %d s" % (_GNSS_MS // 1000), _position))
    return rows


def _deviation(port, recorder, unix, uncertainty_ms, ticks):
    """Record the clock sync, and return by how much the clock had gone astray since the last."""
    state = recorder.state
    t, ms = port.since_boot(state.boot_rtc)
    age_ms = time.ticks_diff(time.ticks_ms(), ticks)
    off, drift = uncertainty_ms, 0
    if state.sync is not None:
        t0, ms0, unix0, unix0_ms = state.sync[:4]
        passed = (t - t0) * 1000 + ms - ms0 - age_ms
        off = (unix - unix0) * 1000 - unix0_ms - passed
        drift = passed * 2 * board.RTC_PPM // 1000000
    total = max(0, t * 1000 + ms - age_ms)
    fields = [total // 1000, total % 1000, unix, 0, uncertainty_ms, r.NETWORK]
    recorder.record(r.CLOCK_SYNC, fields)
    return str(off), "ms", abs(off) <= _CLOCK_MS + drift


async def _position(modem, port):
    from drivers import bg95_gnss

    found = await bg95_gnss.locate(modem.at, _GNSS_MS, lambda: True)
    if found is None:
        raise ModemError("no fix")
    return str(found[2]), "m uncertain", True
