"""A battery behind a divider, as an ADC sees it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from coldtrail_simulator.clock import US_PER_S, Clock
from coldtrail_simulator.journal import Journal

_DAY_S = 86_400


class Battery:
    """A cell that is discharged evenly.

    Args:
        name: as the board file calls it.
        curve: its voltage in mV at 0 to 100 % of its charge, in equal steps.
        percent: charge at the start of the run.
        percent_per_day: how fast it is used.
        divider: battery voltage over voltage at the pin.
    """

    FAULTS: ClassVar = {"out_of_range": ("loose", True, False)}

    def __init__(
        self,
        clock: Clock,
        journal: Journal,
        *,
        name: str = "battery",
        divider: float = 2.0,
        curve: Sequence[float],
        percent: float = 90.0,
        percent_per_day: float = 1.0,
    ) -> None:
        self._clock = clock
        self._journal = journal
        self.name = name
        self.divider = divider
        self.curve = curve
        self.start_percent = percent
        self.percent_per_day = percent_per_day
        self.loose = False
        """Fault: nothing is at the divider."""

    @property
    def percent(self) -> float:
        """Charge of the cell now, 0 to 100."""
        days = self._clock.now_us / US_PER_S / _DAY_S
        return max(0.0, self.start_percent - days * self.percent_per_day)

    @property
    def millivolts(self) -> float:
        """Voltage of the cell now."""
        place = self.percent / 100 * (len(self.curve) - 1)
        low = min(int(place), len(self.curve) - 2)
        return self.curve[low] + (self.curve[low + 1] - self.curve[low]) * (place - low)

    def volts(self) -> float:
        """Return the voltage at the chip's pin."""
        return 0.0 if self.loose else self.millivolts / self.divider / 1000

    def given(self, microvolts: int) -> None:
        """Take note of what the converter made of it."""
        self._journal.note(
            "measure",
            sensor=self.name,
            microvolts=microvolts,
            millivolts=microvolts * self.divider / 1000,
            true_millivolts=self.millivolts,
        )
