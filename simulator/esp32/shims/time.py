"""Module time of the ESP32 port, in virtual time."""

import utime
from _link import call, ticks_ms  # noqa: F401 -- this module's own ticks_ms
from micropython import const

_OP_TIME_NS = const(4)
_OP_SLEEP_US = const(5)
_OP_SLEEP_MS = const(6)
_OP_RESUME = const(8)

# Ticks have 30 bits on the chip and on a 32-bit interpreter.
if utime.ticks_add(0x3FFFFFFF, 1):
    from _rare import ticks_add, ticks_diff
else:
    from utime import ticks_add, ticks_diff  # noqa: F401


def sleep_us(us, op=_OP_SLEEP_US):
    while us > 0 and call(op, 0, us):
        op = _OP_RESUME


def sleep_ms(ms):
    sleep_us(ms, _OP_SLEEP_MS)


def time_ns():
    return int.from_bytes(call(_OP_TIME_NS), "little")


def __getattr__(name):
    import _rare

    return getattr(_rare, name)
