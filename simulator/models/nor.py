"""An array of NOR flash cells with realistic faults.

Erased bits are 1. Programming clears bits within one page and wraps at its end; erasing sets a
whole sector. A power loss during an operation leaves any subset of its bits changed, and some bits
with a charge at the threshold. A bit at the threshold reads differently at different times until
it is programmed or erased again. The part reports no failure: only reading back shows it.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Sequence
from enum import StrEnum


class Tear(StrEnum):
    """The progress of an operation at a power loss."""

    NOTHING = "nothing"
    """Nothing has changed."""
    BARELY = "barely"
    """A few bits are at the threshold, no others have changed."""
    PREFIX = "prefix"
    """The first bytes are complete, the others unchanged."""
    SUBSET = "subset"
    """A random subset of the bits is complete, the others are unchanged."""
    MIXED = "mixed"
    """A random subset of the bits is complete, the others are at the threshold."""
    THRESHOLD = "threshold"
    """Every bit to be changed is at the threshold."""
    NEARLY = "nearly"
    """All bits are complete, except a few at the threshold."""
    DONE = "done"
    """The operation is complete, but the firmware does not know."""


class Mood(StrEnum):
    """How bits at the threshold read: temperature and supply voltage move the threshold."""

    ONES = "ones"
    ZEROS = "zeros"
    RANDOM = "random"
    """Each bit is random, at every read."""


class OverProgrammed(Exception):
    """A unit was programmed more often between erases than the part allows."""


class NorArray:
    """The cells of one part with their wear and faults.

    Args:
        size, sector_size, page_size: in bytes.
        programs_per_unit: how often a unit of ``unit`` bytes may be programmed between two erases;
            0 means no limit.
    """

    def __init__(
        self,
        rng: random.Random,
        size: int,
        sector_size: int = 4096,
        page_size: int = 256,
        unit: int = 1,
        programs_per_unit: int = 0,
    ) -> None:
        self._rng = rng
        self.size = size
        self.sector_size = sector_size
        self.page_size = page_size
        self.unit = unit
        self.programs_per_unit = programs_per_unit
        self.cells = bytearray(b"\xff" * size)
        self.mood = Mood.RANDOM
        self.wear = [0] * (size // sector_size)
        """Number of erases started, by sector."""
        self.programmed_bytes = 0
        self.weak: dict[int, dict[int, int]] = {}
        """Bits at the threshold, by sector and address as a mask; they are 0 in the cells."""
        self._stuck: dict[int, tuple[int, int]] = {}
        self._bad_erase: set[int] = set()
        self._bad_program: set[int] = set()
        self._programs: dict[int, int] = {}

    # ---- faults ----

    def stick(self, address: int, mask: int, level: int) -> None:
        """Let the bits of ``mask`` always read as ``level``, 0 or 1."""
        self._stuck[address] = (mask, mask if level else 0)

    def flip(self, address: int, bit: int) -> None:
        """Flip one bit, as a loss of charge or radiation does."""
        self.cells[address] ^= 1 << bit

    def fail_erase(self, sector: int) -> None:
        """From now on, erasing ``sector`` leaves some of its programmed bits unchanged."""
        self._bad_erase.add(sector)

    def fail_program(self, sector: int) -> None:
        """From now on, programming in ``sector`` leaves some bits unchanged."""
        self._bad_program.add(sector)

    # ---- operations ----

    def read(self, address: int, n: int) -> bytearray:
        """Return ``n`` bytes, wrapping at the end of the part."""
        if address + n > self.size:
            return self.read(address, self.size - address) + self.read(
                0, n - (self.size - address)
            )
        data = self.cells[address : address + n]
        if not self.weak and not self._stuck:
            return data
        if self.weak:
            last = (address + n - 1) // self.sector_size
            for sector in range(address // self.sector_size, last + 1):
                for at, mask in self.weak.get(sector, {}).items():
                    if address <= at < address + n:
                        data[at - address] |= self._weak_ones(mask)
        if self._stuck:
            for at, (mask, level) in self._stuck.items():
                if address <= at < address + n:
                    data[at - address] = data[at - address] & ~mask | level
        return data

    def program(self, address: int, data: bytes, tear: Tear = Tear.DONE) -> None:
        """Clear bits in the page of ``address``; data beyond its end wraps to its beginning."""
        page = address // self.page_size * self.page_size
        final: dict[int, int] = {}
        for i, byte in enumerate(data):
            final[page + (address - page + i) % self.page_size] = byte
        if tear is not Tear.NOTHING:
            self._count(final)
        self.programmed_bytes += len(final)
        if page // self.sector_size in self._bad_program and final:
            lost = self._rng.choice([at for at in final if final[at] != 0xFF] or [address])
            final[lost] |= 1 << self._rng.randrange(8) | 0x01
        if tear is Tear.DONE:
            self._clear(final)
        else:
            self._tear(list(final), {at: ~byte & 0xFF for at, byte in final.items()}, tear, 0)

    def copy(self, rng: random.Random) -> NorArray:
        """Return an independent array in the same state."""
        twin = copy.copy(self)
        twin._rng = rng
        twin.cells = self.cells[:]
        twin.wear = self.wear[:]
        twin.weak = {sector: dict(masks) for sector, masks in self.weak.items()}
        twin._stuck = dict(self._stuck)
        twin._bad_erase = set(self._bad_erase)
        twin._bad_program = set(self._bad_program)
        twin._programs = dict(self._programs)
        return twin

    def erase(self, sector: int, tear: Tear = Tear.DONE) -> None:
        """Set every bit of a sector."""
        start = sector * self.sector_size
        self.wear[sector] += 1
        if tear is not Tear.DONE:
            cells = range(start, start + self.sector_size)
            masks = {at: ~self.cells[at] & 0xFF for at in cells if self.cells[at] != 0xFF}
            self._tear(cells, masks, tear, 1)
            return
        stay: dict[int, int] = {}
        if sector in self._bad_erase:
            spots = self._rng.sample(range(start, start + self.sector_size), 3)
            stay = {at: 1 << self._rng.randrange(8) for at in spots}
        self.cells[start : start + self.sector_size] = b"\xff" * self.sector_size
        self.weak.pop(sector, None)
        if self._programs:
            for unit in range(start // self.unit, (start + self.sector_size) // self.unit):
                self._programs.pop(unit, None)
        for at, mask in stay.items():
            self.cells[at] &= ~mask

    # ---- physics ----

    def _weak_ones(self, mask: int) -> int:
        if self.mood is Mood.RANDOM:
            return mask & self._rng.getrandbits(8)
        return mask if self.mood is Mood.ONES else 0

    def _count(self, addresses: dict[int, int]) -> None:
        if not self.programs_per_unit:
            return
        for unit in {at // self.unit for at in addresses}:
            self._programs[unit] = self._programs.get(unit, 0) + 1
            if self._programs[unit] > self.programs_per_unit:
                raise OverProgrammed(f"unit {unit} at {unit * self.unit:#x}")

    def _clear(self, final: dict[int, int]) -> None:
        cells = self.cells
        for at, byte in final.items():
            cells[at] &= byte
        if self.weak:
            for at, byte in final.items():
                if at in self.weak.get(at // self.sector_size, ()):
                    self._change(at, ~byte & 0xFF, 0, 0)

    def _change(self, at: int, mask: int, weak: int, level: int) -> None:
        """Set the bits of ``mask`` to ``level``, and those of ``weak`` to the threshold."""
        masks = self.weak.setdefault(at // self.sector_size, {})
        if level:
            self.cells[at] |= mask
            weak &= ~self.cells[at] & 0xFF
        else:
            # A cell that is firmly programmed already does not change.
            weak &= self.cells[at] | masks.get(at, 0)
            self.cells[at] &= ~(mask | weak)
        now = masks.get(at, 0) & ~mask | weak
        if now:
            masks[at] = now
        else:
            masks.pop(at, None)

    def _tear(
        self, addresses: Sequence[int], masks: dict[int, int], tear: Tear, level: int
    ) -> None:
        """Apply part of a change: ``masks`` are the bits that change to ``level``."""
        rng = self._rng
        changing = [at for at in addresses if masks.get(at)]
        if tear is Tear.NOTHING or not changing:
            return
        few = set(rng.sample(changing, min(len(changing), 2)))
        stop = addresses[rng.randrange(len(addresses))]
        for at in changing:
            bits = masks[at]
            some = bits & rng.getrandbits(8)
            done = weak = 0
            match tear:
                case Tear.BARELY:
                    weak = some if at in few else 0
                case Tear.PREFIX:
                    done = bits if at < stop else 0
                case Tear.SUBSET:
                    done = some
                case Tear.MIXED:
                    done, weak = some, bits & ~some
                case Tear.THRESHOLD:
                    weak = bits
                case Tear.NEARLY:
                    weak = some if at in few else 0
                    done = bits & ~weak
            self._change(at, done, weak, level)
