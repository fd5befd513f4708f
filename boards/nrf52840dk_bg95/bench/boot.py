"""On the bench: the one UART stays the console's, and there is no modem."""

import os
import sys

import wiring

from coldtrail.ports.nrf52840_uart import UART

wiring.MODEM = None
# The image has a module `board` of its own, which would be found before any file of that name.
sys.modules["board"] = wiring
# The interpreter's own UART cannot be polled, so that whoever waits for input would wait for ever.
os.dupterm(UART(0, 115200), 0)
