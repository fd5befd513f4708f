"""The target in Renode: an nRF52840 board whose chip runs the firmware as machine code."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

from coldtrail_boards.flash import volume
from coldtrail_boards.profiles import profile as profiles
from coldtrail_boards.provision.bundle import IDENTITY, PROFILE, Bundle
from coldtrail_simulator.board import file as boards
from coldtrail_simulator.board.wiring import Factory
from coldtrail_simulator.renode.edge import TcpUart
from coldtrail_simulator.renode.emulation import Emulation
from coldtrail_simulator.shipment import packing
from coldtrail_simulator.shipment.identity import Identity
from coldtrail_simulator.world.live import LiveWorld
from tests.renode.targets import HERE, SEED, Line

RESET_PIN = 18
"""P0.18, as the two words PSELRESET of UICR have it on a board that was flashed (PS, UICR)."""
PORT = packing.PORTS[0]


class Terminal:
    """Somebody's terminal at the chip's UART."""

    def __init__(self, uart: TcpUart) -> None:
        self._uart = uart
        self.text = ""
        """All that was said."""

    def receive(self, data: bytes) -> None:
        """Take what the chip says."""
        self.text += data.decode("utf-8", "replace")

    def type(self, data: bytes) -> None:
        """Send what somebody types."""
        self._uart.send(data)


class Emulated:
    """An nRF52840 board in Renode, with the simulator's parts and modem on its virtual time.

    In the field its UART is the modem's, and there is no console; on the bench it is the
    console's, and there is no modem.
    """

    board = "nrf52840dk_bg95"
    profile = HERE / "fast.toml"
    tracker: Emulation
    console: Line

    def pack(self, out: Path, identity: Identity, *, watched: bool, bench: bool) -> None:
        """Make the images of the volumes."""
        self._out, self._bench = out, bench
        files = {
            IDENTITY: identity.device_file(packing.BROKER_NAME, PORT),
            PROFILE: profiles.load(str(self.profile)).encode(),
        }
        if watched:
            files["main.py"] = (HERE / "watched" / "main.py").read_bytes()
        (out / "uicr.img").write_bytes(struct.pack("<2I", RESET_PIN, RESET_PIN))
        for name, made in volume.build(self.board, Bundle(files), bench=bench).items():
            (out / name).write_bytes(made.data)

    def fit(self, world: LiveWorld, factories: Mapping[str, Factory]) -> Emulation:
        """Build the board around the chip; Renode has to connect to it."""
        emulation = Emulation(
            boards.named(self.board), world, seed=SEED, out=self._out, factories=factories
        )
        uart = emulation.chip.uarts[0]
        terminal = Terminal(uart)
        self.console, self.tracker = terminal, emulation
        if self._bench:
            uart.device = terminal
        return emulation
