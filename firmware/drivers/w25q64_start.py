"""W25Q64: which part it is, and whether it can be written. Imported for that, and given back.

Other makers' parts are taken by the capacity that they say, 1 to 16 MiB: boards are fitted with
what can be bought, all of these parts take the instructions of w25q64.py, the log reads back
whatever it writes, and a tracker that refused a memory that works would be of no use to anybody.

The bits that protect the array are non-volatile: a glitch on the bus or somebody's tool sets them
once, and every program and erase is ignored from then on, without a word (datasheet W25Q64JV,
revision J, section 7.1). So they are looked at at each start, and cleared.

    maker, kind, size_bits = prepare(spi, cs)
"""

import time
from errno import EACCES, EIO, ENODEV

from micropython import const

# Instructions, tables 8.1.2 and 8.1.3.
_WRITE_ENABLE = b"\x06"
_WRITE_DISABLE = b"\x04"
_RELEASE_POWER_DOWN = b"\xab"
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
_CMP = const(0x40)  # of register 2: what they leave free is protected
_SRL_CMP = const(0x41)
_WPS = const(0x04)  # of register 3: each block has a lock of its own, and powers up locked

_WINBOND = const(0xEF)  # other makers' registers 2 and 3 are not these
_NOBODY = (0x00, 0xFF)  # as a line reads that nobody drives
_SMALLEST = const(0x14)  # 1 MiB
_LARGEST = const(0x18)  # 16 MiB: beyond, three bytes of address do not reach

# AC characteristics, section 9.6.
_RELEASE_US = const(3)  # tRES1
_POWER_UP_MS = const(5)  # tPUW
_ENABLE_LIMIT_MS = const(20)
_ERASE_LIMIT_MS = const(500)  # tSE, 400 ms at most
_STEP_MS = const(2)
_STATUS_LIMIT_MS = const(30)  # tW, 15 ms at most, twice


def prepare(spi, cs):
    """Wake the part up and free it of a write protection; return its three bytes of JEDEC id.

    Waits for an erase that a reset left running. Raises OSError: ENODEV when none answers, or one
    of another size; EIO when it takes no write enable; EACCES when it stays protected.
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
        # Busy, or powered up a moment ago.
        if time.ticks_diff(time.ticks_ms(), start) > _ERASE_LIMIT_MS:
            if frame[1] in _NOBODY:
                raise OSError(ENODEV, "the flash does not answer")
            found = "%02x %02x %02x" % tuple(frame[1:])
            raise OSError(ENODEV, "the flash is of no size known, JEDEC id " + found)
        time.sleep_ms(_POWER_UP_MS)


def _enable(spi, cs):
    """Try whether a write enable is taken; return status register 1.

    A part that was powered up a moment ago wants 5 ms for it.
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
    """Clear the bits that protect the array; those that are locked stay as they are.

    Of register 1 every bit goes: SRP, SEC, TB, BP2 to BP0. Of Winbond's registers 2 and 3 CMP, SRL
    and WPS go, and what is set once for ever or drives pins is written back as it is. A part that
    SRL, or SRP and its /WP pin, lock ignores all of it.
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
