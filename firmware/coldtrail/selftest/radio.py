"""Self-test of the radio: modem, SIM, registration, clock, GNSS. See run.py."""

import asyncio
import time

from micropython import const

import board
from drivers.bg95.at import ModemError

# Constants of records.py, repeated so that the compiler can inline them.
_CLOCK_SYNC = const(4)
_NETWORK = const(1)

_POWER_ON_MS = const(30_000)
_SIM_MS = const(15_000)
_POLL_MS = const(1_000)
_REGISTER_MS = const(180_000)
_GNSS_MS = const(120_000)

_LEAST_DBM = const(-115)  # RSRP, in GSM RSSI; a weaker signal would not survive a steel truck
_CLOCK_MS = const(1_000)  # largest error of the gateway's times

_NEEDED = ("modem", "SIM", "registration")  # if one of these fails, the later checks cannot pass


class Radio:
    """The checks. Each returns (value, unit, whether it passes) or raises OSError with text."""

    def __init__(self, port, recorder):
        """Check the modem of ``port``, which must not be in use, with ``recorder``'s identity."""
        self._port = port
        self._recorder = recorder
        self._modem = port.modem()

    async def results(self, report, gnss):
        """Run the checks; return (number that failed, block to be confirmed, or 0 for none).

        ``report`` as in run.py. The modem is off afterwards.
        """
        rows = [
            ("modem", self._power, "answers"),
            ("SIM", self._card, "a card that answers"),
            ("registration", self._registration, "at least %d" % _LEAST_DBM),
            ("clock", self._clock, "within %d" % _CLOCK_MS),
        ]
        if gnss:
            rows.append(("GNSS", self._position, "a fix within %d s" % (_GNSS_MS // 1000)))
        try:
            failed, missing = await _made(rows, report)
        finally:
            await self._modem.power_off()
        if missing:
            return failed, 0
        self._recorder.seal()
        return failed, self._recorder.state.number

    async def _power(self):
        await self._modem.power_on(_POWER_ON_MS)
        # The answer is the revision alone, and every revision of this modem family begins with BG.
        return "BG" + str(await self._modem.at.command(b"AT+CGMR", b"BG"), "utf-8"), "", True

    async def _card(self):
        deadline = time.ticks_add(time.ticks_ms(), _SIM_MS)
        while True:
            try:
                number = await self._modem.at.command(b"AT+QCCID", b"+QCCID:")
                return str(number, "utf-8"), "", True
            except ModemError:  # this also happens while the modem reads the card
                if time.ticks_diff(deadline, time.ticks_ms()) <= 0:
                    raise ModemError("no card answers: insert one")
            await asyncio.sleep_ms(_POLL_MS)

    async def _registration(self):
        identity = self._recorder.identity
        user, password, pin = identity.apn_user, identity.apn_password, identity.pin
        await self._modem.register(identity.apn, _REGISTER_MS, user, password, pin)
        found = await self._modem.signal()
        if found is None:
            raise ModemError("no service")
        dbm = found[1] if found[2] is None else found[2]
        return str(dbm), "dBm", dbm >= _LEAST_DBM

    async def _clock(self):
        """Record the time; return the clock's deviation since the last synchronisation."""
        found = await self._modem.network_time()
        if found is None:
            raise ModemError("the network gives no time")
        unix, off, ticks = found
        state = self._recorder.state
        t, ms = self._port.since_boot(state.boot_rtc)
        now = max(0, t * 1000 + ms - time.ticks_diff(time.ticks_ms(), ticks))
        fields = [now // 1000, now % 1000, unix, 0, off, _NETWORK]
        drift = 0
        if state.sync is not None:
            t, ms, since, since_ms = state.sync[:4]
            passed = now - t * 1000 - ms
            off = (unix - since) * 1000 - since_ms - passed
            drift = passed * 2 * board.RTC_PPM // 1000000
        self._recorder.record(_CLOCK_SYNC, fields)
        return str(off), "ms", abs(off) <= _CLOCK_MS + drift

    async def _position(self):
        from drivers.bg95 import gnss

        state = self._recorder.state
        sync, now = state.sync, self._port.since_boot(state.boot_rtc)[0]
        unix = None if sync is None else sync[2] + now - sync[0]
        found = await gnss.locate(self._modem.at, _GNSS_MS, lambda: True, unix)
        if found is None:
            raise ModemError("no fix")
        return str(found[2]), "m", True


async def _made(rows, report):
    """Run the checks; return (number that failed, the failed check that others need)."""
    missing = None
    failed = 0
    for name, check, limit in rows:
        if missing:
            failed += 1
            report(name, False, "no " + missing, "", limit)
            continue
        try:
            value, unit, ok = await check()
        except (OSError, ValueError) as error:
            value, unit, ok = str(error), "", False
            if name in _NEEDED:
                missing = name
        failed += not ok
        report(name, ok, value, unit, limit)
    return failed, missing
