"""Winbond W25Q64JV: 8 MiB of NOR flash over SPI (datasheet W25Q64JV, revision J)."""

from __future__ import annotations

import random
from collections.abc import Callable
from enum import IntEnum

from coldtrail_simulator.clock import US_PER_MS, Clock, Handle
from coldtrail_simulator.energy import OFF, Load
from coldtrail_simulator.journal import Journal
from coldtrail_simulator.models import currents
from coldtrail_simulator.models.nor import Mood, NorArray, Tear

SIZE = 8 * 1024 * 1024
SECTOR = 4096
PAGE = 256
JEDEC = bytes((0xEF, 0x40, 0x17))
DEVICE = 0x16

# AC characteristics, section 9.6: typical and maximum times.
PROGRAM_US = (400, 3_000)
ERASE_US = {SECTOR: (45_000, 400_000), 32768: (120_000, 1_600_000), 65536: (150_000, 2_000_000)}
CHIP_ERASE_US = (20_000_000, 100_000_000)
STATUS_US = (10_000, 15_000)
RELEASE_US = 3
POWER_DOWN_US = 3
RESET_US = 30
SELECT_AFTER_POWER_US = 20
WRITE_AFTER_POWER_US = 5 * US_PER_MS


class Op(IntEnum):
    """Instructions that use one data line (tables 8.1.2 and 8.1.3)."""

    WRITE_STATUS_1 = 0x01
    PAGE_PROGRAM = 0x02
    READ_DATA = 0x03
    WRITE_DISABLE = 0x04
    READ_STATUS_1 = 0x05
    WRITE_ENABLE = 0x06
    FAST_READ = 0x0B
    WRITE_STATUS_3 = 0x11
    READ_STATUS_3 = 0x15
    SECTOR_ERASE = 0x20
    WRITE_STATUS_2 = 0x31
    READ_STATUS_2 = 0x35
    UNIQUE_ID = 0x4B
    BLOCK_ERASE_32K = 0x52
    CHIP_ERASE_60 = 0x60
    ENABLE_RESET = 0x66
    MANUFACTURER = 0x90
    RESET = 0x99
    JEDEC_ID = 0x9F
    RELEASE_POWER_DOWN = 0xAB
    POWER_DOWN = 0xB9
    CHIP_ERASE = 0xC7
    BLOCK_ERASE_64K = 0xD8


ERASES: dict[int, int] = {
    Op.SECTOR_ERASE: SECTOR,
    Op.BLOCK_ERASE_32K: 32768,
    Op.BLOCK_ERASE_64K: 65536,
}
WHILE_BUSY = (Op.READ_STATUS_1, Op.READ_STATUS_2, Op.READ_STATUS_3)

# Status registers (section 7.1).
BUSY = 0x01
WEL = 0x02
SRP = 0x80
CMP = 0x40  # in register 2
LOCK_BITS = 0x38  # in register 2, one-time programmable
SRL = 0x01  # in register 2, set until the next power loss
WPS = 0x04  # in register 3
WRITABLE: dict[int, int] = {
    Op.WRITE_STATUS_1: 0xFC,
    Op.WRITE_STATUS_2: 0x7B,
    Op.WRITE_STATUS_3: 0x64,
}


