"""The wake cycle: boot or wake, sample, judge, seal, call when there is reason to, sleep."""

import gc
import time

from micropython import const

import board
from coldtrail.judging.alarms import judged
from coldtrail.log.recorder import Recorder
from coldtrail.sensing import sampler
from coldtrail.watchdog import Watchdog
from drivers import forget

# From records.py, so that the compiler puts them in place.
_SAMPLE = const(1)
_FAULT = const(13)
_SHOCK = const(14)
_FREE_FALL = const(15)
_REPEATED = const(21)
_OTHER = const(5)
_BY_BUTTON = const(1)
_SUBJECT_CLOCK = const(7)
_SUBJECT_DOWNLINK = const(9)
_NO_SYNC = const(1)
_STORM = const(12)

_MODEM = bool(getattr(board, "MODEM", None))  # on a bench there is none: it never calls
_SAMPLER = "sampler"
_LOOP_MS = const(250)
_SAMPLE_LIMIT_MS = const(20_000)

# A call that failed is repeated after 5, 10, 20, 40, then every 60 minutes. Ordinary blocks wait
# for the next upload time instead: nobody has to act on them.
_RETRY_S = const(300)
_RETRY_LONGEST_S = const(3600)

_CALLS = const(8)  # one after the other, each because of a command that the one before brought

_TEST_PRESSES = const(2)  # beside the one that woke the tracker
_FLIGHT_S = const(600)  # a landing is looked for so often at least

_SOURCES = ((1, "light"), (2, "accelerometer"))  # the detector's
_CLOCK_LOST_S = const(6 * 3600)

# The detector's memory, as far as it is looked at here (see detector.py).
_OPEN = const(0)
_LIMIT = const(1)
_TO_ARM = const(2)
_ARMED = const(3)
_MASKED = const(4)


