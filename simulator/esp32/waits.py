"""The firmware's waits: each ends at its time, when a line has data, or for an interrupt.

Source: the ESP32 port of MicroPython (ports/esp32: machine_pin.c queues the interrupts,
mphalport.c waits).
"""
# ruff: noqa: ARG002 -- every request handler has the one signature the dispatch table calls.

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping

from coldtrail_simulator.clock import NEVER, US_PER_MS, Clock, Handle
from coldtrail_simulator.esp32.console import Console
from coldtrail_simulator.esp32.peripherals import LATER, Answer
from coldtrail_simulator.esp32.protocol import CONSOLE_LINE, ENDLESS, INTERRUPTED
from coldtrail_simulator.wires import UART

UART_LINES = 7
IRQ_QUEUE = 8  # interrupts that the port queues; more are dropped


class Waits:
    """The wait that is under way, and the interrupts whose handlers have not run yet.

    The ``do_...`` methods answer the requests of ``protocol.Op``.

    Args:
        ended: called with the reply to the firmware when a wait has ended.
    """

    def __init__(
        self,
        clock: Clock,
        uarts: Mapping[int, UART],
        console: Console,
        ended: Callable[[int], object],
    ) -> None:
        self._clock = clock
        self._uarts = uarts
        self._console = console
        self._ended = ended
        console.on_input = self.look
        for uart in uarts.values():
            uart.on_data = self.look
        self._end: Handle | None = None
        self.forget()

    def forget(self) -> None:
        """Clear everything that a reset clears."""
        self._cancel()
        self._interrupts: deque[int] = deque()
        self._broken = (0, 0)

    def _cancel(self) -> None:
        self._wait: tuple[int, int] | None = None
        if self._end:
            self._end.cancel()
            self._end = None

    @property
    def under_way(self) -> bool:
        """Whether the firmware waits."""
        return self._wait is not None

    def begin(self, end_us: int, lines: int) -> Answer:
        """Wait until a time or until one of ``lines`` has data; LATER unless it ends at once."""
        if ready := self.ready(lines):
            return ready
        if self._interrupts:
            self._broken = (end_us, lines)
            return INTERRUPTED
        if end_us <= self._clock.now_us:
            return 0
        self._wait = (end_us, lines)
        if end_us < NEVER:
            self._end = self._clock.call_at(end_us, lambda: self.finish(0))
        return LATER

    def finish(self, answer: int) -> None:
        """End the wait that is under way."""
        self._cancel()
        self._ended(answer)

    def ready(self, lines: int) -> int:
        """Return those of ``lines`` that have data."""
        ready = CONSOLE_LINE if lines & CONSOLE_LINE and self._console.waiting else 0
        for number, uart in self._uarts.items():
            if uart.received:
                ready |= 1 << number
        return ready & lines

    def look(self) -> None:
        """End the wait if one of its lines has received something."""
        if self._wait and (ready := self.ready(self._wait[1])):
            self.finish(ready)

    # --- interrupts

    def interrupt(self, pin: int) -> None:
        """Queue the interrupt of a pin; it ends the wait, which the firmware resumes later."""
        if len(self._interrupts) < IRQ_QUEUE:
            self._interrupts.append(pin)
            if self._wait:
                self._broken = self._wait
                self.finish(INTERRUPTED)

    def take_interrupt(self) -> int | None:
        """Return the pin whose handler must run next and take it off the queue."""
        return self._interrupts.popleft() if self._interrupts else None

    def drop_interrupts(self) -> None:
        """Empty the queue."""
        self._interrupts.clear()

    # --- requests

    def do_sleep_us(self, unit: int, argument: int, data: bytes) -> Answer:
        return self.begin(self._clock.now_us + argument, 0)

    def do_sleep_ms(self, unit: int, argument: int, data: bytes) -> Answer:
        return self.begin(self._clock.now_us + argument * US_PER_MS, 0)

    def do_poll(self, unit: int, argument: int, data: bytes) -> Answer:
        end = NEVER if argument == ENDLESS else self._clock.now_us + argument * US_PER_MS
        return self.begin(end, unit)

    def do_resume(self, unit: int, argument: int, data: bytes) -> Answer:
        return self.begin(*self._broken)

    def do_uart_flush(self, unit: int, argument: int, data: bytes) -> Answer:
        left = self._uarts[unit].sending_us
        if argument and left:
            return self.begin(self._clock.now_us + left, 0)
        return left
