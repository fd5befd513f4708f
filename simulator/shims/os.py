"""Module os, with the chip's random numbers instead of the host's."""

import uos
from _link import call


def urandom(n):
    return call(48, 0, n)


def __getattr__(name):
    return getattr(uos, name)
