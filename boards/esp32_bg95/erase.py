"""Installed as main.py by `flash --erase`: erases the log of the previous identity.

Afterwards it is replaced by the firmware's main.py. After an interruption it starts again.
"""

import os

import machine

import board
from coldtrail.ports.esp32 import Port

flash = Port(board).flash()
sector = bytearray(flash.sector_size)
blank = b"\xff" * flash.sector_size
for address in range(0, flash.size, flash.sector_size):
    flash.read(address, sector)
    if sector != blank:
        flash.erase(address)
os.rename("/next.py", "/main.py")
machine.reset()
