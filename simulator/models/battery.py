"""A battery behind a divider, as an ADC sees it."""

from __future__ import annotations

from simulator.journal import Journal
from simulator.kernel import US_PER_S, Clock

_DAY_S = 86_400


class Battery:
    """A cell whose voltage falls evenly.

    Args:
        name: as the board file calls it.
        full_mv: voltage at the start of the run.
        empty_mv: voltage it does not fall below.
        mv_per_day: how fast it falls.
        divider: battery voltage over voltage at the pin.
    """

    def __init__(
        self,
        clock: Clock,
        journal: Journal,
        *,
        name: str = "battery",
        divider: float = 2.0,
        full_mv: float = 4100.0,
        empty_mv: float = 3000.0,
        mv_per_day: float = 12.0,
    ) -> None:
        self._clock = clock
        self._journal = journal
        self.name = name
        self.divider = divider
        self.full_mv = full_mv
        self.empty_mv = empty_mv
        self.mv_per_day = mv_per_day

    @property
    def millivolts(self) -> float:
        """Voltage of the cell now."""
        days = self._clock.now_us / US_PER_S / _DAY_S
        return max(self.empty_mv, self.full_mv - days * self.mv_per_day)

    def volts(self) -> float:
        """Return the voltage at the chip's pin."""
        return self.millivolts / self.divider / 1000

    def given(self, microvolts: int) -> None:
        """Take note of what the converter made of it."""
        self._journal.note(
            "measure",
            sensor=self.name,
            microvolts=microvolts,
            millivolts=microvolts * self.divider / 1000,
            true_millivolts=self.millivolts,
        )
