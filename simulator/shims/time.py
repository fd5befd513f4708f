"""Module time of the ESP32 port, in virtual time."""

import utime
from _link import call, ticks_ms  # noqa: F401 -- this module's own ticks_ms
from micropython import const

_OP_TICKS_US = const(2)
_OP_TIME = const(3)
_OP_TIME_NS = const(4)
_OP_SLEEP_US = const(5)
_OP_SLEEP_MS = const(6)
_OP_RESUME = const(8)


def ticks_us():
    return call(_OP_TICKS_US)


ticks_cpu = ticks_us


def ticks_add(ticks, delta):
    return (ticks + delta) & 0x3FFFFFFF


def ticks_diff(end, start):
    return ((end - start + 0x20000000) & 0x3FFFFFFF) - 0x20000000


def _sleep(op, n):
    while n > 0 and call(op, 0, n):
        op = _OP_RESUME


def sleep_us(us):
    _sleep(_OP_SLEEP_US, us)


def sleep_ms(ms):
    _sleep(_OP_SLEEP_MS, ms)


def sleep(s):
    _sleep(_OP_SLEEP_MS, int(s * 1000))


def time():
    return call(_OP_TIME)


def time_ns():
    return int.from_bytes(call(_OP_TIME_NS), "little")


def gmtime(s=None):
    return utime.gmtime((time() if s is None else s) + 946684800)


localtime = gmtime


def mktime(t):
    return utime.mktime(t) - 946684800
