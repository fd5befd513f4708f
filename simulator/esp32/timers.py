"""The timers of the ESP32 that run independently: the watchdog and the real-time counter."""

from __future__ import annotations

from collections.abc import Callable

from coldtrail_simulator.clock import NEVER, US_PER_MS, Clock, Handle

FROZEN_US = 1 << 50


class Watchdog:
    """Calls ``bite`` when it has been started and is not fed in time."""

    def __init__(self, clock: Clock, bite: Callable[[], object]) -> None:
        self._clock = clock
        self._bite = bite
        self._period_us = 0
        self._due_us = NEVER
        self._handle: Handle | None = None

    @property
    def armed(self) -> bool:
        """Whether it has been started."""
        return self._handle is not None

    def start(self, us: int) -> None:
        """Start or restart it with a period."""
        self._period_us = us
        if self._handle:
            self._handle.cancel()
        self.feed()
        self._handle = self._clock.call_at(self._due_us, self._look)

    def feed(self) -> None:
        """Restart the period."""
        self._due_us = self._clock.now_us + self._period_us

    def stop(self) -> None:
        """Stop it, as every reset does."""
        if self._handle:
            self._handle.cancel()
        self._handle = None
        self._period_us, self._due_us = 0, NEVER

    def freeze(self) -> None:
        """Stop its time while its clock is off."""
        self._due_us += FROZEN_US

    def thaw(self, frozen_us: int) -> None:
        """Continue its time after ``frozen_us`` without a clock."""
        self._due_us += frozen_us - FROZEN_US

    def _look(self) -> None:
        # Feeding only moves the due time. This call is then too early, and waits for the rest.
        if self._clock.now_us < self._due_us:
            self._handle = self._clock.call_at(self._due_us, self._look)
        else:
            self._handle = None
            self._bite()


class RealTimeCounter:
    """The counter that runs on in deep sleep and resets, with the error of its crystal.

    Args:
        ppb: how fast it runs, in parts per 1e9; negative when it is slow.
    """

    def __init__(self, clock: Clock, ppb: int) -> None:
        self._clock = clock
        self._ppb = ppb
        self._start_us = 0

    def start(self) -> None:
        """Start at 0, as at power-on."""
        self._start_us = self._clock.now_us

    @property
    def us(self) -> int:
        """Counted microseconds."""
        elapsed = self._clock.now_us - self._start_us
        return elapsed + elapsed * self._ppb // 1_000_000_000

    def duration_us(self, ms: int) -> int:
        """Return the real duration in us of so many counted milliseconds."""
        return ms * US_PER_MS * 1_000_000_000 // (1_000_000_000 + self._ppb)
