"""The NOR array with the interface of a driver, without a bus."""

from collections.abc import Callable

from coldtrail_simulator.models.nor import NorArray


class NorFlash:
    """``read``, ``program`` and ``erase`` as in a driver, with counters."""

    def __init__(self, array: NorArray) -> None:
        self.array = array
        self.size = array.size
        self.sector_size = array.sector_size
        self.program_size = array.page_size
        self.write_unit = array.unit
        self.programs_per_unit = array.programs_per_unit
        self.reads = self.programs = self.erases = 0
        self.before: Callable[[int, bytes | None], None] | None = None
        """Called before each operation with its address and data; data is None for an erase."""

    def read(self, address: int, buffer: memoryview) -> None:
        self.reads += 1
        buffer[:] = self.array.read(address, len(buffer))

    def program(self, address: int, data: memoryview) -> None:
        unit, page = self.write_unit, self.program_size
        assert len(data), "nothing to program"
        assert address % unit == len(data) % unit == 0, "not whole units"
        assert address % page + len(data) <= page, "crosses the page"
        if self.before:
            self.before(address, bytes(data))
        self.programs += 1
        self.array.program(address, bytes(data))

    def erase(self, address: int) -> None:
        if self.before:
            self.before(address, None)
        self.erases += 1
        self.array.erase(address // self.sector_size)
