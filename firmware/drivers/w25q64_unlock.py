"""W25Q64: takes away a write protection. Imported only when one is found.

The bits are non-volatile: a glitch on the bus or somebody's tool sets them once, and every program
and erase is ignored from then on, without a word (datasheet W25Q64JV, revision J, section 7.1).
"""

import time

from micropython import const

_WRITE_ENABLE = b"\x06"
_READ_STATUS_1 = const(0x05)
_READ_STATUS_2 = const(0x35)
_READ_STATUS_3 = const(0x15)
_WRITE_STATUS_1 = const(0x01)
_WRITE_STATUS_2 = const(0x31)
_WRITE_STATUS_3 = const(0x11)
_BUSY = const(0x01)
_SRL_CMP = const(0x41)
_WPS = const(0x04)
_STEP_MS = const(2)
_LIMIT_MS = const(30)  # tW, 15 ms at most, twice


def clear(send, register, own):
    """Clear the bits that protect the array; those that are locked stay as they are.

    ``send(bytes)`` is an instruction, ``register(instruction)`` reads a status register. Of
    register 1 every bit goes: SRP, SEC, TB, BP2 to BP0. ``own``: the registers 2 and 3 are
    Winbond's; of these CMP, SRL and WPS go, and what is set once for ever or drives pins is
    written back as it is. A part that SRL or SRP and its /WP pin lock ignores all of it.
    """
    _write(send, register, _WRITE_STATUS_1, 0)
    if own:
        _write(send, register, _WRITE_STATUS_2, register(_READ_STATUS_2) & ~_SRL_CMP & 0xFF)
        _write(send, register, _WRITE_STATUS_3, register(_READ_STATUS_3) & ~_WPS & 0xFF)


def _write(send, register, instruction, value):
    send(_WRITE_ENABLE)
    send(bytes((instruction, value)))
    for _ in range(0, _LIMIT_MS, _STEP_MS):
        time.sleep_ms(_STEP_MS)
        if not register(_READ_STATUS_1) & _BUSY:
            return
