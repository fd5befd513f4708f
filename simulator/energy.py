"""The charge that a part draws: a current for each of its states, and the time spent in them.

Every part is fed from the battery directly or through a linear regulator, whose input current is
its output current; so charges add up, whatever the voltage.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from coldtrail_simulator.clock import Clock

OFF = "off"
"""The state of a part without supply, which every part has; it draws nothing."""

Basis = Literal["typical", "maximum", "assumed"]
"""What a figure is: the datasheet's typical or maximum, or an assumption of this project's."""


@dataclass(frozen=True)
class Current:
    """What a part draws in one state."""

    ua: float
    """Microamperes."""
    basis: Basis
    source: str
    """Document and table or section, or the reasons of an assumption."""


Currents = Mapping[str, Current]
"""The currents of a part by the names of its states."""

NOTHING = Current(0.0, "assumed", "no supply")


@dataclass(frozen=True)
class Spell:
    """All the time that a part has spent in one state, and what it drew meanwhile."""

    state: str
    us: int
    current: Current

    @property
    def charge_uah(self) -> float:
        """Charge in microampere-hours."""
        return self.us * self.current.ua / 3.6e9


class Load:
    """What one part draws. The part says when its state changes; time is kept exactly.

    Raises:
        KeyError: a state that has no current.
    """

    def __init__(self, clock: Clock, currents: Currents, state: str = OFF) -> None:
        self._clock = clock
        self.currents = {OFF: NOTHING, **currents}
        self._us = dict.fromkeys(self.currents, 0)
        self.state = OFF
        self._since_us = clock.now_us
        self.become(state)

    def become(self, state: str) -> None:
        """Be in another state from now on."""
        if state == self.state:
            return
        now_us = self._clock.now_us
        self._us[state] += 0
        self._us[self.state] += now_us - self._since_us
        self.state, self._since_us = state, now_us

    def spend(self, state: str, us: int) -> None:
        """Be in another state for ``us`` from now on, out of the time in the present one.

        For what ends by itself: should the part lose its supply sooner, too much is charged.
        """
        self._us[state] += us
        self._us[self.state] -= us

    def spells(self) -> Iterator[Spell]:
        """Yield the time spent so far in each state, as far as there is any."""
        present_us = self._clock.now_us - self._since_us
        for state, past_us in self._us.items():
            us = past_us + (present_us if state == self.state else 0)
            if us:
                yield Spell(state, us, self.currents[state])
