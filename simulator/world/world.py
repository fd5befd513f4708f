"""The world around the tracker: position, temperature, coverage, events."""

import math
import random
from bisect import bisect_right, insort

from coldtrail_simulator.world import motion
from coldtrail_simulator.world.scenario import (
    Coverage,
    Door,
    Drop,
    Event,
    Flight,
    Leg,
    ReIce,
    Scenario,
    Tilt,
)
from coldtrail_simulator.world.thermal import STEP_S, Box

_DAY_S = 86400


class World:
    """One journey: a scenario with all its random choices made.

    Times are seconds since the scenario's start. The temperature of the payload is integrated on
    request, so payload_c must be called with times that do not decrease.
    """

    def __init__(self, scenario: Scenario, seed: int | str) -> None:
        """Make the random choices.

        Raises:
            ScenarioError: the figures of the shipper are not valid.
        """
        rng = random.Random(f"{seed}/world")
        vary = scenario.variation
        self.scenario = scenario
        self.legs: list[Leg] = [
            leg.model_copy(
                update={
                    "from_h": leg.from_h and leg.from_h + _either_way(rng, vary.leg_h),
                    "ambient": leg.ambient
                    and leg.ambient.model_copy(
                        update={
                            "mean_c": leg.ambient.mean_c + _either_way(rng, vary.ambient_c),
                            "swing_c": max(
                                0.0, leg.ambient.swing_c + _either_way(rng, vary.swing_c)
                            ),
                        }
                    ),
                }
            )
            for leg in scenario.leg
        ]
        self.events: list[tuple[float, Event]] = sorted(
            ((t, event) for event in scenario.event for t in _moments(event, rng)),
            key=lambda pair: pair[0],
        )
        self.box = Box(scenario.shipper)
        self._start_of_day_s = scenario.scenario.start.timestamp() % _DAY_S
        self._starts = [leg.from_h * 3600 for leg in self.legs]
        self._steps = 0
        self._re_icings = [(t, e) for t, e in self.events if isinstance(e, ReIce)]
        self._drops = [(t, e) for t, e in self.events if isinstance(e, Drop)]
        self._openings = [
            (t, t + event.for_min * 60, event.lux)
            for t, event in self.events
            if isinstance(event, Door)
        ]
        knots = {t for start, end, _ in self._openings for t in (start, end)}
        self.light_changes = sorted(knots | {t for t in self._starts if self.is_open(t)})
        self._motion = movements(self.events)
        self.motions = self._motion.spans

    def happen(self, event: Event, t_s: float) -> None:
        """Add an event that is not in the scenario; it has no effect before ``t_s``.

        Events that do not concern the world (a command, for example) have no effect here.
        """
        self.events.append((t_s, event))
        match event:
            case Door():
                end = t_s + event.for_min * 60
                self._openings.append((t_s, end, event.lux))
                for change in (t_s, end):
                    insort(self.light_changes, change)
            case Drop() | Tilt() | Flight():
                if isinstance(event, Drop):
                    self._drops.append((t_s, event))
                self._motion = movements(self.events)
                self.motions[:] = self._motion.spans
            case ReIce():
                self._re_icings.append((t_s, event))

    def leg(self, t_s: float) -> Leg:
        """Return the current leg."""
        return self.legs[bisect_right(self._starts, t_s) - 1]

    def position(self, t_s: float) -> tuple[float, float]:
        """Return latitude and longitude in degrees."""
        leg = self.leg(t_s)
        return leg.latitude, leg.longitude

    def coverage(self, t_s: float) -> Coverage:
        """Return the coverage that the modem finds."""
        return self.leg(t_s).coverage

    def ambient_c(self, t_s: float) -> float:
        """Return the temperature of the air around the box in degC."""
        leg = self.leg(t_s)
        if leg.ambient is None:
            return _interpolate(leg, t_s / 3600 - leg.from_h)
        # Local solar time: 15 degrees of longitude are one hour.
        local_h = (self._start_of_day_s + t_s) / 3600 + leg.longitude / 15
        phase = math.cos(2 * math.pi * (local_h - leg.ambient.warmest_at) / 24)
        return leg.ambient.mean_c + leg.ambient.swing_c / 2 * phase

    def humidity(self, t_s: float) -> float:
        """Return the relative humidity of that air in percent.

        The dew point is a property of the air, so warmer air has a lower relative humidity: Magnus
        formula with the constants of WMO-No. 8, annex 4.B.
        """
        t, dew = self.ambient_c(t_s), self.leg(t_s).dew_point_c
        ratio = math.exp(17.62 * dew / (243.12 + dew) - 17.62 * t / (243.12 + t))
        return 100 * min(ratio, 1.0)

    def is_open(self, t_s: float) -> bool:
        """Return whether the box is open."""
        return any(start <= t_s < end for start, end, _ in self._openings)

    def lux(self, t_s: float) -> float:
        """Return the illuminance in the box."""
        for start, end, lux in self._openings:
            if start <= t_s < end:
                return self.leg(t_s).light_lx if lux is None else lux
        return 0.0

    def acceleration(self, t_s: float) -> motion.Vector:
        """Return the acceleration in the box, in g."""
        return self._motion.acceleration(t_s)

    @property
    def planned_flights(self) -> list[list[int]]:
        """Off-block and on-block times in Unix seconds, as provisioned on the tracker."""
        zero = self.scenario.scenario.start.timestamp()
        flights = [
            motion.FlightMotion(t, event.for_h * 3600)
            for t, event in self.events
            if isinstance(event, Flight) and event.planned
        ]
        return [[round(zero + f.off_block_s), round(zero + f.on_block_s)] for f in flights]

    def payload_c(self, t_s: float) -> float:
        """Return the payload temperature in degC at the last whole integration step."""
        while (self._steps + 1) * STEP_S <= t_s:
            now = self._steps * STEP_S
            while self._re_icings and self._re_icings[0][0] <= now:
                self.box.replace_pcm(self._re_icings.pop(0)[1].pcm_c)
            self.box.leaks = max((d.leaks for t, d in self._drops if t <= now), default=1.0)
            self.box.step(self.ambient_c(now), is_open=self.is_open(now))
            self._steps += 1
        return self.box.payload_c


