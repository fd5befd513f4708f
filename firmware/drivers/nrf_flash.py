"""The flash of an nRF52840 itself, through its NVMC (product specification v1.7, section 4.3).

A word of 32 bits is the unit; it may be written twice (n_WRITE) between erases.
"""

import struct
import time
from errno import ETIMEDOUT

from machine import mem32
from micropython import const
from uctypes import bytearray_at

_READY = const(0x4001E400)
_CONFIG = const(0x4001E504)
_ERASEPAGE = const(0x4001E508)

# CONFIG.WEN
_READ_ONLY = const(0)
_WRITE_ENABLE = const(1)
_ERASE_ENABLE = const(2)

_LIMIT_MS = const(200)  # t_ERASEPAGE is 85 ms, t_WRITE 41 us


class NrfFlash:
    """Read, program, erase of whole pages that hold neither code nor file system."""

    sector_size = 4096
    program_size = 256
    write_unit = 4
    programs_per_unit = 2

    def __init__(self, start, size):
        """Use ``size`` bytes of flash from address ``start`` on, whole pages of 4 KiB."""
        if start % self.sector_size or size % self.sector_size:
            raise ValueError("the log takes whole pages of 4 KiB")
        self._start = start
        self.size = size

    def _wait(self):
        start = time.ticks_ms()
        while not mem32[_READY] & 1:
            if time.ticks_diff(time.ticks_ms(), start) > _LIMIT_MS:
                raise OSError(ETIMEDOUT, "the flash stays busy")

    def read(self, address, buffer):
        """Fill ``buffer`` from ``address`` on."""
        buffer[:] = bytearray_at(self._start + address, len(buffer))

    def program(self, address, data):
        """Write whole words; OSError (ETIMEDOUT) when the controller stays busy."""
        mem32[_CONFIG] = _WRITE_ENABLE
        try:
            for at in range(0, len(data), 4):
                self._wait()
                mem32[self._start + address + at] = struct.unpack_from("<I", data, at)[0]
            self._wait()
        finally:
            mem32[_CONFIG] = _READ_ONLY

    def erase(self, address):
        """Erase the page of ``address``; OSError (ETIMEDOUT) when the controller stays busy."""
        mem32[_CONFIG] = _ERASE_ENABLE
        try:
            self._wait()
            mem32[_ERASEPAGE] = self._start + address
            self._wait()
        finally:
            mem32[_CONFIG] = _READ_ONLY
