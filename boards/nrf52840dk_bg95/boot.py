"""In the field: removes the prompt from the only UART, which serves the modem.

The console is on USB.
"""

import os
import sys

import micropython
import wiring

# The image has its own module `board`, which would be found before a file of that name.
sys.modules["board"] = wiring
os.dupterm(None, 0)
micropython.kbd_intr(-1)
