"""Keeps the tracker awake while the cable is in, with a console beside samples, events and calls.

The module is imported when the cable is plugged in, and unloaded when it is pulled. When the heap
has no room for console and call at once, the tracker calls without the console and then goes to
sleep. The cable wakes it at once, because no heap is as free as that of a new wake. The tracker
does the same when a command finds no memory.
"""

import asyncio
import gc
import sys

from micropython import const

from memory import forget

_TASK = "cable"
_LOOP_MS = const(150)  # shorter than a press of the button
_LIMIT_MS = const(20_000)
_AGAIN_MS = const(5_000)

# A call may need this many bytes of heap beside the console. With less, the console waits until
# the call has ended.
_CALL = const(44_000)


class CableSession:
    """The access of the console to the tracker.

    ``calling`` is true while a call is under way, so that the console must not use the modem.
    ``modem`` is the modem's driver while the console has it switched on. ``tired`` is true when a
    command has found no memory.
    """

    def __init__(self, tracker):
        """Keep ``tracker`` awake."""
        self.tracker = tracker
        self.port = tracker.port
        self.recorder = tracker.recorder
        self.calling = False
        self.modem = None
        self.tired = False
        self._armed = False
        self._console = None
        self._task: "asyncio.Task | None" = None

    async def run(self, call):
        """Serve the console until the cable is out or the tracker must act without a console.

        ``call`` says whether a call is wanted now. Returns (whether a call is still wanted,
        whether the button is pressed). A self-test that a command asks for also ends the session,
        because the tracker runs it.
        """
        tracker = self.tracker
        pressed = False
        while self.port.cable() and not self.tired and tracker.test is None:
            tracker.watchdog.expect(_TASK, _LIMIT_MS)
            tracker.watchdog.feed()
            pressed = (self.port.button() or tracker.pressed_ms) and not self.calling
            if pressed:
                break
            wait_ms = self._look()
            if self.modem is not None and tracker.state.flight:
                await self.free_modem()
            if not self.calling and (call or tracker.call_is_due()) and not tracker.is_silent():
                call = await self._call()
                if gc.mem_free() < _CALL:
                    break
            self._start()
            await asyncio.sleep_ms(min(wait_ms, _LOOP_MS))
        tracker.watchdog.done(_TASK)
        await self.free_modem()
        await self._end()
        return call, pressed

    def _look(self):
        """Take a sample when one is due or an event asks for it; return the ms to the next."""
        tracker = self.tracker
        wait = tracker.wait_s()
        due = wait is not None and wait <= 0
        seen = tracker.seen()
        if due or seen:
            sample = tracker.detect()
            if due:
                tracker.sample()
                tracker.is_silent()
            elif sample:
                tracker.sample_when_due(True)
        if due or seen or not self._armed:
            self._armed = True
            from coldtrail import sleep

            sleep.arm(tracker)
            del sleep
            forget("coldtrail", "sleep")
            self.port.release_all()
            forget("coldtrail.sensing", "detector")
            wait = tracker.wait_s()
        if wait is None:
            return _LOOP_MS
        return max(0, wait * 1000 - self.port.since_boot(self.recorder.state.boot_rtc)[1])

    # ---- calls ----

    async def _call(self):
        """Make a call beside the console; return whether a call is still wanted."""
        await self.free_modem()
        gc.collect()
        if gc.mem_free() < _CALL:
            print("coldtrail: calling the gateway; the console waits for the end of the call")
            return True
        self._start()
        await asyncio.sleep_ms(0)
        print("coldtrail: calling the gateway")
        self.tracker.watchdog.done(_TASK)
        self.calling = True
        task = asyncio.create_task(self.tracker.call())
        while not task.done():
            if self.port.cable():
                self._start()
            else:
                await self._end()
            await asyncio.sleep_ms(_LOOP_MS)
        await task
        self.calling = False
        print("coldtrail: the call has ended")
        self.tracker.forget_session()
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
            except Exception as error:  # no error of the console may end the tracker
                sys.print_exception(error)
            await asyncio.sleep_ms(_AGAIN_MS)

    async def _end(self):
        """End the console and free its memory."""
        if self._console is not None:
            await self._console.stop()
        task, self._task, self._console = self._task, None, None
        if task is not None:
            task.cancel()
            try:
                await task
            except asyncio.CancelledError:
                pass
        forget("coldtrail", "console")


def run(tracker, call):
    """Serve the console until the cable is pulled; with ``call`` the tracker calls first.

    Returns what ``CableSession.run`` returns.
    """
    return asyncio.run(CableSession(tracker).run(call))
