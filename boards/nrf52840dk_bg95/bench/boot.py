"""On the bench: the one UART stays the console's, and there is no modem."""

import sys

import wiring

wiring.MODEM = None
# The image has a module `board` of its own, which would be found before any file of that name.
sys.modules["board"] = wiring
