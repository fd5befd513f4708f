"""One run: a board with its firmware, in virtual time."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from . import tools
from .board import World
from .bus import I2CBus
from .chip import Chip
from .journal import Journal
from .kernel import Clock, rng
from .models.sht45 import SHT45
from .process import Console, Interpreter


class Simulation:
    """A tracker in its world."""

    def __init__(
        self,
        board: Mapping[str, Any],
        volume: Path,
        world: World,
        *,
        seed: int = 1,
        out: Path | None = None,
        argv: Sequence[str] | None = None,
        heap_kib: int | None = None,
    ) -> None:
        self.seed = seed
        self.clock = Clock()
        self.journal = Journal(self.clock, out / "journal.jsonl" if out else None)
        self.console = Console(self.clock, out / "console.log" if out else None)
        self._interpreter = Interpreter(
            argv or tools.micropython(), volume, self.console, heap_kib
        )
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
        self.parts: dict[str, Any] = {}
        bus = I2CBus(self.clock)
        self.chip.i2c[22, 21] = bus
        self.parts["ambient"] = SHT45(
            self.clock,
            self.rng("ambient"),
            self.journal,
            ambient_c=world.ambient_c,
            humidity=world.humidity,
        )
        bus.attach(self.parts["ambient"])

    def rng(self, name: str) -> random.Random:
        """Return the random numbers of one part."""
        return rng(self.seed, name)

    def at(self, us: int, fn: Callable[[], object]) -> None:
        """Let something happen at a moment of the run."""
        self.clock.call_at(us, fn)

    def power_on(self) -> None:
        """Put the battery in."""
        for part in self.parts.values():
            part.power_on()
        self.chip.power_on()

    def power_off(self) -> None:
        """Take the battery out, in the middle of anything."""
        # The parts first: what the chip's pins do as it dies must not reach them.
        for part in self.parts.values():
            part.power_off()
        self.chip.power_off()

    def run(self, until_us: int) -> None:
        """Let virtual time pass.

        Raises:
            RunInvalidError: nothing can be concluded from the run.
        """
        clock, chip = self.clock, self.chip
        with self._interpreter:
            while clock.now_us < until_us:
                if chip.busy:
                    chip.serve()
                else:
                    clock.step(until_us)

    def close(self) -> None:
        """End every process and close every file."""
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
