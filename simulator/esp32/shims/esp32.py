"""Module esp32: what a chip does while it sleeps."""

from _link import call
from micropython import const

_OP_EXT0 = const(44)
_OP_EXT1 = const(45)
_OP_HOLD = const(46)

WAKEUP_ALL_LOW = const(0)
WAKEUP_ANY_HIGH = const(1)


def wake_on_ext0(pin=None, level=0):
    number = 255 if pin is None else pin if isinstance(pin, int) else pin.id
    if call(_OP_EXT0, number, int(level)):
        raise ValueError("invalid pin")


def wake_on_ext1(pins=None, level=0):
    numbers = pins and bytes(pin if isinstance(pin, int) else pin.id for pin in pins)
    if call(_OP_EXT1, 0 if pins is None else 1, int(level), numbers):
        raise ValueError("invalid pin")


def gpio_deep_sleep_hold(enable):
    call(_OP_HOLD, 0, int(enable))


def __getattr__(name):
    if name == "Partition":
        from _flash import Partition

        return Partition
    import _rare

    return getattr(_rare, name)
