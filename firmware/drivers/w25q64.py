"""Winbond W25Q64: 8 MiB of NOR flash over SPI, mode 0 or 3 (datasheet W25Q64JV, revision J).

The driver also serves W25Q80 to W25Q128, which differ only in size, and compatible parts of other
makers. Identification and the removal of a write protection are in w25q64_start.py. The part has
no flag for a failed program or erase, so the caller must read back.

Bus calls with chip select: read 4, program 7, erase 6, and 3 for each poll of the status. A
program or an erase polls the status one or a few times.

    flash = W25Q64(spi, cs)             # machine.SPI and a pin
    flash.erase(0)
    flash.program(0, b"hello")
    flash.read(0, buffer)
"""

import time
from errno import ETIMEDOUT

from micropython import const

# Instructions, table 8.1.2.
_WRITE_ENABLE = const(b"\x06")
_POWER_DOWN = const(b"\xb9")
_READ_DATA = const(0x03)
_PAGE_PROGRAM = const(0x02)
_SECTOR_ERASE = const(0x20)
_READ_STATUS_1 = const(0x05)

_BUSY = const(0x01)  # status register 1, section 7.1.1

# AC characteristics, section 9.6: the typical time to wait before the first poll, and the limit,
# which is the maximum time with a margin.
_PROGRAM_US = const(400)  # tPP, at most 3 ms
_PROGRAM_LIMIT_MS = const(6)
_ERASE_MS = const(45)  # tSE, at most 400 ms
_ERASE_LIMIT_MS = const(500)


class W25Q64:
    """One part with its own chip select and the interface of the log: read, program, erase."""

    sector_size = 4096
    program_size = 256
    write_unit = 1
    programs_per_unit = 0  # no limit

    def __init__(self, spi, cs):
        """Wake the part, identify it and make sure that it can be written.

        ``cs`` is an output at high level. Waits for an erase that was running at a reset, and
        removes a write protection, which survives power loss. Raises OSError: ENODEV when no part
        answers or its size is not supported; EIO when it accepts no write enable; EACCES when it
        remains protected.
        """
        self._spi = spi
        self._cs = cs
        self._command = bytearray(4)
        self._status = bytearray(2)
        from drivers import w25q64_start

        self.jedec = w25q64_start.prepare(spi, cs)
        self.size = 1 << self.jedec[2]

    def _send(self, instruction):
        self._cs(0)
        self._spi.write(instruction)
        self._cs(1)

    def _address(self, instruction, address):
        frame = self._command
        frame[0] = instruction
        frame[1] = address >> 16 & 0xFF
        frame[2] = address >> 8 & 0xFF
        frame[3] = address & 0xFF
        return frame

    def _wait(self, limit_ms, step_us):
        start = time.ticks_ms()
        status = self._status
        while True:
            status[0] = _READ_STATUS_1
            self._cs(0)
            self._spi.write_readinto(status, status)
            self._cs(1)
            if not status[1] & _BUSY:
                return
            if time.ticks_diff(time.ticks_ms(), start) > limit_ms:
                raise OSError(ETIMEDOUT, "the flash stays busy")
            time.sleep_us(step_us)

    def read(self, address, buffer):
        """Fill ``buffer`` with the bytes from ``address`` on."""
        self._cs(0)
        self._spi.write(self._address(_READ_DATA, address))
        self._spi.readinto(buffer)
        self._cs(1)

    def program(self, address, data):
        """Program 1 to 256 bytes within one page. Raises OSError (ETIMEDOUT)."""
        self._send(_WRITE_ENABLE)
        self._cs(0)
        self._spi.write(self._address(_PAGE_PROGRAM, address))
        self._spi.write(data)
        self._cs(1)
        time.sleep_us(_PROGRAM_US)
        self._wait(_PROGRAM_LIMIT_MS, 100)

    def erase(self, address):
        """Erase the sector at ``address``. Raises OSError (ETIMEDOUT)."""
        self._send(_WRITE_ENABLE)
        self._send(self._address(_SECTOR_ERASE, address))
        time.sleep_ms(_ERASE_MS)
        self._wait(_ERASE_LIMIT_MS, 5000)

    def power_down(self):
        """Enter power-down (1 uA). Only ``prepare`` of w25q64_start.py wakes the part."""
        self._send(_POWER_DOWN)
