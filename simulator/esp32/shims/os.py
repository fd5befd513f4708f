"""Module os, with the chip's random numbers instead of the host's."""

import uos
from _link import call
from micropython import const

_OP_URANDOM = const(48)


def urandom(n):
    return call(_OP_URANDOM, 0, n)


def __getattr__(name):
    return getattr(uos, name)
