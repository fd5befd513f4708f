"""A constant world, and a small board for firmware under test."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from coldtrail_simulator.board import file as boards

ROOT = Path(__file__).parents[3]
DRIVERS = ROOT / "firmware" / "drivers"
S = 1_000_000
MS = 1_000


def small_board(**changes):
    """Return the project's board without flash and modem, with the probe supplied, and changes."""
    whole = boards.named("esp32_bg95")
    del whole["SENSORS"]["probe"]["supply"]
    fitted = {name: whole[name] for name in whole if name not in {"FLASH", "MODEM", "HELD"}}
    return fitted | changes


@dataclass
class Still:
    """A world in which nothing changes by itself."""

    air: float = 22.0
    moisture: float = 45.0
    payload: float = 5.0
    light: float = 0.0
    light_changes: Sequence[float] = ()
    motions: Sequence[tuple[float, float]] = ()

    def ambient_c(self, t_s):
        return self.air

    def humidity(self, t_s):
        return self.moisture

    def payload_c(self, t_s):
        return self.payload

    def lux(self, t_s):
        return self.light

    def acceleration(self, t_s):
        return 0.0, 0.0, 1.0
