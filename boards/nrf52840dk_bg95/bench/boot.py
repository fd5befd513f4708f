"""On the bench: the only UART carries the console, and there is no modem."""

import os
import sys

import wiring

from coldtrail.ports.nrf52840_uart import UART

wiring.MODEM = None
# The image has its own module `board`, which would be found before a file of that name.
sys.modules["board"] = wiring
# The interpreter's own UART object does not support polling, so a wait for input would never end.
os.dupterm(UART(0, 115200), 0)
