"""The log on an ESP32's partition and on an nRF52840's own flash: the chips' own rules."""

import importlib
import random
import sys
import types

import pytest

from coldtrail.log.flashlog import Log
from coldtrail_simulator.models.nor import NorArray
from drivers.partition import PartitionFlash

SECTOR = 4096


class Partition:
    """``esp32.Partition`` as MicroPython documents its block protocol."""

    def __init__(self, blocks=8, encrypted=False):
        self.array = NorArray(random.Random(0), blocks * SECTOR)
        self.blocks = blocks
        self.encrypted = encrypted

    def info(self):
        return (1, 0x40, 0x200000, self.blocks * SECTOR, "log", self.encrypted)

    def readblocks(self, block, buffer, offset=0):
        buffer[:] = self.array.read(block * SECTOR + offset, len(buffer))

    def writeblocks(self, block, data, offset=None):
        assert offset is not None, "without an offset the block would be erased first"
        self.array.program(block * SECTOR + offset, bytes(data))

    def ioctl(self, operation, argument):
        if operation == 4:
            return self.blocks
        if operation == 5:
            return SECTOR
        assert operation == 6
        self.array.erase(argument)
        return 0


class Nvmc:
    """The controller's registers and the flash behind them (product specification, 4.3)."""

    START = 0xC0000
    WORD_US, PAGE_US = 41, 85_000

    def __init__(self, pages=8):
        self.array = NorArray(random.Random(0), pages * SECTOR, SECTOR, 256, 4, 2)
        self.config = 0
        self.now_us = 0
        self.ready_us = 0
        self.stuck = False

    def __getitem__(self, address):
        assert address == 0x4001E400, "READY"
        self.now_us += 1
        return int(not self.stuck and self.now_us >= self.ready_us)

    def __setitem__(self, address, value):
        if address == 0x4001E504:
            self.config = value
            return
        assert self.now_us >= self.ready_us, "written while busy"
        if address == 0x4001E508:
            assert self.config == 2
            self.array.erase((value - self.START) // SECTOR)
            self.ready_us = self.now_us + self.PAGE_US
        else:
            assert self.config == 1
            assert address % 4 == 0
            self.array.program(address - self.START, value.to_bytes(4, "little"))
            self.ready_us = self.now_us + self.WORD_US

    def bytearray_at(self, address, n):
        assert self.now_us >= self.ready_us
        return self.array.read(address - self.START, n)


@pytest.fixture
def nvmc(monkeypatch):
    return Nvmc()


@pytest.fixture
def nrf(nvmc, monkeypatch):
    machine, uctypes = types.ModuleType("machine"), types.ModuleType("uctypes")
    monkeypatch.setattr(machine, "mem32", nvmc, raising=False)
    monkeypatch.setattr(uctypes, "bytearray_at", nvmc.bytearray_at, raising=False)
    monkeypatch.setitem(sys.modules, "machine", machine)
    monkeypatch.setitem(sys.modules, "uctypes", uctypes)
    monkeypatch.delitem(sys.modules, "drivers.nrf_flash", raising=False)
    module = importlib.import_module("drivers.nrf_flash")
    clock = types.SimpleNamespace(
        ticks_ms=lambda: nvmc.now_us // 1000, ticks_diff=lambda end, start: end - start
    )
    monkeypatch.setattr(module, "time", clock)
    yield module.NrfFlash
    sys.modules.pop("drivers.nrf_flash", None)


def use(nor, records=1500):
    """Fill the ring more than once, mounting now and then; return what should be there."""
    rng = random.Random(1)
    log = Log(nor, lambda: bytes(24))
    log.mount()
    model = {}
    for _ in range(records):
        payload = rng.randbytes(rng.randrange(60))
        sequence = log.append(3, payload)
        model[sequence] = payload
        log.release(sequence - 100)
        if rng.random() < 0.02:
            hint = log.hint() if rng.random() < 0.5 else None
            log = Log(nor, lambda: bytes(24))
            log.mount(hint)
            log.release(sequence - 100)
    found = {s: bytes(p) for s, k, p in log.records(0) if k == 3}
    assert found == {s: p for s, p in model.items() if s >= log.first}
    assert log.first > 1
    assert log.damaged == []


def test_the_log_on_a_partition():
    use(PartitionFlash(Partition()))


def test_an_encrypted_partition_is_refused():
    with pytest.raises(ValueError, match="encrypted"):
        PartitionFlash(Partition(encrypted=True))


def test_the_log_on_an_nrf(nrf, nvmc):
    """No word is written a third time: the array would raise."""
    use(nrf(Nvmc.START, 8 * SECTOR))
    assert nvmc.config == 0, "left writable"


def test_an_nrf_that_stays_busy_is_an_error(nrf, nvmc):
    nor = nrf(Nvmc.START, 8 * SECTOR)
    nvmc.stuck = True
    for act in (lambda: nor.program(0, b"abcd"), lambda: nor.erase(0)):
        with pytest.raises(OSError, match="busy"):
            act()
        assert nvmc.config == 0


@pytest.mark.parametrize(("start", "size"), [(0xC0010, 0x8000), (0xC0000, 0x8001)])
def test_an_nrf_takes_whole_pages(nrf, start, size):
    with pytest.raises(ValueError, match="whole pages"):
        nrf(start, size)
