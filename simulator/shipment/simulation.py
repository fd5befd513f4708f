"""One run: a board with its firmware, in virtual time."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from coldtrail_simulator.board import file as boards
from coldtrail_simulator.board import wiring
from coldtrail_simulator.board.wiring import Bench, Factory, Surroundings
from coldtrail_simulator.clock import US_PER_S, Clock
from coldtrail_simulator.esp32.chip import Chip
from coldtrail_simulator.esp32.console import Console
from coldtrail_simulator.esp32.interpreter import Interpreter
from coldtrail_simulator.esp32.protocol import Op
from coldtrail_simulator.journal import Journal
from coldtrail_simulator.services import tools

LISTEN_S = 0.25
"""Longest real time between two checks of an attached console while the tracker is idle."""
LEAD_S = 0.01
"""The same while the firmware works, and the largest lead of virtual over real time."""


class Simulation:
    """A tracker in its world.

    Other parts of the run use its ``clock`` (``call_at``), ``journal`` and ``rng``. The parts of
    the board are in ``parts``, by their names in the board file; the chip's faults and pins are in
    ``chip``.

    Args:
        board: the constants of a board file, as ``board.load`` returns them.
        volume: the tracker's file system, a folder with the firmware.
        world: the quantities that the sensors measure.
        seed: determines all random choices.
        out: folder for ``journal.jsonl`` and ``console.log``, or None.
        factories: create parts in addition to or instead of ``wiring.FACTORIES``.
        argv: the MicroPython to run; ``tools.micropython()`` by default.
        heap_kib: size of its heap; None for its default.
        speed: virtual seconds for each real second while a console is attached.

    Raises:
        BoardFileError: the board cannot be wired.
        ToolError: there is no MicroPython.
    """

    def __init__(
        self,
        board: Mapping[str, Any],
        volume: Path,
        world: Surroundings,
        *,
        seed: int = 1,
        out: Path | None = None,
        factories: Mapping[str, Factory] | None = None,
        argv: Sequence[str] | None = None,
        heap_kib: int | None = None,
        speed: float = 1,
    ) -> None:
        boards.check(board)
        if board["CHIP"] != "esp32":
            raise boards.BoardFileError(
                f"{board['NAME']}: the {board['CHIP']} is not simulated here but emulated by "
                "Renode (make renode)."
            )
        argv = argv or tools.micropython()
        self.clock: Clock = Clock()
        self.journal: Journal = Journal(self.clock, out / "journal.jsonl" if out else None)
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
        self.speed = speed
        self._closed = False
        self.parts: dict[str, Any] = wiring.build(board, self.chip, self._bench, factories or {})
        self._switched = {name for name, entry in boards.parts(board).items() if "supply" in entry}

    def rng(self, name: str) -> random.Random:
        """Return the random number generator of one part of the run."""
        return self._bench.rng(name)

    def power_on(self) -> None:
        """Insert the battery."""
        for name, part in self.parts.items():
            if name not in self._switched and hasattr(part, "power_on"):
                part.power_on()
        self.chip.power_on()

    def power_off(self) -> None:
        """Remove the battery at any moment."""
        # The parts first: changes of the chip's pins during a power loss must not reach them.
        for part in self.parts.values():
            if hasattr(part, "power_off"):
                part.power_off()
        self.chip.power_off()

    def power_cut(self, us: int) -> None:
        """Remove the battery and insert it after ``us``."""
        self.clock.call_after(us, self.power_on)
        self.power_off()

    def plug(self) -> str:
        """Plug the cable in; return the name of the terminal, if there is one."""
        self.parts["vbus"].plug()
        return self.console.plug()

    def unplug(self) -> None:
        """Pull the cable at any moment."""
        # In this order, because a program that sees the port vanish may read the pin at once.
        self.parts["vbus"].unplug()
        self.console.unplug()

    @property
    def awake(self) -> bool:
        """Whether the firmware runs at this moment."""
        return self.chip.state == "running"

    def hang(self) -> None:
        """Let the firmware compute endlessly from its next SPI read on."""
        self.chip.hang_next.add(Op.SPI_READ)

    def do(self, action: Callable[[], Any]) -> Any:
        """Call ``action`` between two steps of the run, and return its result."""
        return action()

    def run(self, until_us: int) -> None:
        """Advance virtual time to ``until_us``, as fast as possible or in step with a console.

        Raises:
            RunInvalidError: the run proves nothing.
        """
        clock, chip = self.clock, self.chip
        with self._interpreter:
            if self.console.attached:
                self._run_in_step(until_us)
            while clock.now_us < until_us:
                if chip.busy:
                    chip.serve()
                else:
                    clock.step(until_us)

    def _run_in_step(self, until_us: int) -> None:
        """Advance virtual time at ``speed`` times real time, and read typed input."""
        clock, chip = self.clock, self.chip
        start_s, start_us = time.monotonic(), clock.now_us
        heard_s = 0.0
        while clock.now_us < until_us:
            now_s = time.monotonic()
            real_us = start_us + round((now_s - start_s) * US_PER_S * self.speed)
            due_us = clock.now_us if chip.busy else min(clock.next_us, until_us)
            wait_s = (due_us - real_us) / US_PER_S / self.speed
            if wait_s > LEAD_S or now_s - heard_s > LEAD_S:
                heard_s = now_s
                if typed := self.console.listen(min(wait_s, LISTEN_S)):
                    if not chip.busy:
                        clock.advance_to(min(max(clock.now_us, real_us), due_us))
                    self.console.type(typed)
            elif chip.busy:
                chip.serve()
            else:
                clock.step(until_us)

    def close(self) -> None:
        """End every process and close every file; a second call has no effect."""
        if not self._closed:
            self._closed = True
            self.chip.close()
            self._interpreter.close()
            self.console.close()
            self.journal.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
