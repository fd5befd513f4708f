"""A battery behind a divider, measured by an ADC."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from coldtrail_simulator.clock import US_PER_S, Clock
from coldtrail_simulator.journal import Journal

_DAY_S = 86_400


class Battery:
    """A cell that is discharged at a constant rate.

    Args:
        name: its name in the board file.
        curve: its voltage in mV at 0 to 100 % of its charge, in equal steps.
        percent: charge at the start of the run.
        percent_per_day: rate of discharge.
        divider: battery voltage divided by the voltage at the pin.
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
        """Fault: the divider is disconnected."""

    @property
    def percent(self) -> float:
        """Present charge of the cell, 0 to 100."""
        days = self._clock.now_us / US_PER_S / _DAY_S
        return max(0.0, self.start_percent - days * self.percent_per_day)

    @property
    def millivolts(self) -> float:
        """Present voltage of the cell."""
        place = self.percent / 100 * (len(self.curve) - 1)
        low = min(int(place), len(self.curve) - 2)
        return self.curve[low] + (self.curve[low + 1] - self.curve[low]) * (place - low)

    def volts(self) -> float:
        """Return the voltage at the chip's pin."""
        return 0.0 if self.loose else self.millivolts / self.divider / 1000

    def given(self, microvolts: int) -> None:
        """Note the reading that the ADC gave."""
        self._journal.note(
            "measure",
            sensor=self.name,
            microvolts=microvolts,
            millivolts=microvolts * self.divider / 1000,
            true_millivolts=self.millivolts,
        )
