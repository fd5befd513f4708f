"""Winbond W25Q64: 8 MiB of NOR flash over SPI, mode 0 or 3 (datasheet W25Q64JV, revision J).

Also its relatives from W25Q80 to W25Q128, which differ in size alone, and other makers' parts that
say a capacity of 1 to 16 MiB: boards are fitted with what can be bought, all of them take the
instructions used here, the log reads back whatever it writes, and a tracker that refused a memory
that works would be of no use to anybody. The part has no flag for a failed program or erase: only
reading back shows one.

Bus calls, chip select included: read 4, program 7, erase 6, and 3 for each look at the status, of
which a program or an erase takes one or a few.

    flash = W25Q64(spi, cs)             # machine.SPI and a pin
    flash.erase(0)
    flash.program(0, b"hello")
    flash.read(0, buffer)
"""

import time
from errno import EACCES, EIO, ENODEV, ETIMEDOUT

from micropython import const

# Instructions, table 8.1.2.
_WRITE_ENABLE = b"\x06"
_WRITE_DISABLE = b"\x04"
_POWER_DOWN = b"\xb9"
_RELEASE_POWER_DOWN = b"\xab"
_READ_DATA = const(0x03)
_PAGE_PROGRAM = const(0x02)
_SECTOR_ERASE = const(0x20)
_READ_STATUS_1 = const(0x05)
_JEDEC_ID = const(0x9F)

_READ_STATUS_2 = const(0x35)
_READ_STATUS_3 = const(0x15)

# Status registers, section 7.1.
_BUSY = const(0x01)
_WEL = const(0x02)
_PROTECTED = const(0x1C)  # BP2 to BP0
_CMP = const(0x40)  # of register 2: what they leave free is protected
_WPS = const(0x04)  # of register 3: each block has a lock of its own, and powers up locked

_WINBOND = const(0xEF)  # other makers' registers 2 and 3 are not these
_NOBODY = (0x00, 0xFF)  # as a line reads that nobody drives

# AC characteristics, section 9.6: typical time to wait before looking, and the limit for a part
# at its slowest with a margin.
_PROGRAM_US = const(400)  # tPP, at most 3 ms
_PROGRAM_LIMIT_MS = const(6)
_ERASE_MS = const(45)  # tSE, at most 400 ms
_ERASE_LIMIT_MS = const(500)
_RELEASE_US = const(3)  # tRES1
_POWER_UP_MS = const(5)  # tPUW
_ENABLE_LIMIT_MS = const(20)


class W25Q64:
    """One part behind its chip select, as the log wants it: read, program, erase."""

    sector_size = 4096
    program_size = 256
    write_unit = 1
    programs_per_unit = 0  # no limit

    def __init__(self, spi, cs):
        """Wake the part up, identify it, and see to it that it can be written.

        ``cs`` is an output that is high. Waits for an erase that a reset left running; takes away
        a write protection, which outlasts the power. Raises OSError: ENODEV when none answers, or
        one of another size; EIO when it takes no write enable; EACCES when it stays protected.
        """
        self._spi = spi
        self._cs = cs
        self._command = bytearray(4)
        self._status = bytearray(2)
        self.jedec = self._identify()
        self.size = 1 << self.jedec[2]
        if self._is_protected(self._enable()):
            from drivers import w25q64_unlock

            w25q64_unlock.clear(self._send, self._register, self.jedec[0] == _WINBOND)
            if self._is_protected(self._enable()):
                raise OSError(EACCES, "the flash is write-protected and cannot be freed")

    def _identify(self):
        """Return maker, type and the binary logarithm of the size in bytes."""
        frame = self._command
        start = time.ticks_ms()
        while True:
            self.release_power_down()
            frame[0] = _JEDEC_ID
            self._cs(0)
            self._spi.write_readinto(frame, frame)
            self._cs(1)
            if frame[1] not in _NOBODY and 0x14 <= frame[3] <= 0x18:
                return bytes(frame[1:])
            # Busy, or powered up a moment ago.
            if time.ticks_diff(time.ticks_ms(), start) > _ERASE_LIMIT_MS:
                if frame[1] in _NOBODY:
                    raise OSError(ENODEV, "the flash does not answer")
                found = "%02x %02x %02x" % tuple(frame[1:])
                raise OSError(ENODEV, "the flash is of no size known, JEDEC id " + found)
            time.sleep_ms(_POWER_UP_MS)

    def _enable(self):
        """Try whether a write enable is taken; return status register 1.

        A part that was powered up a moment ago wants 5 ms for it.
        """
        start = time.ticks_ms()
        while True:
            self._send(_WRITE_ENABLE)
            status = self._register(_READ_STATUS_1)
            self._send(_WRITE_DISABLE)
            if status & _WEL:
                return status
            if time.ticks_diff(time.ticks_ms(), start) > _ENABLE_LIMIT_MS:
                raise OSError(EIO, "the flash takes no write enable")
            time.sleep_ms(_POWER_UP_MS)

    def _is_protected(self, status):
        if status & _PROTECTED:
            return True
        if self.jedec[0] != _WINBOND:
            return False
        return bool(self._register(_READ_STATUS_2) & _CMP or self._register(_READ_STATUS_3) & _WPS)

    def _register(self, instruction):
        status = self._status
        status[0] = instruction
        self._cs(0)
        self._spi.write_readinto(status, status)
        self._cs(1)
        return status[1]

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
        while self._register(_READ_STATUS_1) & _BUSY:
            if time.ticks_diff(time.ticks_ms(), start) > limit_ms:
                raise OSError(ETIMEDOUT, "the flash stays busy")
            time.sleep_us(step_us)

    def read(self, address, buffer):
        """Fill ``buffer`` from ``address`` on."""
        self._cs(0)
        self._spi.write(self._address(_READ_DATA, address))
        self._spi.readinto(buffer)
        self._cs(1)

    def program(self, address, data):
        """Program 1 to 256 bytes within one page; OSError (ETIMEDOUT) when it takes too long."""
        self._send(_WRITE_ENABLE)
        self._cs(0)
        self._spi.write(self._address(_PAGE_PROGRAM, address))
        self._spi.write(data)
        self._cs(1)
        time.sleep_us(_PROGRAM_US)
        self._wait(_PROGRAM_LIMIT_MS, 100)

    def erase(self, address):
        """Erase the sector of ``address``; OSError (ETIMEDOUT) when it takes too long."""
        self._send(_WRITE_ENABLE)
        self._send(self._address(_SECTOR_ERASE, address))
        time.sleep_ms(_ERASE_MS)
        self._wait(_ERASE_LIMIT_MS, 5000)

    def power_down(self):
        """Draw 1 uA; everything but ``release_power_down`` is ignored from now on."""
        self._send(_POWER_DOWN)

    def release_power_down(self):
        """Wake from power-down; harmless when awake."""
        self._send(_RELEASE_POWER_DOWN)
        time.sleep_us(_RELEASE_US)