class Tracker:
    """One wake, from the first instruction to the deep sleep."""

    def __init__(self, port, profile, identity, calibrations):
        """Mount the log; ``port`` is the board, the rest as provisioned."""
        self._port = port
        self._calibrations = calibrations
        # {channel: points}; of the channels that need no correction, nothing is kept.
        self._tables = {entry[0]: entry[5] for entry in calibrations if entry[5]}
        self._due = min([entry[4] for entry in calibrations]) if calibrations else None
        self._watchdog = Watchdog(port.watchdog())
        # Only through deep sleep has the flash surely stood as the RTC memory says.
        retained = port.retained() if port.boot_cause is None else b""
        self._recorder = Recorder(port.flash(), profile, identity, retained)
        forget("coldtrail.log.mounting")
        self._state = self._recorder.state
        # The detector's memory begins with both sources to be armed.
        events = [0, 0, 3] + [0] * 6
        extra = self._recorder.extra or (0, 0, 0, [], events, sampler.repeats(), [], None)
        self._failures, self._not_before, self._attempted, self._radio = extra[:4]
        self._events, self._repeats, self._motion = extra[4:7]
        self._test = extra[7]  # the self-test under way: the arguments of selftest_press.run
        self._departure = None  # when a call must be over, in seconds since boot
        self._pressed = 0  # for how many ms the button was down, at the longest, during a call

    def wake(self):
        """Do what this wake is for, then sleep; returns where the chip's sleep does."""
        cause = self._port.boot_cause
        t = self._port.since_boot(self._state.boot_rtc)[0]
        lost = self._state.boot == 0 or t < (self._state.last or 0)
        if cause is None and lost and not self._recorder.boot:
            cause = _OTHER  # the chip's counter did not survive, whatever the chip says
        if cause is not None:
            self._recorder.boot = [cause, self._port.counter()[0]]
            self._failures = 0
            self._not_before = self._now()
        self._go_on()
        if self._test:
            from coldtrail.selftest import press

            silent = self._silent()
            self._test = press.run(self, self._port, self._recorder, silent, *self._test)
            self._sleep()
            return
        call = self._button() if self._port.woken_by_button() else False
        self._sample_when_due(self._detect())
        self._watchdog.feed()
        if self._port.cable() and not self._test:
            from coldtrail import cable_session

            call, pressed, self._test = cable_session.attend(self, call)
            del cable_session
            forget("coldtrail.cable_session")
            call = (pressed and self._button()) or call
        for _ in range(_CALLS):
            if self._pressed:
                call = self._button() or call
            if self._test or self._silent(True) or not (call or self._call_is_due()):
                break
            call = False
            import asyncio

            asyncio.run(self._call())
        self._sleep()

    def _now(self):
        return self._port.since_boot(self._state.boot_rtc)[0]

    def _rounded_now(self):
        t, ms = self._port.since_boot(self._state.boot_rtc)
        return t + (ms >= 500)

    # ---- boot, shipment, button ----

    def _go_on(self):
        """Record what has begun, unless the log is full and has no room yet."""
        recorder = self._recorder
        if recorder.room() and (recorder.boot or self._state.full):
            self._begin()
        if not recorder.boot:
            self._calibrations = None  # their texts are in the log

    def _begin(self):
        from coldtrail import shipment

        recorder = self._recorder
        booted = recorder.boot
        if booted:
            before = self._now()
            shipment.boot(self._port, recorder, self._events)
            self._not_before += self._now() - before
        recorder.go_on(self._now())
        shipment.begin(recorder, self._now())
        if booted:
            shipment.calibrations(recorder, self._now(), self._calibrations)
        del shipment
        forget("coldtrail.shipment")

    def _button(self):
        """Answer a press: short shows the verdict, held for 3 s stops; True when to call.

        Pressed twice more while the verdict shows, it makes the self-test.
        """
        from coldtrail import panel

        state = self._state
        stop = panel.held(self._port, self._pressed) and state.shipment is not None
        self._pressed = 0
        if stop:
            from coldtrail import shipment

            if self._recorder.boot:
                # A time needs its boot, and there is room for a few records.
                shipment.boot(self._port, self._recorder, self._events)
            shipment.stop(self._recorder, self._now(), _BY_BUTTON)
            del shipment
            forget("coldtrail.shipment")
        overdue = self._overdue(self._now())
        unclear = not stop and (state.faults or state.shipment is None or overdue)
        presses = panel.show(self._port, state.engine.alarmed, unclear)
        del panel
        forget("coldtrail.panel")
        if presses >= _TEST_PRESSES and not stop and not (_MODEM and self._silent()):
            self._test = [False, False]
        return stop

    # ---- samples ----

    def _wait_s(self):
        """Seconds to the next sample; None when none is to be taken."""
        state = self._state
        if state.shipment is None or state.stopping or state.full:
            return None
        if state.last is None:
            return 0
        return state.last + state.interval - self._now()

    def _sample_when_due(self, at_once):
        """Take a sample when it is due, waiting out the second by which the wake was early."""
        wait = self._wait_s()
        if wait is None or (wait > 1 and not at_once):
            return
        if wait == 1:
            time.sleep_ms(1000 - self._port.since_boot(self._state.boot_rtc)[1])
        elif wait > 1 and self._rounded_now() <= self._state.last:
            # Two samples in one second would be two readings at one time.
            time.sleep_ms(1000)
        self._sample()

    def _sample(self):
        state, recorder = self._state, self._recorder
        urgent = state.urgent
        if state.oldest is not None and state.leading != state.interval:
            recorder.seal()  # the samples of a block share one interval
        t = self._rounded_now()
        reading = sampler.sample(self._port, self._repeats, self._tables)
        if self._overdue(t):
            reading[0] |= sampler.OVERDUE
        if self._repeats[sampler.REPEATED] is not None:
            recorder.record(_REPEATED, [t, 0, self._repeats[sampler.REPEATED]])
        recorder.record(_SAMPLE, [t] + reading)
        recorder.settle()
        for subject, code in sampler.faults(reading[0]):
            for fault in list(state.faults):
                # A storm is the detector's, and no reading ends it.
                if fault >> 4 == subject and fault & 15 not in (code, _STORM):
                    recorder.record(_FAULT, [t, subject, fault & 15, 0])
                    self._events[_TO_ARM] |= subject - 1 if subject in (2, 3) else 0
            if code:
                self._report(t, subject, code, True)
        lost = state.sync is None and t >= _CLOCK_LOST_S
        if lost or state.sync is not None:
            self._report(t, _SUBJECT_CLOCK, _NO_SYNC, lost)
        self._lit(judged(reading[0], reading[1:])[3])
        self._moved(t)
        self._port.release_all()
        if state.urgent and not urgent:
            # What is new does not wait because what was old failed.
            self._failures = self._not_before = 0

    def _report(self, t, subject, code, on):
        """Record a fault's start or end, once."""
        if on != (16 * subject + code in self._state.faults):
            self._recorder.record(_FAULT, [t, subject, code, int(on)])

    def _overdue(self, t):
        """Tell whether a calibration is past its due date, as far as the time is known."""
        sync = self._state.sync
        return self._due is not None and sync is not None and sync[2] + t - sync[0] >= self._due

    # ---- events ----

    def _seen(self):
        """Return which of the armed sources have seen something."""
        seen = 0
        for source, name in _SOURCES:
            if self._events[_ARMED] & source and self._port.interrupted(name):
                seen |= source
        return seen

    def _detect(self):
        """Take note of what light and accelerometer have seen; return whether to sample for it."""
        events, seen = self._events, self._seen()
        if self._wait_s() is None or not (seen or events[_TO_ARM] or events[_MASKED]):
            return False
        from coldtrail.sensing import detector

        sample = detector.look(self._port, self._recorder, events, seen, self._now())
        del detector
        self._port.release_all()
        forget("coldtrail.sensing.detector")
        return sample

    def _arm(self):
        """Arm what is to be armed, and nothing while there is no shipment."""
        events = self._events
        stopped = self._wait_s() is None
        if events[_ARMED] if stopped else events[_TO_ARM]:
            from coldtrail.sensing import detector

            if stopped:
                detector.disarm(self._port, events)
            else:
                detector.arm(self._port, self._recorder.profile, events)

    def _moved(self, t):
        """Record the shock, the free fall or both that the accelerometer found at its sample."""
        accelerometer = self._port.kept("accelerometer")
        if accelerometer is None:
            return
        peak, fall_ms = accelerometer.pending
        if fall_ms:
            self._recorder.record(_FREE_FALL, [t, fall_ms])
        if peak is not None:
            self._recorder.record(_SHOCK, [t] + list(peak))
        self._recorder.settle()

    def _lit(self, light):
        """Take the light of a sample: the box may have been opened or closed unnoticed."""
        is_open, limit = self._events[_OPEN], self._events[_LIMIT]
        if light is None or not limit:
            return
        if is_open != (light >= limit or (is_open and 2 * light >= limit)):
            self._events[_OPEN] ^= 1
            self._events[_TO_ARM] |= 1

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

    def _silent(self, listen=False):
        """Look after flight mode; return whether nothing may be sent.

        ``listen``: the modem is free, and nothing waits.
        """
        recorder = self._recorder
        self._departure = None
        if not _MODEM:
            return True
        if not (recorder.profile.flight_limit or recorder.identity.flights or self._state.flight):
            return False
        from coldtrail.sensing import flight

        silent, self._departure = flight.look_after(
            self._port, recorder, self._motion, self._watchdog, listen and self.attended
        )
        del flight
        forget("coldtrail.sensing.flight")
        return silent

    async def _call(self):
        """Call; and again as long as there is a command's outcome to tell."""
        again = None
        for _ in range(_CALLS):
            self._recorder.seal()
            reached, command, refused, replayed, sent = await self.session(again)
            self._go_on()
            if not (command or refused or self._state.taken or (reached and self._distrusts())):
                return
            forget(
                "coldtrail.uplink.session",
                "coldtrail.uplink.mqtt",
                "drivers.bg95.modem",
                "drivers.bg95.at",
            )
            self._watchdog.feed()
            from coldtrail.uplink import commands

            told, again = commands.follow(
                self._port, self._recorder, command, refused, replayed, sent
            )
            del commands
            forget("coldtrail.uplink.commands", "coldtrail.shipment", "coldtrail.contract.limits")
            if not reached or not told or self._silent():
                return

    def _distrusts(self):
        """Whether a message of the gateway's was not believed in the last session."""
        return any(fault >> 4 == _SUBJECT_DOWNLINK for fault in self._state.faults)

    async def session(self, again=None):
        """Run one uplink session; samples are taken and the watchdog is fed meanwhile.

        Return whether it came through, and what it found for commands.py.
        """
        import asyncio

        from coldtrail.uplink.session import Session

        # The session's code and buffers stay for its length: let them lie together.
        gc.collect()
        session = Session(
            self._port, self._recorder, self._watchdog, self._attempted, self._radio, again
        )
        try:
            all_confirmed = await self.attended(session.run())
        except asyncio.CancelledError:
            all_confirmed, session.reason = False, "a planned flight begins"
        self._attempted = session.newest
        reached = all_confirmed and self._state.sync is not None
        if reached:
            self._failures = self._not_before = 0
        else:
            print("uplink:", session.reason or "not everything is confirmed")
            delay = min(_RETRY_LONGEST_S, _RETRY_S << min(self._failures, 4))
            self._not_before = self._now() + delay
            self._failures += 1
        return reached, session.command, session.refused, session.replayed, session.sent_again

    async def attended(self, coroutine):
        """Run a coroutine; take samples and feed the watchdog meanwhile. Return its result.

        Raises CancelledError where a planned flight has ended it.
        """
        import asyncio

        task = asyncio.create_task(coroutine)
        since = None
        while not task.done():
            if self._port.button():
                now = time.ticks_ms()
                since = now if since is None else since
                self._pressed = max(self._pressed, time.ticks_diff(now, since) + _LOOP_MS)
            else:
                since = None
            self._watchdog.expect(_SAMPLER, _SAMPLE_LIMIT_MS)
            wait = self._wait_s()
            if wait is not None and wait <= 0:
                self._sample()
            elif self._seen():
                self._sample_when_due(self._detect())
            if self._departure is not None and self._now() >= self._departure:
                self._departure = None
                task.cancel()
            self._watchdog.feed()
            await asyncio.sleep_ms(_LOOP_MS)
        self._watchdog.done(_SAMPLER)
        return await task

    # ---- sleep ----

    def _sleep(self):
        """Keep the hint and sleep until the next sample, call or button."""
        wait = self._wait_s()
        sooner = None
        if self._state.flight:
            sooner = _FLIGHT_S
        elif _MODEM and (self._state.urgent or self._retries()):
            sooner = self._not_before - self._now()
        if wait is None or (sooner is not None and sooner < wait):
            wait = sooner
        if self._test:
            wait = 0
        self._arm()
        ms = self._port.since_boot(self._state.boot_rtc)[1]
        self._recorder.extra = [
            self._failures,
            self._not_before,
            self._attempted,
            self._radio,
            self._events,
            self._repeats,
            self._motion,
            self._test,
        ]
        self._port.retain(self._recorder.retain())
        armed = self._events[_ARMED]
        masked = [name for bit, name in _SOURCES if not armed & bit]
        self._port.deep_sleep(None if wait is None else max(0, wait * 1000 - ms), masked)
