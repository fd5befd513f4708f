"""The heap: modules that are loaded for a stage of the work and given back after it."""

import gc
import sys


def forget(*names):
    """Give back the memory of modules, named in full, whose work is done; imported again at need.

    Nothing may hold anything that they define. A package that nothing is left of goes with its
    last module.
    """
    for name in names:
        while name and sys.modules.pop(name, None):
            package, _, module = name.rpartition(".")
            name = ""
            if package:
                delattr(sys.modules[package], module)
                # What is left then is what every package has.
                if not [own for own in dir(sys.modules[package]) if own[:2] != "__"]:
                    name = package
    gc.collect()
