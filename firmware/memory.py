"""The heap: modules that are loaded for a stage of the work and given back after it."""

import gc
import sys


def forget(package, *names):
    """Give back the memory of a package's modules whose work is done; imported again at need.

    Nothing may hold anything that they define.
    """
    for name in names:
        if sys.modules.pop(package + "." + name, None):
            delattr(sys.modules[package], name)
    gc.collect()
