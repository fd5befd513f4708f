"""The chip's internal flash, when the volume is an image of all of it.

It reads ESP-IDF's partition table, replaces MicroPython's esp32.Partition (each partition is a
block device), and starts the firmware as the port does.
"""

import struct
import sys

import uos
from micropython import const

_TABLE = const(0x8000)
_ENTRIES = const(95)
_BLOCK = const(4096)

_image = None


class Partition:
    TYPE_APP = 0
    TYPE_DATA = 1

    def __init__(self, entry):
        self._info = entry

    @classmethod
    def find(cls, type=0, subtype=0xFF, label=None, encrypted=False, block_size=_BLOCK):
        found = []
        for n in range(_ENTRIES):
            _image.seek(_TABLE + 32 * n)
            magic, kind, sub, offset, size, name, _ = struct.unpack("<2sBBII16sI", _image.read(32))
            if magic != b"\xaa\x50":
                break
            name = name.rstrip(b"\0").decode()
            if kind == type and subtype in (0xFF, sub) and label in (None, name):
                found.append(cls((kind, sub, offset, size, name, False)))
        return found

    def info(self):
        return self._info

    def readblocks(self, block, buf, offset=0):
        _image.seek(self._info[2] + block * _BLOCK + offset)
        _image.readinto(buf)

    def writeblocks(self, block, buf, offset=None):
        address = self._info[2] + block * _BLOCK
        if offset is None:
            for n in range(len(buf) // _BLOCK):
                self.ioctl(6, block + n)
        else:
            address += offset
        # Programming clears bits but cannot set them.
        _image.seek(address)
        old = _image.read(len(buf))
        _image.seek(address)
        _image.write(bytes([a & b for a, b in zip(old, buf)]))
        _image.flush()

    def ioctl(self, op, arg):
        if op == 4:
            return self._info[3] // _BLOCK
        if op == 5:
            return _BLOCK
        if op == 6:
            _image.seek(self._info[2] + arg * _BLOCK)
            _image.write(b"\xff" * _BLOCK)
            _image.flush()
        return 0


def boot(image):
    """Mount the volume as the port's _boot.py does, then run boot.py."""
    global _image
    _image = image
    uos.mount(Partition.find(Partition.TYPE_DATA, label="vfs")[0], "/")
    uos.chdir("/")
    try:
        import boot  # noqa: F401
    except Exception as error:
        sys.print_exception(error)
