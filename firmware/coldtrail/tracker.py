"""The wake cycle: boot or wake, sample, judge, seal, call when there is reason to, sleep."""

import gc
import time

from micropython import const

from coldtrail import VERSION, sampler, shipment
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

_CALLS = const(8)  # one after the other, each because of a command that the one before brought

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
        extra = self._recorder.extra or (0, 0, 0, [])
        self._failures, self._not_before, self._attempted, self._radio = extra

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
            shipment.begin(recorder, self._now())

    def _begin_boot(self):
        state, profile = self._state, self._profile
        # What the last boot left counts from another zero: it goes into a block of its own.
        if state.configured == profile.digest:
            self._recorder.settle()
        self._recorder.seal()
        before = self._now()
        cause, rtc = self._recorder.boot
        if state.taken and cause == r.OTHER:
            cause = r.COMMANDED  # ports differ in what they call a reset by the program
        self._recorder.record(r.BOOT, [0, state.boot + 1, cause, rtc, VERSION])
        self._recorder.boot = []
        self._not_before += self._now() - before
        self._recorder.record(r.CONFIGURATION, [self._now(), profile.name, profile.digest])
        if state.taken:
            from coldtrail import commands

            commands.conclude(self._recorder, self._now(), False, True)
            del commands
            forget("coldtrail.commands")

    # ---- button ----

    def _button(self):
        """Answer a press: short shows the verdict, held for 3 s stops; True when to call."""
        held = 0
        while self._port.button() and held < _HOLD_MS:
            time.sleep_ms(50)
            held += 50
        if held >= _HOLD_MS and self._state.shipment is not None:
            if self._recorder.boot:
                self._begin_boot()  # a time needs its boot, and there is room for a few records
            shipment.stop(self._recorder, self._now(), r.BY_BUTTON)
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
        urgent = state.urgent
        if state.oldest is not None and state.leading != state.interval:
            recorder.seal()  # the samples of a block share one interval
        t, ms = self._port.since_boot(state.boot_rtc)
        t += ms >= 500
        reading = sampler.sample(self._port)
        recorder.record(r.SAMPLE, [t] + reading)
        recorder.settle()
        for subject, code in sampler.faults(reading[0]):
            for fault in list(state.faults):
                if fault >> 4 == subject and fault & 15 != code:
                    recorder.record(r.FAULT, [t, subject, fault & 15, 0])
            if code and not state.stands(subject, code):
                recorder.record(r.FAULT, [t, subject, code, 1])
        if state.urgent and not urgent:
            # What is new does not wait because what was old failed.
            self._failures = self._not_before = 0

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
        """Call; and again as long as there is a command's outcome to tell."""
        import asyncio

        again = None
        for _ in range(_CALLS):
            self._recorder.seal()
            reached, command, refused, replayed, sent = asyncio.run(self._session(again))
            self._go_on()
            if not (command or refused or self._state.taken or (reached and self._distrusts())):
                return
            forget("coldtrail.uplink", "coldtrail.mqtt")
            self._watchdog.feed()
            from coldtrail import commands

            told, again = commands.follow(
                self._port, self._recorder, command, refused, replayed, sent
            )
            del commands
            forget("coldtrail.commands")
            if not reached or not told:
                return

    def _distrusts(self):
        """Whether a message of the gateway's was not believed in the last session."""
        return any(fault >> 4 == r.SUBJECT_DOWNLINK for fault in self._state.faults)

    async def _session(self, again):
        """Run one uplink session; samples are taken and the watchdog is fed meanwhile.

        Return whether it came through, and what it found for commands.py.
        """
        import asyncio

        from coldtrail.uplink import Session

        # The session's code and buffers stay for its length: let them lie together.
        gc.collect()
        session = Session(
            self._port, self._recorder, self._watchdog, self._attempted, self._radio, again
        )
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
        reached = await task and self._state.sync is not None
        if reached:
            self._failures = self._not_before = 0
        else:
            print("uplink:", session.reason or "not everything is confirmed")
            delay = min(_RETRY_LONGEST_S, _RETRY_S << min(self._failures, 4))
            self._not_before = self._now() + delay
            self._failures += 1
        return reached, session.command, session.refused, session.replayed, session.sent_again

    # ---- sleep ----

    def _sleep(self):
        """Keep the hint and sleep until the next sample, call or button."""
        wait = self._wait_s()
        if wait is None:
            wait = _IDLE_S
        if self._retries():
            wait = min(wait, self._not_before - self._now())
        ms = self._port.since_boot(self._state.boot_rtc)[1]
        self._recorder.extra = [self._failures, self._not_before, self._attempted, self._radio]
        self._port.retain(self._recorder.retain())
        self._port.deep_sleep(max(0, wait * 1000 - ms))
