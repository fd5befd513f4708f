"""W25Q64: identification and write protection. Imported at the start, then unloaded.

Parts of other makers are accepted if their JEDEC capacity is 1 to 16 MiB, because boards are
fitted with what is available. All of these parts accept the instructions of w25q64.py, and the log
reads back what it writes.

The bits that protect the array are non-volatile. A glitch on the bus or another tool may set them,
and from then on the part ignores every program and erase without an error (datasheet W25Q64JV,
revision J, section 7.1). They are therefore checked and cleared at each start.

    maker, kind, size_bits = prepare(spi, cs)
"""

import time
from errno import EACCES, EIO, ENODEV

from micropython import const

# Instructions, tables 8.1.2 and 8.1.3.
_WRITE_ENABLE = const(b"\x06")
_WRITE_DISABLE = const(b"\x04")
_RELEASE_POWER_DOWN = const(b"\xab")
_JEDEC_ID = const(0x9F)
_READ_STATUS_1 = const(0x05)
_READ_STATUS_2 = const(0x35)
_READ_STATUS_3 = const(0x15)
_WRITE_STATUS_1 = const(0x01)
_WRITE_STATUS_2 = const(0x31)
_WRITE_STATUS_3 = const(0x11)

# Status registers, section 7.1.
_BUSY = const(0x01)
_WEL = const(0x02)
_PROTECTED = const(0x1C)  # BP2 to BP0
_CMP = const(0x40)  # register 2: inverts the protection
_SRL_CMP = const(0x41)
_WPS = const(0x04)  # register 3: one lock for each block, all locked at power-up

_WINBOND = const(0xEF)  # registers 2 and 3 of other makers differ
_NOBODY = const((0x00, 0xFF))  # what an undriven line reads
_SMALLEST = const(0x14)  # 1 MiB
_LARGEST = const(0x18)  # 16 MiB: the limit of a three-byte address

# AC characteristics, section 9.6.
_RELEASE_US = const(3)  # tRES1
_POWER_UP_MS = const(5)  # tPUW
_ENABLE_LIMIT_MS = const(20)
_ERASE_LIMIT_MS = const(500)  # tSE, at most 400 ms
_STEP_MS = const(2)
_STATUS_LIMIT_MS = const(30)  # tW, at most 15 ms, twice


def prepare(spi, cs):
    """Wake the part, remove a write protection and return its JEDEC id (3 bytes).

    Waits for an erase that was running at a reset. Raises OSError: ENODEV when no part answers or
    its size is not supported; EIO when it accepts no write enable; EACCES when it remains
    protected.
    """
    jedec = _identify(spi, cs)
    own = jedec[0] == _WINBOND
    if _is_protected(spi, cs, own, _enable(spi, cs)):
        _clear(spi, cs, own)
        if _is_protected(spi, cs, own, _enable(spi, cs)):
            raise OSError(EACCES, "the flash is write-protected and cannot be freed")
    return jedec


def _identify(spi, cs):
    frame = bytearray(4)
    start = time.ticks_ms()
    while True:
        _send(spi, cs, _RELEASE_POWER_DOWN)
        time.sleep_us(_RELEASE_US)
        frame[0] = _JEDEC_ID
        cs(0)
        spi.write_readinto(frame, frame)
        cs(1)
        if frame[1] not in _NOBODY and _SMALLEST <= frame[3] <= _LARGEST:
            return bytes(frame[1:])
        # The part may be busy, or may have been powered up a moment ago.
        if time.ticks_diff(time.ticks_ms(), start) > _ERASE_LIMIT_MS:
            if frame[1] in _NOBODY:
                raise OSError(ENODEV, "the flash does not answer")
            found = "%02x %02x %02x" % tuple(frame[1:])
            raise OSError(ENODEV, "the flash is of no size known, JEDEC id " + found)
        time.sleep_ms(_POWER_UP_MS)


def _enable(spi, cs):
    """Try a write enable and return status register 1. Raises OSError (EIO).

    After power-up the part accepts a write enable only after 5 ms.
    """
    start = time.ticks_ms()
    while True:
        _send(spi, cs, _WRITE_ENABLE)
        status = _register(spi, cs, _READ_STATUS_1)
        _send(spi, cs, _WRITE_DISABLE)
        if status & _WEL:
            return status
        if time.ticks_diff(time.ticks_ms(), start) > _ENABLE_LIMIT_MS:
            raise OSError(EIO, "the flash takes no write enable")
        time.sleep_ms(_POWER_UP_MS)


def _is_protected(spi, cs, own, status):
    if status & _PROTECTED:
        return True
    if not own:
        return False
    second, third = _register(spi, cs, _READ_STATUS_2), _register(spi, cs, _READ_STATUS_3)
    return bool(second & _CMP or third & _WPS)


def _clear(spi, cs, own):
    """Clear the bits that protect the array; locked bits keep their value.

    In register 1 every bit is cleared (SRP, SEC, TB, BP2 to BP0). In Winbond's registers 2 and 3
    only CMP, SRL and WPS are cleared; one-time bits and bits that configure pins are written back
    unchanged. A part that is locked by SRL, or by SRP and its /WP pin, ignores the writes.
    """
    _write(spi, cs, _WRITE_STATUS_1, 0)
    if own:
        _write(spi, cs, _WRITE_STATUS_2, _register(spi, cs, _READ_STATUS_2) & ~_SRL_CMP & 0xFF)
        _write(spi, cs, _WRITE_STATUS_3, _register(spi, cs, _READ_STATUS_3) & ~_WPS & 0xFF)


def _write(spi, cs, instruction, value):
    _send(spi, cs, _WRITE_ENABLE)
    _send(spi, cs, bytes((instruction, value)))
    for _ in range(0, _STATUS_LIMIT_MS, _STEP_MS):
        time.sleep_ms(_STEP_MS)
        if not _register(spi, cs, _READ_STATUS_1) & _BUSY:
            return


def _register(spi, cs, instruction):
    status = bytearray((instruction, 0))
    cs(0)
    spi.write_readinto(status, status)
    cs(1)
    return status[1]


def _send(spi, cs, instruction):
    cs(0)
    spi.write(instruction)
    cs(1)
