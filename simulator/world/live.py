"""A world that can be changed while a shipment is in progress.

It starts as the scenario. A change applies from its time on and does not affect earlier times: a
model that asks later about an earlier time gets the earlier value.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from typing import Any

from coldtrail_simulator.world import motion
from coldtrail_simulator.world.motion import TURN_S
from coldtrail_simulator.world.scenario import Leg, Scenario
from coldtrail_simulator.world.world import World

QUANTITIES = ("payload_c", "ambient_c", "humidity", "lux", "acceleration")
"""Quantities of the sensors: degC, degC, percent, lux, (x, y, z) in g."""
CONDITIONS = ("coverage", "satellites", "signal_dbm")
"""Conditions of the current leg, with their names in a scenario file."""


class Track:
    """The changes of one quantity with their times; None means the value of the scenario."""

    def __init__(self) -> None:
        self._times: list[float] = []
        self._values: list[Any] = []

    def set(self, t_s: float, value: Any) -> None:
        """Set ``value`` from ``t_s`` on; not before the latest change."""
        self._times.append(t_s)
        self._values.append(value)

    def at(self, t_s: float) -> Any:
        """Return the value set at that time."""
        position = bisect_right(self._times, t_s)
        return self._values[position - 1] if position else None


class LiveWorld(World):
    """A world with changes; times are seconds since the scenario's start."""

    def __init__(self, scenario: Scenario, seed: int | str) -> None:
        super().__init__(scenario, seed)
        self._tracks = {name: Track() for name in (*QUANTITIES, *CONDITIONS)}
        self._conditions_set = False

    def set(self, name: str, value: Any, t_s: float) -> None:
        """Set a quantity or a condition of the leg from ``t_s`` on; None removes the setting.

        Raises:
            KeyError: the name is unknown.
        """
        self._tracks[name].set(t_s, value)
        if name == "lux":
            insort(self.light_changes, t_s)
        elif name == "acceleration":
            insort(self.motions, (t_s, t_s + TURN_S))
        elif name in CONDITIONS:
            self._conditions_set = True

    def leg(self, t_s: float) -> Leg:
        """Return the current leg with its changes."""
        leg = super().leg(t_s)
        if not self._conditions_set:
            return leg
        changed = {name: self._tracks[name].at(t_s) for name in CONDITIONS}
        return leg.model_copy(update={k: v for k, v in changed.items() if v is not None})

    def payload_c(self, t_s: float) -> float:
        """Return the temperature of the payload; the box model continues meanwhile."""
        modelled = super().payload_c(t_s)
        held: float | None = self._tracks["payload_c"].at(t_s)
        return modelled if held is None else held

    def ambient_c(self, t_s: float) -> float:
        """Return the temperature of the air around the box in degC."""
        held: float | None = self._tracks["ambient_c"].at(t_s)
        return super().ambient_c(t_s) if held is None else held

    def humidity(self, t_s: float) -> float:
        """Return the relative humidity of that air in percent."""
        held: float | None = self._tracks["humidity"].at(t_s)
        return super().humidity(t_s) if held is None else held

    def lux(self, t_s: float) -> float:
        """Return the illuminance in the box."""
        held: float | None = self._tracks["lux"].at(t_s)
        return super().lux(t_s) if held is None else held

    def acceleration(self, t_s: float) -> motion.Vector:
        """Return what an accelerometer in the box feels, in g."""
        held: motion.Vector | None = self._tracks["acceleration"].at(t_s)
        return super().acceleration(t_s) if held is None else held
