"""The wake cycle: boot or wake, sample, judge, seal, call when there is reason to, sleep."""

import gc
import time

from micropython import const

import board
from coldtrail.log.recorder import Recorder
from coldtrail.watchdog import Watchdog
from memory import forget

# From records.py, so that the compiler puts them in place.
_OTHER = const(5)
_SUBJECT_DOWNLINK = const(9)

_MODEM = bool(getattr(board, "MODEM", None))  # on a bench there is none: it never calls
_SAMPLER = const("sampler")
_LOOP_MS = const(250)
_SAMPLE_LIMIT_MS = const(20_000)

# A call that failed is repeated after 5, 10, 20, 40, then every 60 minutes. Ordinary blocks wait
# for the next upload time instead: nobody has to act on them.
_RETRY_S = const(300)
_RETRY_LONGEST_S = const(3600)

_CALLS = const(8)  # one after the other, each because of a command that the one before brought


_SOURCES = const(((1, "light"), (2, "accelerometer")))  # the detector's


# Of the detector's memory what is looked at here; from memories.py.
_EVENTS_TO_ARM = const(2)
_EVENTS_ARMED = const(3)
_EVENTS_MASKED = const(4)


class Tracker:
    """One wake, from the first instruction to the deep sleep."""

    def __init__(self, port, profile, identity, calibrations):
        """Mount the log; ``port`` is the board, the rest as provisioned."""
        self.port = port
        self._calibrations = calibrations
        # {channel: points}; of the channels that need no correction, nothing is kept.
        self.corrections = {entry[0]: entry[5] for entry in calibrations if entry[5]}
        self._due = min([entry[4] for entry in calibrations]) if calibrations else None
        self.watchdog = Watchdog(port.watchdog())
        # Only through deep sleep has the flash surely stood as the RTC memory says.
        retained = port.retained() if port.boot_cause is None else b""
        self.recorder = Recorder(port.flash(), profile, identity, retained)
        forget("coldtrail.log", "mounting", "restoring")
        self.state = self.recorder.state
        self.failures = 0  # calls in a row that did not come through
        self.not_before = 0  # when the next one may be made, in seconds since boot
        self.attempted = 0  # highest block number that may have been published
        # Memories of what is imported for its work alone (memories.py).
        self.radio: list = []  # of the sessions
        self.events = [0, 0, 3] + [0] * 6  # of the detector: both sources are to be armed
        self.repeats: list = []  # of the sampler
        self.motion: list = []  # of flight.py
        self.task = None  # one that sampling has raised beside, and that is still to end
        self.test: "list | None" = None  # arguments of the self-test under way (press.py)
        from coldtrail import sleep

        sleep.restore(self)
        del sleep
        forget("coldtrail", "sleep")
        self._departure = None  # when a call must be over, in seconds since boot
        self.pressed_ms = 0  # for how many ms the button was down, at the longest, during a call

    def wake(self):
        """Do what this wake is for, then sleep; returns where the chip's sleep does."""
        cause = self.port.boot_cause
        t = self.port.since_boot(self.state.boot_rtc)[0]
        lost = self.state.boot == 0 or t < (self.state.last or 0)
        if cause is None and lost and not self.recorder.boot:
            cause = _OTHER  # the chip's counter did not survive, whatever the chip says
        if cause is not None:
            self.recorder.boot = [cause, self.port.counter()[0]]
            self.failures = 0
            self.not_before = self.now()
        self._resume()
        if self.test:
            from coldtrail.selftest import press

            silent = self.is_silent()
            self.test = press.run(self, self.port, self.recorder, silent, *self.test)
            self._sleep()
            return
        call = self._button() if self.port.woken_by_button() else False
        self.sample_when_due(self.detect())
        self.watchdog.feed()
        if self.port.cable() and not self.test:
            from coldtrail import cable_session

            call, pressed = cable_session.run(self, call)
            del cable_session
            forget("coldtrail", "cable_session")
            call = (pressed and self._button()) or call
        for _ in range(_CALLS):
            if self.pressed_ms:
                call = self._button() or call
            if self.test or self.is_silent(True) or not (call or self.call_is_due()):
                break
            call = False
            import asyncio

            asyncio.run(self.call())
        self._sleep()

    def _sleep(self):
        from coldtrail import sleep

        sleep.sleep(self)

    def now(self):
        return self.port.since_boot(self.state.boot_rtc)[0]

    def rounded_now(self):
        t, ms = self.port.since_boot(self.state.boot_rtc)
        return t + (ms >= 500)

    # ---- boot, shipment, button ----

    def _resume(self):
        """Record what has begun, unless the log is full and has no room yet."""
        recorder = self.recorder
        if recorder.room() and (recorder.boot or self.state.full):
            from coldtrail import shipment

            took = shipment.resume(self.port, recorder, self.events, self._calibrations)
            self.not_before += took
            del shipment
            forget("coldtrail", "shipment")
        if not recorder.boot:
            self._calibrations = None  # their texts are in the log

    def _button(self):
        """Answer a press; return whether to call."""
        from coldtrail import panel

        pressed_ms, self.pressed_ms = self.pressed_ms, 0
        stopped, tested = panel.answer(self, pressed_ms)
        del panel
        forget("coldtrail", "panel", "shipment")
        if tested and not (_MODEM and self.is_silent()):
            self.start_test(False, False)
        return stopped

    def start_test(self, as_json, gnss):
        """Have the self-test begin with the next wake; its arguments as in ``press.run``."""
        self.test = [as_json, gnss]

    # ---- samples ----

    def wait_s(self):
        """Seconds to the next sample; None when none is to be taken."""
        state = self.state
        if state.shipment is None or state.stopping or state.full:
            return None
        if state.last is None:
            return 0
        due = state.last + state.interval
        if state.held:
            # An alarm is told as soon as it cannot be of the arrival any more.
            due = min(due, state.held[0][0] + self.recorder.profile.arrival_window + 1)
        return due - self.now()

    def sample_when_due(self, at_once):
        """Take a sample when it is due, waiting out the second by which the wake was early."""
        wait = self.wait_s()
        if wait is None or (wait > 1 and not at_once):
            return
        if wait == 1:
            time.sleep_ms(1000 - self.port.since_boot(self.state.boot_rtc)[1])
        elif wait > 1 and self.rounded_now() <= self.state.last:
            # Two samples in one second would be two readings at one time.
            time.sleep_ms(1000)
        self.sample()

    def sample(self):
        """Take a sample now."""
        from coldtrail import sample

        sample.take(self)
        del sample
        forget("coldtrail", "sample")
        forget("coldtrail.sensing", "sampler", "correction")

    def is_overdue(self, t):
        """Tell whether a calibration is past its due date, as far as the time is known."""
        now = self.state.unix(t)
        return self._due is not None and now is not None and now >= self._due

    # ---- events ----

    def seen(self):
        """Return which of the armed sources have seen something."""
        seen = 0
        for source, name in _SOURCES:
            if self.events[_EVENTS_ARMED] & source and self.port.interrupted(name):
                seen |= source
        return seen

    def detect(self):
        """Take note of what light and accelerometer have seen; return whether to sample for it."""
        events, seen = self.events, self.seen()
        if self.wait_s() is None or not (seen or events[_EVENTS_TO_ARM] or events[_EVENTS_MASKED]):
            return False
        from coldtrail.sensing import detector

        sample = detector.look(self.port, self.recorder, events, seen, self.now())
        del detector
        self.port.release_all()
        forget("coldtrail.sensing", "detector")
        return sample

    # ---- uplink ----

    def retries(self):
        """Whether a failed call is repeated before the next upload time."""
        state = self.state
        if state.pending == 0:
            return False
        # Somebody has to act, or nothing more is sampled, so that there is no next upload time.
        return not state.is_confirmed(state.urgent_number) or self.wait_s() is None

    def call_is_due(self):
        state = self.state
        now = self.now()
        if state.sync is None or state.urgent or self.retries():
            # Without the time, nobody can say when this boot's samples were taken.
            return now >= self.not_before
        if state.oldest is None or now < self.not_before:
            return False
        return now - state.oldest + state.interval >= state.upload_interval

    def is_silent(self, listen=False):
        """Look after flight mode; return whether nothing may be sent.

        ``listen``: the modem is free, and nothing waits.
        """
        recorder = self.recorder
        self._departure = None
        if not _MODEM:
            return True
        if not (recorder.profile.flight_limit or recorder.identity.flights or self.state.flight):
            return False
        from coldtrail.sensing import flight

        silent, self._departure = flight.look_after(
            self.port, recorder, self.motion, self.watchdog, listen and self.while_sampling
        )
        del flight
        forget("coldtrail.sensing", "flight")
        return silent

    async def call(self):
        """Call; whatever that raises ends the call, not the tracker.

        So does a MemoryError: what the call holds is given back, and the next wake's heap is new.
        """
        try:
            await self._call()
        except Exception as error:
            from coldtrail.uplink import raised

            await raised.end(self, error)
            del raised
            forget("coldtrail.uplink", "raised")

    async def _call(self):
        """Call; and again as long as there is a command's outcome to tell."""
        again = None
        for _ in range(_CALLS):
            self.recorder.seal()
            reached, command, refused, replayed, sent = await self.session(again)
            self._resume()
            if not (command or refused or self.state.taken or (reached and self._distrusts())):
                return
            self.forget_session()
            self.watchdog.feed()
            from coldtrail.uplink import commands

            due, again = commands.follow(
                self.port, self.recorder, command, refused, replayed, sent
            )
            del commands
            forget("coldtrail.uplink", "commands")
            forget("coldtrail", "outcome", "shipment")
            forget("coldtrail.contract", "limits")
            if not reached or not due or self.is_silent():
                return

    @staticmethod
    def forget_session():
        """Give back what a session leaves loaded."""
        forget("coldtrail.uplink", "session", "mqtt")
        forget("drivers.bg95", "modem", "at", "at_text", "stream", "text")

    def _distrusts(self):
        """Whether a message of the gateway's was not believed in the last session."""
        return any(fault >> 4 == _SUBJECT_DOWNLINK for fault in self.state.faults)

    async def session(self, again=None):
        """Run one uplink session; samples are taken and the watchdog is fed meanwhile.

        Return whether it came through, and what it found for commands.py.
        """
        import asyncio

        from coldtrail.uplink.session import Session

        # The session's code and buffers stay for its length: let them lie together.
        gc.collect()
        session = Session(
            self.port, self.recorder, self.watchdog, self.attempted, self.radio, again
        )
        try:
            all_confirmed = await self.while_sampling(session.run())
        except asyncio.CancelledError:
            all_confirmed, session.reason = False, "a planned flight begins"
        finally:
            self.attempted = session.newest
        reached = all_confirmed and self.state.sync is not None
        if reached:
            self.failures = self.not_before = 0
        else:
            print("uplink:", session.reason or "not everything is confirmed")
            self.postpone()
        return reached, session.command, session.refused, session.replayed, session.sent_again

    def postpone(self):
        """Take note of a call that has failed: the next one may be made only later."""
        delay = min(_RETRY_LONGEST_S, _RETRY_S << min(self.failures, 4))
        self.not_before = self.now() + delay
        self.failures += 1

    async def while_sampling(self, coroutine):
        """Run a coroutine; take samples and feed the watchdog meanwhile. Return its result.

        Raises CancelledError where a planned flight has ended it.
        """
        import asyncio

        task = asyncio.create_task(coroutine)
        since = None
        try:
            while not task.done():
                if self.port.button():
                    now = time.ticks_ms()
                    since = now if since is None else since
                    self.pressed_ms = max(self.pressed_ms, time.ticks_diff(now, since) + _LOOP_MS)
                else:
                    since = None
                self.watchdog.expect(_SAMPLER, _SAMPLE_LIMIT_MS)
                wait = self.wait_s()
                if wait is not None and wait <= 0:
                    self.sample()
                elif self.seen():
                    self.sample_when_due(self.detect())
                if self._departure is not None and self.now() >= self._departure:
                    self._departure = None
                    task.cancel()
                self.watchdog.feed()
                await asyncio.sleep_ms(_LOOP_MS)
        finally:
            self.watchdog.done(_SAMPLER)
            if not task.done():
                task.cancel()
                self.task = task
        return await task
