"""Quectel BG95 and BG96: LTE-M, NB-IoT and GSM module with TCP sockets, at its AT interface."""

from .general import Sim
from .modem import BG95, Power
from .part import BG95_M3, BG96, Part
from .radio import Cell, World

__all__ = ["BG95", "BG95_M3", "BG96", "Cell", "Part", "Power", "Sim", "World"]
