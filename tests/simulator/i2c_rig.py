"""A part on an I2C bus with virtual time, for its driver running on CPython."""

import random
from types import ModuleType
from typing import Any

import pytest

from coldtrail_simulator.clock import Clock
from coldtrail_simulator.journal import Journal
from coldtrail_simulator.wires import I2CBus, Net
from tests.support.flash.flash_rig import VirtualTime


class I2CRig:
    """Bus, clock and interrupt line of one part, and what a driver uses of ``machine.I2C``."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, driver: ModuleType, model: Any, **world: Any
    ) -> None:
        self.clock = Clock()
        self.journal = Journal(self.clock)
        self.part = model(self.clock, random.Random(world.pop("seed", 1)), self.journal, **world)
        self.bus = I2CBus(self.clock)
        self.bus.attach(self.part)
        self.line = Net("int")
        self.transfers = 0
        monkeypatch.setattr(driver, "time", VirtualTime(self.clock))

    def after(self, us: int) -> None:
        self.clock.advance_to(self.clock.now_us + us)

    def readfrom_mem_into(self, address: int, register: int, buffer: bytearray) -> None:
        self.transfers += 1
        error = self.bus.write(address, bytes((register,)))
        answer = error or self.bus.read(address, len(buffer))
        if isinstance(answer, int):
            raise OSError(-answer, "bus")
        buffer[:] = answer

    def writeto_mem(self, address: int, register: int, data: bytes) -> None:
        self.transfers += 1
        error = self.bus.write(address, bytes((register,)) + data)
        if error:
            raise OSError(-error, "bus")

    def register(self, address: int, width: int) -> int:
        """Read a register past the driver, most significant byte first."""
        self.part.write(bytes((address,)))
        return int.from_bytes(self.part.read(width), "big")
