"""A W25Q64 on an SPI bus in virtual time, for its driver on CPython."""

import importlib
import random
import sys
from typing import Any

import pytest

from coldtrail_simulator.clock import Clock
from coldtrail_simulator.journal import Journal
from coldtrail_simulator.models.w25q64 import W25Q64
from coldtrail_simulator.wires import Net, SPIBus
from drivers import w25q64 as driver


class VirtualTime:
    """The functions of MicroPython's ``time`` that the driver uses."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def ticks_ms(self) -> int:
        return self._clock.now_us // 1000

    def ticks_diff(self, end: int, start: int) -> int:
        return end - start

    def sleep_ms(self, ms: int) -> None:
        self.sleep_us(ms * 1000)

    def sleep_us(self, us: int) -> None:
        self._clock.advance_to(self._clock.now_us + us)


class Rig:
    """The part, its bus and the controller; counts the calls of a driver."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seed: int = 0, mode: int = 0) -> None:
        self.clock = Clock()
        self.journal = Journal(self.clock)
        self.part = W25Q64(self.clock, random.Random(seed), self.journal)
        self.bus = SPIBus(self.clock)
        self.bus.hz = 20_000_000
        self.bus.mode = mode
        net = Net("cs")
        self._select = net.attach("controller")
        self.bus.attach(self.part, net.attach("flash"))
        self._select.drive(1)
        self.calls = 0
        self.after(10_000)
        # Another test may have unloaded the module, so the loaded one could be an older object.
        monkeypatch.delitem(sys.modules, "drivers.w25q64_start", raising=False)
        start = importlib.import_module("drivers.w25q64_start")
        for module in (driver, start):
            monkeypatch.setattr(module, "time", VirtualTime(self.clock))

    def after(self, us: int) -> None:
        self.clock.advance_to(self.clock.now_us + us)

    def driver(self) -> Any:
        return driver.W25Q64(self, self.cs)

    def cs(self, level: int) -> None:
        self.calls += 1
        self._select.drive(level)

    def write(self, data: bytes) -> None:
        self.calls += 1
        self.bus.transfer(bytes(data))

    def readinto(self, buffer: bytearray, fill: int = 0) -> None:
        self.calls += 1
        buffer[:] = self.bus.transfer(bytes((fill,)) * len(buffer))

    def write_readinto(self, out: bytes, buffer: bytearray) -> None:
        self.calls += 1
        buffer[:] = self.bus.transfer(bytes(out))

    def send(self, *out: int, answer: int = 0) -> bytes:
        """Do one transaction; return the bytes that follow ``out``."""
        self._select.drive(0)
        data = self.bus.transfer(bytes(out) + bytes(answer))
        self._select.drive(1)
        return data[len(out) :]
