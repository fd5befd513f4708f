"""Quectel BG95 and BG96: LTE-M, NB-IoT and GSM module with TCP sockets, at its AT interface."""

from coldtrail_simulator.models.bg95.faults import PERMANENT, Fault, Faults
from coldtrail_simulator.models.bg95.general import Sim
from coldtrail_simulator.models.bg95.gnss import Fix
from coldtrail_simulator.models.bg95.modem import BG95, Power
from coldtrail_simulator.models.bg95.part import BG95_M3, BG96, Part
from coldtrail_simulator.models.bg95.radio import Cell, Reception

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
    "Reception",
    "Sim",
]
