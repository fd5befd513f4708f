"""In the field: takes the prompt off the one UART, which carries the modem. The console is USB."""

import os
import sys

import micropython
import wiring

# The image has a module `board` of its own, which would be found before any file of that name.
sys.modules["board"] = wiring
os.dupterm(None, 0)
micropython.kbd_intr(-1)
