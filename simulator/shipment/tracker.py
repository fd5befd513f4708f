"""The common interface of simulated trackers, with the chip simulated here or in Renode."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Protocol

from coldtrail_simulator.clock import Clock
from coldtrail_simulator.journal import Journal


class Tracker(Protocol):
    """A board with its firmware, in virtual time: a Simulation, or an Emulation with Renode.

    If the chip runs in its own thread or process, time passes only in ``run``, and clock and parts
    may be used only through ``do``.
    """

    clock: Clock
    journal: Journal
    parts: dict[str, Any]
    """The parts of the board, by their names in the board file."""

    @property
    def awake(self) -> bool:
        """Whether the firmware runs at the moment, as far as is known."""

    def rng(self, name: str) -> random.Random:
        """Return the random number generator of one part of the run."""

    def power_on(self) -> None:
        """Insert the battery."""

    def power_off(self) -> None:
        """Remove the battery at any moment."""

    def power_cut(self, us: int) -> None:
        """Remove the battery and insert it after ``us``."""

    def plug(self) -> object:
        """Plug the cable in."""

    def unplug(self) -> None:
        """Pull the cable."""

    def hang(self) -> None:
        """Let the firmware compute, or wait for its hardware, endlessly."""

    def do(self, action: Callable[[], Any]) -> Any:
        """Call ``action`` between two steps of the run, and return its result."""

    def run(self, until_us: int) -> None:
        """Advance virtual time to ``until_us``."""

    def close(self) -> None:
        """End every process and close every file."""

    def __enter__(self) -> Any: ...

    def __exit__(self, *_: object) -> None: ...
