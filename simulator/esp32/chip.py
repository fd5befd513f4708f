"""The ESP32 as its firmware sees it: power, resets, sleep, and the answers to its requests.

Sources: the ESP32 port of MicroPython (ports/esp32: modmachine.c, machine_pin.c, modesp32.c,
machine_rtc.c, machine_uart.c, machine_adc.c), the ESP32 datasheet and the technical reference
manual (RTC GPIO, sleep modes).
"""
# ruff: noqa: ARG002 -- every request handler has the one signature the dispatch table calls.

from __future__ import annotations

import random
from collections.abc import Callable

from coldtrail_simulator.clock import NEVER, US_PER_MS, US_PER_S, Clock, Handle, RunInvalidError
from coldtrail_simulator.energy import OFF, Load
from coldtrail_simulator.esp32.console import Console
from coldtrail_simulator.esp32.interpreter import Child, Hung
from coldtrail_simulator.esp32.pads import RTC_PINS, TIMER_WAKE
from coldtrail_simulator.esp32.peripherals import LATER, Answer, Handler, Peripherals
from coldtrail_simulator.esp32.protocol import ENDLESS, REPLY, Op
from coldtrail_simulator.esp32.rtc import RtcDomain
from coldtrail_simulator.esp32.timers import Watchdog
from coldtrail_simulator.esp32.waits import UART_LINES, Waits
from coldtrail_simulator.journal import Journal
from coldtrail_simulator.models import currents

POWER_ON, HARD, WATCHDOG, DEEP_SLEEP, SOFT = range(1, 6)
"""Values of ``machine.reset_cause()``."""

TICKS_MASK = (1 << 30) - 1
BOOT_KHZ = 160_000
FLOAT_US = 5 * US_PER_S  # longest time for which a floating wake pin keeps an inactive level

CAUSE_NAMES = {
    POWER_ON: "power-on",
    HARD: "reset",
    WATCHDOG: "watchdog",
    DEEP_SLEEP: "deep sleep",
    SOFT: "soft reset",
}


class Halted(Exception):
    """The chip has stopped during a request."""


