"""Quectel BG95 and BG96: LTE-M, NB-IoT and GSM module with TCP sockets, at its AT interface."""

from .faults import PERMANENT, Fault, Faults
from .general import Sim
from .gnss import Fix
from .modem import BG95, Power
from .part import BG95_M3, BG96, Part
from .radio import Cell, World

__all__ = [
    "BG95",
    "BG95_M3",
    "BG96",
    "PERMANENT",
    "Cell",
    "Fault",
    "Faults",
    "Fix",
    "Part",
    "Power",
    "Sim",
    "World",
]
