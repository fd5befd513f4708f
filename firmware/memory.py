"""Saves heap: modules are loaded for a stage of the work and unloaded after it."""

import gc
import sys


def forget(package, *names):
    """Unload modules of a package whose work is done; a later import loads them again.

    No other object may refer to anything that they define, or their memory is not freed.
    """
    for name in names:
        if sys.modules.pop(package + "." + name, None):
            delattr(sys.modules[package], name)
    gc.collect()
