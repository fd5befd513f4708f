"""Starts the firmware as the ESP32 port does: volume at "/", then boot.py and main.py.

The volume is a folder or, with boot.py, an image of all the chip's flash.
"""

import gc
import random
import sys

import uos
from micropython import const

_OP_STOPPED = const(47)
_OP_URANDOM = const(48)

_volume, _shims = sys.argv[1:]
_image = None if uos.stat(_volume)[0] & 0x4000 else open(_volume, "r+b")
uos.umount("/")
if not _image:
    uos.mount(uos.VfsPosix(_volume), "/")
uos.mount(uos.VfsPosix(_shims), "/.rom")
uos.chdir("/")
sys.path[:] = ["", ".frozen", "/lib", "/.rom"]
sys.argv[:] = []
del _volume, _shims

from _link import call, start  # noqa: E402

gc.collect()
start()
# The ESP32 port also seeds it from the chip.
random.seed(int.from_bytes(call(_OP_URANDOM, 0, 3), "little"))
try:
    if _image:
        from _flash import boot

        boot(_image)
    import main  # noqa: F401

    _reset = 0
except SystemExit:
    _reset = 1
except BaseException as error:
    sys.print_exception(error)
    _reset = 0
call(_OP_STOPPED, 0, _reset)
