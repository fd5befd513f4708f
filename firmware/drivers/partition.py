"""A partition of an ESP32's own flash, as the log wants it (MicroPython's ``esp32.Partition``).

The IDF waits for the chip, with limits of its own, and reports a time-out as OSError.
"""

from micropython import const

_BLOCK_COUNT = const(4)
_BLOCK_SIZE = const(5)
_ERASE_BLOCK = const(6)


class PartitionFlash:
    """Read, program, erase within one unencrypted partition."""

    program_size = 256
    write_unit = 1
    programs_per_unit = 0  # no limit

    def __init__(self, partition):
        """Use an ``esp32.Partition``; ValueError for an encrypted one, where 16 bytes are a unit.

        The partition: ``esp32.Partition.find(esp32.Partition.TYPE_DATA, label="log")[0]``.
        """
        if partition.info()[5]:
            raise ValueError("the log's partition must not be encrypted")
        self._partition = partition
        self.sector_size = partition.ioctl(_BLOCK_SIZE, 0)
        self.size = partition.ioctl(_BLOCK_COUNT, 0) * self.sector_size

    def read(self, address, buffer):
        """Fill ``buffer`` from ``address`` on."""
        sector, offset = divmod(address, self.sector_size)
        self._partition.readblocks(sector, buffer, offset)

    def program(self, address, data):
        """Program bytes within one page of 256; with an offset nothing is erased before."""
        sector, offset = divmod(address, self.sector_size)
        self._partition.writeblocks(sector, data, offset)

    def erase(self, address):
        """Erase the sector of ``address``."""
        self._partition.ioctl(_ERASE_BLOCK, address // self.sector_size)
