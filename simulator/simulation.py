"""One run: a board with its firmware, in virtual time."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from . import board as boards
from . import tools, wiring
from .chip import Chip
from .journal import Journal
from .kernel import US_PER_S, Clock
from .process import Console, Interpreter
from .wiring import Bench, Factory, World

LISTEN_S = 0.25
"""An attached console looks up at least this often."""


class Simulation:
    """A tracker in its world.

    Others join the run by its ``clock`` (``call_at``), its ``journal`` and ``rng``; what is on
    the board is in ``parts``, by the names of the board's file, and the chip's faults and pins
    are in ``chip``.

    Args:
        board: the constants of a board file, as ``board.load`` returns them.
        volume: the tracker's file system, a folder with the firmware on it.
        world: what the sensors measure.
        seed: decides everything that is left to chance.
        out: folder for ``journal.jsonl`` and ``console.log``; none without it.
        factories: build parts that ``wiring.FACTORIES`` does not know, or differently.
        argv: the MicroPython to run; ``tools.micropython()`` by default.
        heap_kib: size of its heap; its own default when None.

    Raises:
        BoardError: the board cannot be.
        ToolError: there is no MicroPython.
    """

    def __init__(
        self,
        board: Mapping[str, Any],
        volume: Path,
        world: World,
        *,
        seed: int = 1,
        out: Path | None = None,
        factories: Mapping[str, Factory] | None = None,
        argv: Sequence[str] | None = None,
        heap_kib: int | None = None,
    ) -> None:
        boards.check(board)
        argv = argv or tools.micropython()
        self.clock = Clock()
        self.journal = Journal(self.clock, out / "journal.jsonl" if out else None)
        self.console = Console(self.clock, out / "console.log" if out else None)
        self._bench = Bench(self.clock, self.journal, world, seed)
        self._interpreter = Interpreter(argv, volume, self.console, heap_kib)
        ppm = self.rng("rtc").uniform(-board["RTC_PPM"], board["RTC_PPM"])
        self.chip = Chip(
            self.clock,
            self.journal,
            self.rng("chip"),
            self.console,
            self._interpreter.start,
            boot_us=board["BOOT_MS"] * 1000,
            call_us=board["CALL_US"],
            ticks_us=board["TICKS_US"],
            rtc_ppb=round(ppm * 1000),
        )
        self._closed = False
        self.parts = wiring.build(board, self.chip, self._bench, factories or {})
        self._switched = {name for name, entry in boards.parts(board).items() if "supply" in entry}

    def rng(self, name: str) -> random.Random:
        """Return the random numbers of one part of the run."""
        return self._bench.rng(name)

    def power_on(self) -> None:
        """Put the battery in."""
        for name, part in self.parts.items():
            if name not in self._switched and hasattr(part, "power_on"):
                part.power_on()
        self.chip.power_on()

    def power_off(self) -> None:
        """Take the battery out, in the middle of anything."""
        # The parts first: what the chip's pins do as it dies must not reach them.
        for part in self.parts.values():
            if hasattr(part, "power_off"):
                part.power_off()
        self.chip.power_off()

    def power_cut(self, us: int) -> None:
        """Take the battery out and put it back after ``us``."""
        self.clock.call_after(us, self.power_on)
        self.power_off()

    def run(self, until_us: int) -> None:
        """Let virtual time pass until that moment; as fast as it goes, or with a console in step.

        Raises:
            RunInvalidError: nothing can be concluded from the run.
        """
        clock, chip = self.clock, self.chip
        real_s, virtual_us = time.monotonic(), clock.now_us
        with self._interpreter:
            while clock.now_us < until_us:
                if chip.busy:
                    chip.serve()
                elif self.console.attached:
                    passed_us = round((time.monotonic() - real_s) * US_PER_S)
                    self._wait(virtual_us + passed_us, until_us)
                else:
                    clock.step(until_us)

    def _wait(self, real_us: int, until_us: int) -> None:
        """Wait in real time for the next event, which may be a key; ``real_us``: now."""
        clock = self.clock
        due_us = min(clock.next_us, until_us)
        typed = self.console.listen(min((due_us - real_us) / US_PER_S, LISTEN_S))
        if typed:
            clock.advance_to(min(max(clock.now_us, real_us), due_us))
            self.console.type(typed)
        elif due_us - real_us <= LISTEN_S * US_PER_S:
            clock.step(until_us)

    def close(self) -> None:
        """End every process and close every file; a second time does nothing."""
        if not self._closed:
            self._closed = True
            self.chip.close()
            self._interpreter.close()
            self.console.close()
            self.journal.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
