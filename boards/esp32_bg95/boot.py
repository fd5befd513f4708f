"""Mounts the program beside what was provisioned; the port then runs main.py.

It lies with the provisioned files, which an update never writes, so it stays as short as it is.
"""

import os

import vfs
from esp32 import Partition

try:
    vfs.mount(Partition.find(Partition.TYPE_DATA, label="program")[0], "/lib")
    try:
        os.stat("/lib/version")  # was written last
    except OSError:
        vfs.umount("/lib")
        raise
except OSError:
    print("coldtrail: the program is incomplete: flash the tracker again")
