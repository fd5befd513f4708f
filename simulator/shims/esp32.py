"""Module esp32: what a chip does while it sleeps."""

from _link import call
from machine import _number
from micropython import const

_OP_EXT0 = const(44)
_OP_EXT1 = const(45)
_OP_HOLD = const(46)

WAKEUP_ALL_LOW = const(0)
WAKEUP_ANY_HIGH = const(1)


def _wake(op, unit, level, pins=None):
    if call(op, unit, int(level), pins):
        raise ValueError("invalid pin")


def wake_on_ext0(pin=None, level=0):
    _wake(_OP_EXT0, 255 if pin is None else _number(pin), level)


def wake_on_ext1(pins=None, level=0):
    _wake(_OP_EXT1, 0 if pins is None else 1, level, pins and bytes(_number(pin) for pin in pins))


def gpio_deep_sleep_hold(enable):
    call(_OP_HOLD, 0, int(enable))
