"""The charge that a part draws: a current for each of its states, and the time in each state.

Every part is supplied from the battery directly or through a linear regulator, whose input current
equals its output current. Charges therefore add up, whatever the voltage.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from coldtrail_simulator.clock import Clock

OFF = "off"
"""The state of a part without supply, which every part has; its current is zero."""

Basis = Literal["typical", "maximum", "assumed"]
"""The kind of a figure: typical or maximum of the datasheet, or an assumption of this project."""


@dataclass(frozen=True)
class Current:
    """The current of a part in one state."""

    ua: float
    """Microamperes."""
    basis: Basis
    source: str
    """Document and table or section, or the reason for an assumption."""


Currents = Mapping[str, Current]
"""The currents of a part by the names of its states."""

NOTHING = Current(0.0, "assumed", "no supply")


@dataclass(frozen=True)
class Spell:
    """The total time that a part has spent in one state, and its current in that state."""

    state: str
    us: int
    current: Current

    @property
    def charge_uah(self) -> float:
        """Charge in microampere-hours."""
        return self.us * self.current.ua / 3.6e9


class Load:
    """The charge of one part. The part reports each change of its state; time is exact.

    Raises:
        KeyError: a state has no current.
    """

    def __init__(self, clock: Clock, currents: Currents, state: str = OFF) -> None:
        self._clock = clock
        self.currents = {OFF: NOTHING, **currents}
        self._us = dict.fromkeys(self.currents, 0)
        self.state = OFF
        self._since_us = clock.now_us
        self.become(state)

    def become(self, state: str) -> None:
        """Change to another state now."""
        if state == self.state:
            return
        now_us = self._clock.now_us
        self._us[state] += 0
        self._us[self.state] += now_us - self._since_us
        self.state, self._since_us = state, now_us

    def spend(self, state: str, us: int) -> None:
        """Account ``us`` from now on to another state instead of the present one.

        This is for states that end by themselves. If the part loses its supply earlier, the charge
        is too high.
        """
        self._us[state] += us
        self._us[self.state] -= us

    def spells(self) -> Iterator[Spell]:
        """Yield the time spent in each state so far, except zero times."""
        present_us = self._clock.now_us - self._since_us
        for state, past_us in self._us.items():
            us = past_us + (present_us if state == self.state else 0)
            if us:
                yield Spell(state, us, self.currents[state])