class Chip:
    """One chip on its board.

    Args:
        boot_us: time from a reset to the firmware's first request.
        call_us: computing time before each later request.
        ticks_us: the same before a request that only reads a clock.
        rtc_ppb: error of the clock that runs in deep sleep, in parts per 1e9.
        launch: returns an interpreter that waits for the chip to boot.
    """

    def __init__(
        self,
        clock: Clock,
        journal: Journal,
        rng: random.Random,
        console: Console,
        launch: Callable[[], Child],
        *,
        boot_us: int,
        call_us: int,
        ticks_us: int,
        rtc_ppb: int = 0,
    ) -> None:
        self._clock = clock
        self._journal = journal
        self._rng = rng
        self.console = console
        self._launch = launch
        self._boot_us = boot_us
        self._call_us = call_us
        self._ticks_us = ticks_us
        self._watchdog = Watchdog(clock, lambda: self.reset(WATCHDOG))
        self.unique_id = rng.randbytes(6)

        self._peripherals = Peripherals(clock, rng, self._edge)
        # Connections of the board.
        self.nets = self._peripherals.nets
        self.pins = self._peripherals.pins
        self.analog = self._peripherals.analog
        self.i2c = self._peripherals.i2c
        self.spi = self._peripherals.spi
        self.uarts = self._peripherals.uarts
        self.uart_pins = self._peripherals.uart_pins
        self._waits = Waits(clock, self.uarts, console, self._go_on)
        self._rtc = RtcDomain(clock, rtc_ppb, self.nets)
        self.hang_next: set[Op] = set()
        """Fault: the next request with one of these operations is never answered."""

        self.powered = False
        self.state = "off"
        """off, booting, running, hung or sleeping."""
        self.child: Child | None = None
        self._handling = False
        self._reset_us = 0
        self._freq_khz = BOOT_KHZ
        self.load = Load(clock, currents.ESP32)
        self._timer: Handle | None = None
        self._chance: Handle | None = None
        self._light_us: int | None = None
        self._handlers: list[Handler] = [self._unknown] * 256
        for op in Op:
            name = f"do_{op.name.lower()}"
            owners = (self, self._waits, self._rtc, self._peripherals)
            self._handlers[op] = next(
                getattr(each, name) for each in owners if hasattr(each, name)
            )

    # --- power, reset, sleep ---------------------------------------------------------------

    def power_on(self) -> None:
        """Supply the chip; its real-time counter starts at 0."""
        if not self.powered:
            self.powered = True
            self._rtc.counter.start()
            self._boot(POWER_ON)

    def power_off(self) -> None:
        """Remove the supply at any moment."""
        if self.powered:
            self.powered = False
            self._rtc.power_off()
            for pin in self.pins.values():
                pin.held = False
            self._stop("off")
            self._journal.note("power-off")
            self._abandon()

    def close(self) -> None:
        """End the interpreter."""
        if self.child:
            self.child.kill()
            self.child = None
        self.state = "off"

    def reset(self, cause: int) -> None:
        """Restart the firmware; the domain of the real-time clock is not reset."""
        self._stop("booting")
        self._boot(cause)
        self._abandon()

    def _abandon(self) -> None:
        if self._handling:
            raise Halted

    def _stop(self, state: str) -> None:
        if self.child:
            self.child.kill()
            self.child = None
        self._watchdog.stop()
        for handle in (self._timer, self._chance):
            if handle:
                handle.cancel()
        self.state = "stopping"  # pins that are let go make edges, and these wake nobody
        self.load.become("deep sleep" if state == "sleeping" else OFF)
        self._light_us = None
        self._waits.forget()
        if state != "sleeping":
            self._rtc.wakes.forget()
        self._peripherals.forget()
        self.state = state

    def _boot(self, cause: int, wake: int = 0, pins: bytes = b"") -> None:
        self.state = "booting"
        self._freq_khz = BOOT_KHZ
        self.load.become("booting")
        self._reset_us = self._clock.now_us
        self._rtc.note_boot(cause, wake, pins)
        self._journal.note("boot", cause=CAUSE_NAMES[cause], wake=wake)
        self._timer = self._clock.call_after(self._boot_us, self._run)

    def _run(self) -> None:
        self.console.forget_input()
        self.child = self._launch()
        self.state = "running"
        self._draw("computing")

    def _draw(self, what: str) -> None:
        self.load.become(f"{what}, {self._freq_khz // 1000} MHz")

    def _sleep_deeply(self, ms: int) -> None:
        wakes = self._rtc.wakes
        for pin in self.pins.values():
            pin.held = pin.held and (pin.number in RTC_PINS or self._rtc.holds_pins)
        self._stop("sleeping")
        self._journal.note("deep-sleep", ms=None if ms == ENDLESS else ms)
        if wake := wakes.standing():
            self._wake_up(*wake)
            self._abandon()
        if wakes.floating():
            delay_us = self._rng.randrange(FLOAT_US)
            self._chance = self._clock.call_after(delay_us, self._wake_by_chance)
        if ms != ENDLESS:
            delay_us = self._rtc.counter.duration_us(ms)
            self._timer = self._clock.call_after(delay_us, lambda: self._wake_up(TIMER_WAKE))
        elif not wakes.armed:
            raise RunInvalidError(
                "The firmware went to deep sleep with nothing that could wake it."
            )
        self._abandon()

    def _wake_up(self, reason: int, pins: bytes = b"") -> None:
        for handle in (self._timer, self._chance):
            if handle:
                handle.cancel()
        self._rtc.wakes.forget()
        self._boot(DEEP_SLEEP, reason, pins)

    def _wake_by_chance(self) -> None:
        """Wake by a floating pin, unless it has got a level meanwhile."""
        if wake := self._rtc.wakes.floating():
            self._journal.note("floating-wake", pins=list(wake[1]))
            self._wake_up(*wake)

    def _edge(self, number: int, level: int | None) -> None:
        """React to a change of level at a pin."""
        if self.state == "sleeping":
            if wake := self._rtc.wakes.standing():
                self._wake_up(*wake)
        elif self._light_us is not None:
            if self._waits.under_way and self._rtc.wakes.standing():
                self._waits.finish(0)
        elif self.state == "running":
            trigger = 0 if level is None else 2 - level
            if self.pins[number].irq & trigger:
                self._waits.interrupt(number)

    # --- requests --------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether the firmware is computing, so that its next request is expected."""
        return self.state == "running" and not self._waits.under_way

    def serve(self) -> None:
        """Receive the firmware's next request, advance the clock and answer."""
        child = self.child
        if child is None:
            return
        try:
            op, unit, argument, us, data = child.request()
        except Hung:
            self._hang("computes without end")
            return
        clock = self._clock
        self._handling = True
        try:
            us += self._ticks_us if op <= Op.TIME_NS else self._call_us
            # The time constants of the board are for the CPU clock with which every boot starts.
            us = us * BOOT_KHZ // self._freq_khz + self.console.collect()
            if op:
                clock.advance_to(clock.now_us + us)
            if self.hang_next and op in self.hang_next:
                self.hang_next.discard(Op(op))
                self._hang(f"waits for {Op(op).name}, which is never answered")
                return
            answer = self._handlers[op](unit, argument, data)
            if answer is not LATER:
                self._reply(answer)  # type: ignore[arg-type]
            elif self._waits.under_way and self._light_us is None:
                self._draw("waiting")
        except Halted:
            pass
        finally:
            self._handling = False

    def _reply(self, answer: int | bytes) -> None:
        pin = self._waits.take_interrupt()
        irq = 0 if pin is None else pin + 1
        ms, rest = divmod(self._clock.now_us - self._reset_us, US_PER_MS)
        ms &= TICKS_MASK
        lines = self._waits.ready(UART_LINES)
        if isinstance(answer, int):
            reply = REPLY.pack(answer, 0, irq, lines, ms, rest)
        else:
            reply = REPLY.pack(0, len(answer), irq, lines, ms, rest) + answer
        if self.child:
            self.child.answer(reply)

    def _go_on(self, answer: int) -> None:
        """Let the firmware compute again after a wait."""
        self._draw("computing")
        if self._light_us is not None:
            self._watchdog.thaw(self._clock.now_us - self._light_us)
            self._light_us = None
        self._reply(answer)

    def _hang(self, how: str) -> None:
        """Stop the interpreter and leave the firmware to its watchdog."""
        self.console.collect()
        self._journal.note("hung", how=how)
        if self.child:
            self.child.kill()
            self.child = None
        self.state = "hung"
        if not self._watchdog.armed:
            words = self.console.text.strip().rpartition("\n")[2] or "nothing"
            raise RunInvalidError(
                f"The firmware {how} and no watchdog is armed: nothing can go on. "
                f"Its last words: {words}"
            )

    def _unknown(self, unit: int, argument: int, data: bytes) -> Answer:
        raise RunInvalidError(
            "The firmware's shims and the simulator speak different protocols: rebuild the shims."
        )

    def do_start(self, unit: int, argument: int, data: bytes) -> Answer:
        return self._ticks_us | self._call_us << 16

    # --- time ------------------------------------------------------------------------------

    def do_ticks_ms(self, unit: int, argument: int, data: bytes) -> Answer:
        return (self._clock.now_us - self._reset_us) // US_PER_MS & TICKS_MASK

    def do_ticks_us(self, unit: int, argument: int, data: bytes) -> Answer:
        return self._clock.now_us - self._reset_us & TICKS_MASK

    def do_wdt_init(self, unit: int, argument: int, data: bytes) -> Answer:
        self._watchdog.start(argument * US_PER_MS)
        return 0

    def do_wdt_feed(self, unit: int, argument: int, data: bytes) -> Answer:
        self._watchdog.feed()
        return 0

    def do_deepsleep(self, unit: int, argument: int, data: bytes) -> Answer:
        self._sleep_deeply(argument)
        return LATER

    def do_lightsleep(self, unit: int, argument: int, data: bytes) -> Answer:
        if self._rtc.wakes.standing():
            return 0
        end = (
            NEVER
            if argument == ENDLESS
            else self._clock.now_us + self._rtc.counter.duration_us(argument)
        )
        self._waits.drop_interrupts()
        answer = self._waits.begin(end, 0)
        if answer is LATER:
            self._light_us = self._clock.now_us
            self.load.become("light sleep")
            # The clock of the watchdog's timer is off in light sleep.
            self._watchdog.freeze()
        return answer

    def do_reset(self, unit: int, argument: int, data: bytes) -> Answer:
        self.reset(HARD)
        return LATER

    def do_unique_id(self, unit: int, argument: int, data: bytes) -> Answer:
        return self.unique_id

    def do_freq(self, unit: int, argument: int, data: bytes) -> Answer:
        if argument:
            self._freq_khz = argument // 1000
            self._draw("computing")
        return self._freq_khz

    def do_stopped(self, unit: int, argument: int, data: bytes) -> Answer:
        if argument:
            self.reset(SOFT)
        else:
            self._hang("has come to the end of main.py")
        return LATER

    def do_urandom(self, unit: int, argument: int, data: bytes) -> Answer:
        return self._rng.randbytes(argument)