def _either_way(rng: random.Random, most: float) -> float:
    return rng.uniform(-most, most)


def movements(events: list[tuple[float, Event]]) -> motion.Motion:
    """Return the motion of the box for these events."""
    turns, drops, flights = [], [], []
    for t, event in events:
        if isinstance(event, Tilt):
            turns.append(motion.Turn(t, event.face))
            turns.append(motion.Turn(t + event.for_h * 3600, motion.UPRIGHT))
        elif isinstance(event, Drop):
            drops.append(motion.Fall(t, event.height_m, event.pulse_ms))
        elif isinstance(event, Flight):
            flights.append(motion.FlightMotion(t, event.for_h * 3600))
    return motion.Motion(turns, drops, flights)


def _moments(event: Event, rng: random.Random) -> list[float]:
    """Return the event's times: one in each of `times` equal spans, never at a span's edge."""
    if event.until_h is None:
        return [event.at_h * 3600]
    span = (event.until_h - event.at_h) * 3600 / event.times
    return [event.at_h * 3600 + (i + rng.uniform(0.05, 0.95)) * span for i in range(event.times)]


def _interpolate(leg: Leg, at_h: float) -> float:
    knots = leg.ambient_table
    after = bisect_right([knot.at_h for knot in knots], at_h)
    if after in (0, len(knots)):
        return knots[max(after - 1, 0)].c
    left, right = knots[after - 1], knots[after]
    return left.c + (right.c - left.c) * (at_h - left.at_h) / (right.at_h - left.at_h)
