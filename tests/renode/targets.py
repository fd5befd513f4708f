"""What the cases need of a target, and the one on the host simulator."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from coldtrail_simulator.board import file as boards
from coldtrail_simulator.board.wiring import Factory
from coldtrail_simulator.esp32.interpreter import install
from coldtrail_simulator.services import tools
from coldtrail_simulator.shipment import packing
from coldtrail_simulator.shipment.identity import Identity
from coldtrail_simulator.shipment.simulation import Simulation
from coldtrail_simulator.shipment.tracker import Tracker
from coldtrail_simulator.world.live import LiveWorld

HERE = Path(__file__).resolve().parent
SEED = 1
HEAP_KIB = 112
"""Of the 32-bit interpreter whose heap is watched: the chip's bound with the simulator's shims."""


class Line(Protocol):
    """A console."""

    @property
    def text(self) -> str:
        """All that the tracker has said."""

    def type(self, data: bytes) -> None:
        """Let somebody type."""


class Target(Protocol):
    """Where a tracker comes from.

    ``pack`` makes what it boots from; ``fit`` builds it, once, from that.
    """

    board: str
    profile: Path
    console: Line

    def pack(self, out: Path, identity: Identity, *, watched: bool, bench: bool) -> None:
        """Put firmware, board file, profile and identity on the tracker's volume in ``out``."""

    def fit(self, world: LiveWorld, factories: Mapping[str, Factory]) -> Tracker:
        """Build the tracker; its battery is not in yet."""


class Simulated:
    """An ESP32 board on the host simulator; virtual time takes no time."""

    board = "esp32_bg95"
    profile = HERE / "usual.toml"

    def pack(self, out: Path, identity: Identity, *, watched: bool, bench: bool) -> None:
        """Put everything on a folder that is the volume; the bench needs nothing else."""
        del bench
        self._out, self._watched = out, watched
        volume = out / "volume"
        packing.build_volume(volume, self.board, str(self.profile), identity, packing.PORTS[0])
        if watched:
            install(volume, {"main.py": HERE / "watched" / "main.py"})

    def fit(self, world: LiveWorld, factories: Mapping[str, Factory]) -> Simulation:
        """Build it; a watched one has a heap, and an interpreter, of 32 bits."""
        simulation = Simulation(
            boards.named(self.board),
            self._out / "volume",
            world,
            seed=SEED,
            out=self._out,
            factories=factories,
            argv=tools.micropython32() if self._watched else None,
            heap_kib=HEAP_KIB if self._watched else None,
        )
        self.console: Line = simulation.console
        return simulation
