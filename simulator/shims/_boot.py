"""Starts the firmware as the ESP32 port does: volume at "/", then boot.py and main.py."""

import gc
import random
import sys

import uos
from micropython import const

_OP_STOPPED = const(47)
_OP_URANDOM = const(48)

_volume, _shims = sys.argv[1:]
uos.umount("/")
uos.mount(uos.VfsPosix(_volume), "/")
uos.mount(uos.VfsPosix(_shims), "/.rom")
uos.chdir("/")
sys.path[:] = ["", ".frozen", "/lib", "/.rom"]
sys.argv[:] = []
del _volume, _shims

from _link import call, start  # noqa: E402

gc.collect()
start()
random.seed(int.from_bytes(call(_OP_URANDOM, 0, 3), "little"))  # the port: from the chip's own
try:
    import main  # noqa: F401

    _reset = 0
except SystemExit:
    _reset = 1
except BaseException as error:
    sys.print_exception(error)
    _reset = 0
call(_OP_STOPPED, 0, _reset)
