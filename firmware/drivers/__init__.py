"""Drivers: registers and datasheets, nothing of the application."""

import gc
import sys


def forget(*names):
    """Give back the memory of modules, named in full, whose work is done; imported again at need.

    Nothing may hold anything that they define.
    """
    for name in names:
        if sys.modules.pop(name, None):
            package, _, module = name.rpartition(".")
            delattr(sys.modules[package], module)
    gc.collect()
