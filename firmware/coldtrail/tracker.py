"""The wake cycle: boot or wake, sample, judge, seal, call when there is reason to, sleep."""

import gc
import time

from micropython import const

from coldtrail import VERSION, sampler
from coldtrail import records as r
from coldtrail.recorder import Recorder
from coldtrail.watchdog import Watchdog
from drivers import forget

_SAMPLER = "sampler"
_LOOP_MS = const(250)
_SAMPLE_LIMIT_MS = const(20_000)

# A call that failed is repeated after 5, 10, 20, 40, then every 60 minutes. Ordinary blocks wait
# for the next upload time instead: nobody has to act on them.
_RETRY_S = const(300)
_RETRY_LONGEST_S = const(3600)

_HOLD_MS = const(3000)
_VERDICT_MS = const(2000)
_BLINK_MS = const(250)
_IDLE_S = const(86400)


class Tracker:
    """One wake, from the first instruction to the deep sleep."""

    def __init__(self, port, profile, identity):
        """Mount the log; ``port`` is the board, ``profile`` and ``identity`` as provisioned."""
        self._port = port
        self._profile = profile
        self._identity = identity
        self._watchdog = Watchdog(port.watchdog())
        # Only through deep sleep has the flash surely stood as the RTC memory says.
        retained = port.retained() if port.boot_cause() is None else b""
        self._recorder = Recorder(port.flash(), profile, identity, retained)
        forget("coldtrail.mounting")
        self._state = self._recorder.state
        self._failures, self._not_before, self._attempted = self._recorder.extra or (0, 0, 0)

    def wake(self):
        """Do what this wake is for, then sleep; does not return."""
        cause = self._port.boot_cause()
        t = self._port.since_boot(self._state.boot_rtc)[0]
        lost = self._state.boot == 0 or t < (self._state.last or 0)
        if cause is None and lost and not self._recorder.boot:
            cause = r.OTHER  # the chip's counter did not survive, whatever the chip says
        if cause is not None:
            self._recorder.boot = [cause, self._port.counter()[0]]
            self._failures = 0
            self._not_before = self._now()
        self._go_on()
        call = self._button() if self._port.woken_by_button() else False
        self._sample_when_due()
        self._watchdog.feed()
        if call or self._call_is_due():
            self._call()
        self._sleep()

    def _now(self):
        return self._port.since_boot(self._state.boot_rtc)[0]

    # ---- boot and shipment ----

    def _go_on(self):
        """Record what has begun, unless the log is full and has no room yet."""
        recorder = self._recorder
        if recorder.room():
            if recorder.boot:
                self._begin_boot()
            recorder.go_on(self._now())
            self._begin_shipment()

    def _begin_boot(self):
        # What the last boot left counts from another zero: it goes into a block of its own.
        self._recorder.settle()
        self._recorder.seal()
        before = self._now()
        cause, rtc = self._recorder.boot
        self._recorder.record(r.BOOT, [0, self._state.boot + 1, cause, rtc, VERSION])
        self._recorder.boot = []
        self._not_before += self._now() - before
        profile = self._profile
        self._recorder.record(r.CONFIGURATION, [self._now(), profile.name, profile.digest])

    def _begin_shipment(self):
        state, shipment = self._state, self._identity.shipment
        if shipment is None or shipment == state.stopped or shipment == state.shipment:
            return
        if state.shipment is not None:
            self._stop(4)
        self._recorder.seal()
        self._recorder.record(r.SHIPMENT_START, [self._now(), shipment])

    def _stop(self, cause):
        if self._recorder.boot:
            self._begin_boot()  # a time needs its boot, and there is room for a few records
        self._recorder.say_lost(self._now())
        self._recorder.record(r.SHIPMENT_STOP, [self._now(), self._state.shipment, cause])
        self._recorder.settle()
        self._recorder.seal()

    # ---- button ----

    def _button(self):
        """Answer a press: short shows the verdict, held for 3 s stops; True when to call."""
        held = 0
        while self._port.button() and held < _HOLD_MS:
            time.sleep_ms(50)
            held += 50
        if held >= _HOLD_MS and self._state.shipment is not None:
            self._stop(r.BY_BUTTON)
            self._show(True)
            return True
        self._show(False)
        return False

    def _show(self, stopped):
        """Light the verdict: green none, red alarm, alternating fault or no shipment."""
        state = self._state
        unclear = not stopped and (state.faults or state.shipment is None)
        red = state.engine.alarmed
        for _ in range(_VERDICT_MS // _BLINK_MS):
            self._port.led(not red, red)
            if unclear:
                red = not red
            time.sleep_ms(_BLINK_MS)
        self._port.led(False, False)

    # ---- samples ----

    def _wait_s(self):
        """Seconds to the next sample; None when none is to be taken."""
        state = self._state
        if state.shipment is None or state.stopping or state.full:
            return None
        if state.last is None:
            return 0
        return state.last + state.interval - self._now()

    def _sample_when_due(self):
        """Take a sample when it is due, waiting out the second by which the wake was early."""
        wait = self._wait_s()
        if wait is None or wait > 1:
            return
        if wait == 1:
            time.sleep_ms(1000 - self._port.since_boot(self._state.boot_rtc)[1])
        self._sample()

    def _sample(self):
        state, recorder = self._state, self._recorder
        if state.oldest is not None and state.leading != state.interval:
            recorder.seal()  # the samples of a block share one interval
        t, ms = self._port.since_boot(state.boot_rtc)
        t += ms >= 500
        reading = sampler.sample(self._port)
        recorder.record(r.SAMPLE, [t] + reading)
        recorder.settle()
        for subject, code in sampler.faults(reading[0]):
            standing = state.faults.get(subject, 0)
            if code == standing:
                continue
            if standing:
                recorder.record(r.FAULT, [t, subject, standing, 0])
            if code:
                recorder.record(r.FAULT, [t, subject, code, 1])

    # ---- uplink ----

    def _retries(self):
        """Whether a failed call is repeated before the next upload time."""
        state = self._state
        if state.pending == 0:
            return False
        # Somebody has to act, or nothing more is sampled, so that there is no next upload time.
        return not state.is_confirmed(state.urgent_number) or self._wait_s() is None

    def _call_is_due(self):
        state = self._state
        now = self._now()
        if state.sync is None or state.urgent or self._retries():
            # Without the time, nobody can say when this boot's samples were taken.
            return now >= self._not_before
        if state.oldest is None:
            return False
        return now - state.oldest + state.interval >= state.upload_interval

    def _call(self):
        import asyncio

        self._recorder.seal()
        asyncio.run(self._session())
        self._go_on()

    async def _session(self):
        """Run one uplink session; samples are taken and the watchdog is fed meanwhile."""
        import asyncio

        from coldtrail.uplink import Session

        # The session's code and buffers stay for its length: let them lie together.
        gc.collect()
        session = Session(self._port, self._recorder, self._watchdog, self._attempted)
        task = asyncio.create_task(session.run())
        while not task.done():
            self._watchdog.expect(_SAMPLER, _SAMPLE_LIMIT_MS)
            wait = self._wait_s()
            if wait is not None and wait <= 0:
                self._sample()
            self._watchdog.feed()
            await asyncio.sleep_ms(_LOOP_MS)
        self._watchdog.done(_SAMPLER)
        self._attempted = session.newest
        if await task and self._state.sync is not None:
            self._failures = self._not_before = 0
            return
        print("uplink:", session.reason or "not everything is confirmed")
        self._not_before = self._now() + min(_RETRY_LONGEST_S, _RETRY_S << min(self._failures, 4))
        self._failures += 1

    # ---- sleep ----

    def _sleep(self):
        """Keep the hint and sleep until the next sample, call or button."""
        wait = self._wait_s()
        if wait is None:
            wait = _IDLE_S
        if self._retries():
            wait = min(wait, self._not_before - self._now())
        ms = self._port.since_boot(self._state.boot_rtc)[1]
        self._recorder.extra = [self._failures, self._not_before, self._attempted]
        self._port.retain(self._recorder.retain())
        self._port.deep_sleep(max(0, wait * 1000 - ms))
