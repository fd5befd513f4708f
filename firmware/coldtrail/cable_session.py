"""Awake while the cable is in: the console beside samples, events, button and calls.

Imported when the cable is there, and given back when it is pulled. Where there is no memory for
console and call at once the tracker calls without it and then goes to sleep, from which the cable
wakes it at once: no heap is as free as that of a wake. So it does when a command finds no memory.
"""

import asyncio
import gc
import sys

from micropython import const

from memory import forget

_TASK = "attended"
_LOOP_MS = const(150)  # shorter than a press of the button
_LIMIT_MS = const(20_000)
_AGAIN_MS = const(5_000)

# Bytes of heap, beside the console, that a call may want: with less the console waits for its end.
_CALL = const(44_000)


class Attended:
    """What the console may use of the tracker, and what it holds of it.

    ``calling``: a call is under way, so that the modem is not the console's. ``modem``: its
    driver, while the console has it switched on. ``tired``: a command found no memory. ``test``:
    the self-test that a command asks for, its first arguments (see selftest_press.py).
    """

    def __init__(self, tracker):
        """Attend ``tracker``."""
        self.tracker = tracker
        self.port = tracker._port
        self.recorder = tracker._recorder
        self.calling = False
        self.modem = None
        self.tired = False
        self.test: "list | None" = None
        self._armed = False
        self._console = None
        self._task: "asyncio.Task | None" = None

    async def run(self, call):
        """Return when something is to be done without the console, or the cable is out.

        ``call``: somebody asks for a call now. Returns (whether somebody still does, whether the
        button is pressed, the self-test that is asked for).
        """
        tracker = self.tracker
        pressed = False
        while self.port.cable() and not self.tired and self.test is None:
            tracker._watchdog.expect(_TASK, _LIMIT_MS)
            tracker._watchdog.feed()
            pressed = (self.port.button() or tracker._pressed) and not self.calling
            if pressed:
                break
            wait_ms = self._look()
            if self.modem is not None and tracker._state.flight:
                await self.free_modem()
            if not self.calling and (call or tracker._call_is_due()) and not tracker._silent():
                call = await self._call()
                if gc.mem_free() < _CALL:
                    break
            self._start()
            await asyncio.sleep_ms(min(wait_ms, _LOOP_MS))
        tracker._watchdog.done(_TASK)
        await self.free_modem()
        await self._end()
        return call, pressed, self.test

    def _look(self):
        """Take the sample that is due, or that an event asks for; return ms to the next."""
        tracker = self.tracker
        wait = tracker._wait_s()
        due = wait is not None and wait <= 0
        seen = tracker._seen()
        if due or seen:
            sample = tracker._detect()
            if due:
                tracker._sample()
                tracker._silent()
            elif sample:
                tracker._sample_when_due(True)
        if due or seen or not self._armed:
            self._armed = True
            tracker._arm()
            self.port.release_all()
            forget("coldtrail.sensing.detector")
            wait = tracker._wait_s()
        if wait is None:
            return _LOOP_MS
        return max(0, wait * 1000 - self.port.since_boot(self.recorder.state.boot_rtc)[1])

    # ---- calls ----

    async def _call(self):
        """Make a call beside the console; return whether it is still to be made."""
        await self.free_modem()
        gc.collect()
        if gc.mem_free() < _CALL:
            print("coldtrail: calling the gateway; the console waits for the end of the call")
            return True
        self._start()
        await asyncio.sleep_ms(0)
        print("coldtrail: calling the gateway")
        self.tracker._watchdog.done(_TASK)
        self.calling = True
        task = asyncio.create_task(self.tracker._call())
        while not task.done():
            if self.port.cable():
                self._start()
            else:
                await self._end()
            await asyncio.sleep_ms(_LOOP_MS)
        await task
        self.calling = False
        print("coldtrail: the call has ended")
        forget(
            "coldtrail.uplink.session",
            "coldtrail.uplink.mqtt",
            "drivers.bg95.modem",
            "drivers.bg95.at",
        )
        return False

    async def free_modem(self):
        """Switch the modem off if the console has it on; a command that uses it ends."""
        if self._console is not None and self._console.on_air:
            await self._console.stop()
        modem, self.modem = self.modem, None
        if modem is not None:
            await modem.power_off()

    # ---- console ----

    def _start(self):
        if self._task is None:
            self._task = asyncio.create_task(self._serve())

    async def _serve(self):
        while True:
            try:
                from coldtrail.console import Console

                self._console = Console(self)
                await self._console.run()
            except Exception as error:  # whatever it is, it must not end the tracker
                sys.print_exception(error)
            await asyncio.sleep_ms(_AGAIN_MS)

    async def _end(self):
        """End the console and give its memory back."""
        if self._console is not None:
            await self._console.stop()
        task, self._task, self._console = self._task, None, None
        if task is not None:
            task.cancel()
            try:
                await task
            except asyncio.CancelledError:
                pass
        forget("coldtrail.console")


def attend(tracker, call):
    """Attend the tracker until the cable is pulled; ``call``: it is to call first.

    Return what ``Attended.run`` does.
    """
    return asyncio.run(Attended(tracker).run(call))
