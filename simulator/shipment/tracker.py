"""What every simulated tracker offers, whether its chip runs here or in Renode."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Protocol

from coldtrail_simulator.clock import Clock
from coldtrail_simulator.journal import Journal


class Tracker(Protocol):
    """A board with its firmware, in virtual time: Simulation here, Emulation in Renode.

    Where the chip runs in a thread or process of its own, only ``run`` lets time pass, and what
    touches clock and parts goes through ``do``.
    """

    clock: Clock
    journal: Journal
    parts: dict[str, Any]
    """What is on the board, by the names of the board's file."""

    @property
    def awake(self) -> bool:
        """Whether the firmware runs at this moment, as far as can be told."""

    def rng(self, name: str) -> random.Random:
        """Return the random numbers of one part of the run."""

    def power_on(self) -> None:
        """Put the battery in."""

    def power_off(self) -> None:
        """Take the battery out, in the middle of anything."""

    def power_cut(self, us: int) -> None:
        """Take the battery out and put it back after ``us``."""

    def plug(self) -> object:
        """Plug the cable in."""

    def unplug(self) -> None:
        """Pull the cable."""

    def hang(self) -> None:
        """Let the firmware compute, or wait for its hardware, for ever."""

    def do(self, action: Callable[[], Any]) -> Any:
        """Call something between two steps of the run, and return its result."""

    def run(self, until_us: int) -> None:
        """Let virtual time pass until that moment."""

    def close(self) -> None:
        """End every process and close every file."""

    def __enter__(self) -> Any: ...

    def __exit__(self, *_: object) -> None: ...
