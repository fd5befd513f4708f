"""The parts that a person uses: button, cable, LED."""

from __future__ import annotations

import random

from coldtrail_simulator.clock import US_PER_MS, Clock
from coldtrail_simulator.energy import Load
from coldtrail_simulator.journal import Journal
from coldtrail_simulator.models import currents
from coldtrail_simulator.wires import Terminal

BOUNCE_US = 5 * US_PER_MS
"""Longest time for which contacts bounce."""


class Button:
    """A push button between its pin and a supply rail, with bouncing contacts.

    Args:
        active: level of the pin while the button is pressed.
    """

    def __init__(
        self,
        clock: Clock,
        rng: random.Random,
        journal: Journal,
        terminal: Terminal,
        *,
        name: str = "button",
        active: int = 1,
    ) -> None:
        self._clock = clock
        self._rng = rng
        self._journal = journal
        self._terminal = terminal
        self.name = name
        self._active = active

    def press(self, us: int) -> None:
        """Press the button now and release it after ``us``."""
        self._journal.note(self.name, ms=us // US_PER_MS)
        self._bounce(self._active)
        self._clock.call_after(us, lambda: self._bounce(None))

    def _bounce(self, level: int | None) -> None:
        other = None if level is not None else self._active
        moments = sorted(self._rng.randrange(BOUNCE_US) for _ in range(self._rng.randrange(3) * 2))
        self._terminal.drive(level)
        for n, us in enumerate(moments):
            now = other if n % 2 == 0 else level
            self._clock.call_after(us, lambda now=now: self._terminal.drive(now))  # type: ignore[misc]


class Cable:
    """A USB cable: 5 V on VBUS, divided for the pin."""

    def __init__(self, journal: Journal, terminal: Terminal, *, name: str = "vbus") -> None:
        self._journal = journal
        self._terminal = terminal
        self.name = name

    def plug(self) -> None:
        """Plug the cable in."""
        self._journal.note(self.name, level=1)
        self._terminal.drive(1)

    def unplug(self) -> None:
        """Pull the cable out."""
        self._journal.note(self.name, level=0)
        self._terminal.drive(None)


class LED:
    """A light that is on while its pin is high."""

    def __init__(self, clock: Clock, journal: Journal, terminal: Terminal, *, name: str) -> None:
        self._journal = journal
        self.name = name
        self.load = Load(clock, currents.LED, "dark")
        self.lit = False
        terminal.listener = self._edge

    def _edge(self, level: int | None) -> None:
        if self.lit != (level == 1):
            self.lit = level == 1
            self.load.become("lit" if self.lit else "dark")
            self._journal.note("led", name=self.name, lit=self.lit)