class W25Q64:
    """One part. ``array`` holds the cells and their faults."""

    modes: tuple[int, ...] = (0, 3)
    max_hz = 50_000_000
    """The limit of Read Data (03h), the slowest instruction."""

    def __init__(
        self, clock: Clock, rng: random.Random, journal: Journal, *, name: str = "flash"
    ) -> None:
        self._clock = clock
        self._rng = rng
        self._journal = journal
        self.name = name
        self.array = NorArray(rng, SIZE, SECTOR, PAGE)
        self.unique_id = rng.getrandbits(64).to_bytes(8, "big")
        # This specimen takes the typical times or up to 1.5 times as long. The maximum times are
        # those of a worn part at its temperature limit.
        self._pace = 1 + rng.random() / 2
        self.worn = False
        """Fault: every operation takes its maximum time."""
        self.hangs = False
        """Fault: the next program or erase never ends."""
        self.absent = False
        """Fault: there is no part, or its lines are broken."""
        self.jedec = JEDEC
        """The JEDEC id that the part reports; parts of other makers have another one."""
        self.latches = True
        """Fault if False: a write enable does not set the latch."""
        self.wp_low = False
        """Whether /WP is held low, which locks the status registers together with SRP."""
        self.registers: dict[int, int] = dict.fromkeys(WRITABLE, 0)
        """The writable bits of the three status registers, which survive a power loss."""
        self.on_write: Callable[[int], object] = lambda _: None
        """Called when a program or erase starts, with its duration in us."""
        self.load = Load(clock, currents.W25Q64)
        self._powered = False
        self._under_way: tuple[Handle, int, int, Callable[[Tear], None], str] | None = None
        self._reset()
        self.power_on()

    def _reset(self) -> None:
        self._wel = False
        self.registers[Op.WRITE_STATUS_2] &= ~SRL
        self._down = False
        self._reset_enabled = False
        self._selected = False
        self._in = bytearray()
        self._out = 0
        self._ready_us = 0

    # ---- power ----

    def power_on(self) -> None:
        """Supply the part: it answers after 20 us, and programs and erases after 5 ms (9.4)."""
        if not self._powered:
            self._powered = True
            self._reset()
            self._draw()
            self._on_us = self._clock.now_us

    def power_off(self) -> None:
        """Remove the supply: a running operation is torn."""
        if not self._powered:
            return
        self._powered = False
        self.load.become(OFF)
        if self._under_way:
            handle, begun_us, end_us, act, _ = self._under_way
            handle.cancel()
            self._under_way = None
            part = (self._clock.now_us - begun_us) / (end_us - begun_us)
            if part < 0.2:
                tear = self._rng.choice((Tear.NOTHING, Tear.BARELY))
            elif part > 0.8:
                tear = self._rng.choice((Tear.THRESHOLD, Tear.NEARLY))
            else:
                tear = self._rng.choice((Tear.PREFIX, Tear.SUBSET, Tear.MIXED, Tear.THRESHOLD))
            act(tear)
            self._journal.note("flash_torn", name=self.name, tear=tear.value)
        # The temperature at the next power-on decides how weak bits read.
        self.array.mood = self._rng.choice(list(Mood))

    def _draw(self) -> None:
        if self._under_way:
            self.load.become(self._under_way[4])
        elif self._selected:
            self.load.become("selected")
        else:
            self.load.become("power-down" if self._down else "standby")

    @property
    def busy(self) -> bool:
        """Whether a program, an erase or a status write is running."""
        return self._under_way is not None

    def _start(
        self, us: tuple[int, int], act: Callable[[Tear], None], state: str = "erasing"
    ) -> None:
        typical, longest = us
        took = longest if self.worn else min(longest, int(typical * self._pace))

        def end() -> None:
            self._under_way = None
            act(Tear.DONE)
            self._draw()

        begun = self._clock.now_us
        self._wel = False
        handle = self._clock.call_after(took, end)
        if self.hangs:
            handle.cancel()
        self._under_way = (handle, begun, begun + took, act, state)
        self._draw()
        self.on_write(took)

    # ---- bus ----

    def select(self) -> None:
        """Start an instruction."""
        now = self._clock.now_us
        self._selected = (
            self._powered and not self.absent and now >= self._on_us + SELECT_AFTER_POWER_US
        )
        self._in.clear()
        self._out = 0
        if self._selected:
            self._draw()

    def transfer(self, out: bytes) -> bytes:
        """Take bytes and answer as many; undriven bits read as ones."""
        if not self._selected:
            return b"\xff" * len(out)
        taken = len(self._in)
        self._in += out
        if not taken and self._ignores(out[0]):
            # An ignored instruction is ignored to its end, even if the part becomes ready
            # meanwhile.
            self._selected = False
            return b"\xff" * len(out)
        head, answer = self._answer(self._in[0])
        # The answer begins after the instruction, the address and the dummy bytes.
        quiet = min(max(0, head - taken), len(out))
        return b"\xff" * quiet + answer(len(out) - quiet)

    def _ignores(self, op: int) -> bool:
        if self._clock.now_us < self._ready_us:
            return True
        if self._down:
            return op != Op.RELEASE_POWER_DOWN
        return self.busy and op not in WHILE_BUSY

    def _answer(self, op: int) -> tuple[int, Callable[[int], bytes]]:
        match op:
            case Op.READ_DATA:
                return 4, self._read
            case Op.FAST_READ:
                return 5, self._read
            case Op.READ_STATUS_1:
                return 1, lambda n: bytes((self.status_1,)) * n
            case Op.READ_STATUS_2:
                return 1, lambda n: bytes((self.registers[Op.WRITE_STATUS_2],)) * n
            case Op.READ_STATUS_3:
                return 1, lambda n: bytes((self.registers[Op.WRITE_STATUS_3],)) * n
            case Op.JEDEC_ID:
                return 1, lambda n: self._repeat(self.jedec, n)
            case Op.MANUFACTURER:
                return 4, lambda n: self._repeat(bytes((self.jedec[0], DEVICE)), n)
            case Op.RELEASE_POWER_DOWN:
                return 4, lambda n: bytes((DEVICE,)) * n
            case Op.UNIQUE_ID:
                return 5, lambda n: self._repeat(self.unique_id, n)
            case _:
                return 1 << 30, bytes

    @property
    def status_1(self) -> int:
        """Status register 1 (section 7.1)."""
        written = self.registers[Op.WRITE_STATUS_1]
        return written | (WEL if self._wel else 0) | (BUSY if self.busy else 0)

    def _repeat(self, data: bytes, n: int) -> bytes:
        start, self._out = self._out, self._out + n
        return bytes(data[i % len(data)] for i in range(start, self._out))

    def _read(self, n: int) -> bytes:
        address = (int.from_bytes(self._in[1:4], "big") + self._out) % SIZE
        self._out += n
        return bytes(self.array.read(address, n))

    def deselect(self) -> None:
        """End an instruction; those that change something take effect now."""
        if self._powered:
            self._act()
            self._selected = False
            self._draw()

    def _act(self) -> None:
        if not self._selected or not self._in:
            return
        self._selected = False
        op, size = self._in[0], len(self._in)
        if op != Op.RESET:
            self._reset_enabled = op == Op.ENABLE_RESET
        match op:
            case Op.WRITE_ENABLE if size == 1:
                ready = self._clock.now_us >= self._on_us + WRITE_AFTER_POWER_US
                self._wel = ready and self.latches
            case Op.WRITE_DISABLE if size == 1:
                self._wel = False
            case Op.POWER_DOWN if size == 1:
                self._down = True
                self._ready_us = self._clock.now_us + POWER_DOWN_US
            case Op.RELEASE_POWER_DOWN:
                if self._down:
                    self._ready_us = self._clock.now_us + RELEASE_US
                self._down = False
            case Op.RESET if self._reset_enabled:
                self._reset()
                self._ready_us = self._clock.now_us + RESET_US
            case _ if self._wel:
                self._change(op, bytes(self._in))

    def _change(self, op: int, frame: bytes) -> None:
        address = int.from_bytes(frame[1:4], "big") % SIZE
        if op in WRITABLE:
            if len(frame) >= 2 and not self._is_locked:
                self._start(
                    STATUS_US, lambda tear: self._write_status(op, frame[1], tear), "programming"
                )
            self._wel = False
        elif self._protects(op, address):
            self._wel = False
        elif op == Op.PAGE_PROGRAM and len(frame) > 4:
            data = frame[4:]
            if len(data) > PAGE:
                # The page buffer is a ring, so the last 256 bytes are programmed (8.2.13).
                skipped = len(data) - PAGE
                address = address // PAGE * PAGE + (address + skipped) % PAGE
                data = data[skipped:]
            self._start(
                PROGRAM_US, lambda tear: self.array.program(address, data, tear), "programming"
            )
        elif op in ERASES and len(frame) == 4:
            size = ERASES[op]
            self._start(
                ERASE_US[size], lambda tear: self._erase(address // size * size, size, tear)
            )
        elif op in (Op.CHIP_ERASE, Op.CHIP_ERASE_60) and len(frame) == 1:
            self._start(CHIP_ERASE_US, lambda tear: self._erase(0, SIZE, tear))

    def _protects(self, op: int, address: int) -> bool:
        """Whether the block protect bits prevent the operation (7.1.3 to 7.1.7)."""
        if self.registers[Op.WRITE_STATUS_3] & WPS:
            return True  # each block has its own lock, and all are locked at power-up
        first, end = self._protected()
        if op in (Op.CHIP_ERASE, Op.CHIP_ERASE_60):
            return first < end
        unit = ERASES.get(op, 1)
        start = address // unit * unit
        return start < end and start + unit > first

    def _protected(self) -> tuple[int, int]:
        """Return the range that the block protect bits protect (tables 7.1.11 and 7.1.12)."""
        status = self.registers[Op.WRITE_STATUS_1]
        level = status >> 2 & 7
        size = 0
        if level == 7:
            size = SIZE
        elif level:
            size = min(SECTOR << level - 1, 32768) if status & 0x40 else SIZE // 128 << level
        lower = bool(status & 0x20)
        if self.registers[Op.WRITE_STATUS_2] & CMP:
            size, lower = SIZE - size, not lower
        return (0, size) if lower else (SIZE - size, SIZE)

    @property
    def _is_locked(self) -> bool:
        """Whether the status registers cannot be written (table 7.1.8)."""
        by_pin = self.registers[Op.WRITE_STATUS_1] & SRP and self.wp_low
        return bool(by_pin or self.registers[Op.WRITE_STATUS_2] & SRL)

    def _erase(self, address: int, size: int, tear: Tear) -> None:
        for sector in range(address // SECTOR, (address + size) // SECTOR):
            self.array.erase(sector, tear)

    def _write_status(self, op: int, value: int, tear: Tear) -> None:
        if tear is Tear.DONE:
            locked = LOCK_BITS & self.registers[op] if op == Op.WRITE_STATUS_2 else 0
            self.registers[op] = value & WRITABLE[op] | locked
