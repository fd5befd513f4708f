"""Mounts the program volume; MicroPython then runs main.py.

This file is on the provisioned volume, which an update never writes, so it must stay minimal.
"""

import os

import vfs
from esp32 import Partition

try:
    vfs.mount(Partition.find(Partition.TYPE_DATA, label="program")[0], "/lib")
    try:
        os.stat("/lib/version")  # this file was written last
    except OSError:
        vfs.umount("/lib")
        raise
except OSError:
    print("coldtrail: the program is incomplete: flash the tracker again")
