"""Test driver: advances virtual time, changes the world, inspects."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from functools import partial
from typing import Any

from coldtrail_simulator.clock import US_PER_S
from coldtrail_simulator.models.battery import Battery
from coldtrail_simulator.shipment.session import Session
from coldtrail_simulator.shipment.tracker import Tracker
from coldtrail_simulator.world.live import LiveWorld
from coldtrail_simulator.world.scenario import Door, Drop, Event, Tilt

LOOK_S = 0.5
"""Virtual seconds between two checks of a condition."""
DAY_S = 86_400


class Steering:
    """Drives a session with a LiveWorld."""

    def __init__(self, session: Session[Tracker], world: LiveWorld) -> None:
        self._session = session
        self._world = world
        self._tracker = session.simulation

    @property
    def now_s(self) -> float:
        """Virtual seconds since the start."""
        now_us: int = self._tracker.clock.now_us
        return now_us / US_PER_S

    # ---- time

    def let(self, seconds: float) -> None:
        """Advance virtual time by ``seconds``."""
        self._tracker.run(self._tracker.clock.now_us + round(seconds * US_PER_S))

    def until(
        self, condition: Callable[[], object], limit_s: float, look_s: float = LOOK_S
    ) -> bool:
        """Advance time until ``condition`` holds; return whether it does within ``limit_s``."""
        end_s = self.now_s + limit_s
        while not condition():
            left_s = end_s - self.now_s
            if left_s <= 0:
                return False
            self.let(min(look_s, left_s))
        return True

    # ---- changes

    def do(self, event: Event) -> None:
        """Carry out an event of a scenario now, independent of its own time."""
        self._tracker.do(partial(self._do, event))

    def _do(self, event: Event) -> None:
        self._world.happen(event, self.now_s)
        self._look(type(event))
        self._session.actions.do(event)

    def set(self, name: str, value: Any) -> None:
        """Set a quantity or condition of the world (live.py) to ``value`` from now on."""
        self._tracker.do(partial(self._set, name, value))

    def _set(self, name: str, value: Any) -> None:
        self._world.set(name, value, self.now_s)
        self._look({"lux": Door, "acceleration": Tilt}.get(name))

    def _look(self, kind: type[Any] | None) -> None:
        """Inform the part that measures the quantity, which converts only after a change."""
        if kind is Door:
            self._tracker.parts["light"].look()
        elif kind in (Drop, Tilt):
            self._tracker.parts["accelerometer"].look()

    def set_battery(self, millivolts: float) -> None:
        """Set the battery to the charge with this open-circuit voltage.

        Raises:
            ValueError: no charge has this voltage.
        """
        battery: Battery = self._tracker.parts["battery"]
        curve = battery.curve
        if not curve[0] <= millivolts <= curve[-1]:
            raise ValueError(f"the battery rests at {curve[0]} to {curve[-1]} mV")
        high = max(1, bisect_left(curve, millivolts))
        share = (millivolts - curve[high - 1]) / (curve[high] - curve[high - 1])
        percent = 100 * (high - 1 + share) / (len(curve) - 1)
        battery.start_percent = percent + self.now_s / DAY_S * battery.percent_per_day

    # ---- inspection

    def notes(self, kind: str, since_s: float = 0.0, **fields: Any) -> list[dict[str, Any]]:
        """Return the journal's notes of a kind from ``since_s`` on."""
        found = self._tracker.journal.of(kind, **fields)
        return [note for note in found if note["us"] >= since_s * US_PER_S]
