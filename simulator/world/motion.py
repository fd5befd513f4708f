"""The motion of the box: the face that is up, drops and flights.

A drop of height h (free fall without air) lasts sqrt(2 h / g) and ends at sqrt(2 g h). The landing
is a half-sine pulse, as in shock tests of packages (ASTM D4169, IEC 60068-2-27). Its area is the
change of velocity, so its peak is pi/2 * dv / duration. The box rebounds once.

A flight is modelled as vibration of the floor, and as acceleration along it: from the engines, the
brakes, and gravity while the floor is inclined. The figures are assumptions for an airliner: a
take-off run of 40 s at 0.25 g, a pitch of 10 degrees at first and 2.5 in cruise, 20 to 80 mg RMS
of vibration on each axis.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence

Vector = tuple[float, float, float]

G = 9.80665
FACES: dict[str, Vector] = {
    "x+": (1.0, 0.0, 0.0),
    "x-": (-1.0, 0.0, 0.0),
    "y+": (0.0, 1.0, 0.0),
    "y-": (0.0, -1.0, 0.0),
    "z+": (0.0, 0.0, 1.0),
    "z-": (0.0, 0.0, -1.0),
}
"""The reading of an accelerometer at rest with that axis up, in g."""
UPRIGHT = "z+"
TURN_S = 1.0
"""Seconds to turn the box to another face."""
RESTITUTION = 0.3
SKEW = (0.25, -0.15, 0.1)
"""A box lands on an edge, so a shock has parts along other axes, relative to its size."""

TAXI_OUT_S = 600
TAXI_IN_S = 300
RUN_S = 40
ENGINES = ((47.3, 173.0), (61.9, 131.0), (83.1, 97.0))
"""Two frequencies for each axis, in Hz and in radians per second; amplitudes give the RMS."""


class Turn:
    """The box is turned to another face from ``at_s`` on, until at_s + TURN_S."""

    def __init__(self, at_s: float, face: str) -> None:
        self.at_s = at_s
        self.face = face


class Fall:
    """The box is released at ``at_s`` and falls ``height_m``."""

    def __init__(self, at_s: float, height_m: float, pulse_ms: float) -> None:
        fall_s = math.sqrt(2 * height_m / G)
        pulse_s = pulse_ms / 1000
        speed = G * fall_s
        hop_s = 2 * RESTITUTION * speed / G
        first = math.pi / 2 * speed * (1 + RESTITUTION) / pulse_s / G
        second = math.pi / 2 * speed * RESTITUTION / pulse_s / G
        landing = at_s + fall_s
        again = landing + pulse_s + hop_s
        self.at_s = at_s
        self.end_s = again + pulse_s
        self.pulses = ((landing, pulse_s, first), (again, pulse_s, second))
        """Begin, duration and peak in g of each shock."""

    def feel(self, t_s: float, up: Vector) -> Vector:
        """Return the acceleration during the drop, in g."""
        for begin, duration, peak in self.pulses:
            if begin <= t_s < begin + duration:
                g = 1 + peak * math.sin(math.pi * (t_s - begin) / duration)
                x, y, z = (g * (u + s) for u, s in zip(up, SKEW, strict=True))
                return x, y, z
        return 0.0, 0.0, 0.0


class FlightMotion:
    """An aircraft takes off at ``at_s`` and touches down ``for_s`` later, at least an hour."""

    def __init__(self, at_s: float, for_s: float) -> None:
        down = at_s + for_s
        self.off_block_s = at_s - TAXI_OUT_S
        self.on_block_s = down + RUN_S + TAXI_IN_S
        knots = [
            (self.off_block_s, 0.0, 0.02),
            (at_s, 0.0, 0.02),
            (at_s + 2, 0.25, 0.06),
            (at_s + RUN_S, 0.25, 0.06),
            (at_s + 50, 0.22, 0.04),
            (at_s + 240, 0.22, 0.04),
            (at_s + 300, 0.14, 0.03),
            (at_s + 720, 0.14, 0.03),
            (at_s + 1320, 0.08, 0.025),
            (at_s + 1500, 0.04, 0.025),
            (down - 1500, 0.04, 0.025),
            (down - 1200, -0.03, 0.03),
            (down, -0.03, 0.04),
            (down + 2, -0.25, 0.08),
            (down + RUN_S, -0.25, 0.08),
            (down + RUN_S + 2, 0.0, 0.02),
            (self.on_block_s, 0.0, 0.02),
        ]
        self._times = [t for t, _, _ in knots]
        self._felt = [(push, shake) for _, push, shake in knots]

    def feel(self, t_s: float, up: Vector) -> Vector:
        """Return the acceleration during the flight, in g."""
        position = bisect_right(self._times, t_s)
        (push, shake), (push_to, shake_to) = self._felt[position - 1 : position + 1]
        begin, end = self._times[position - 1 : position + 1]
        share = (t_s - begin) / (end - begin)
        push += share * (push_to - push)
        shake += share * (shake_to - shake)
        forward = FACES["x+"] if abs(up[0]) < abs(up[1]) + abs(up[2]) else FACES["y+"]
        x, y, z = (
            u + push * f + shake * (math.sin(2 * math.pi * a * t_s) + math.sin(b * t_s))
            for u, f, (a, b) in zip(up, forward, ENGINES, strict=True)
        )
        return x, y, z


class Motion:
    """All motion of the box on one journey."""

    def __init__(
        self, turns: Sequence[Turn], drops: Sequence[Fall], flights: Sequence[FlightMotion] = ()
    ) -> None:
        self._turns = sorted(turns, key=lambda turn: turn.at_s)
        self._begins = [turn.at_s for turn in self._turns]
        self._drops = sorted(drops, key=lambda drop: drop.at_s)
        self._flights = flights
        spans = [(turn.at_s, turn.at_s + TURN_S) for turn in self._turns]
        spans += [(drop.at_s, drop.end_s) for drop in self._drops]
        self.spans = sorted(spans)
        """Spans of seconds within which the acceleration may cause an interrupt.

        Flights are left out, because their vibration is far below a shock.
        """

    def up(self, t_s: float) -> Vector:
        """Return the acceleration of the box at rest in its position at that time, in g."""
        position = bisect_right(self._begins, t_s)
        if not position:
            return FACES[UPRIGHT]
        turn = self._turns[position - 1]
        before = self._turns[position - 2].face if position > 1 else UPRIGHT
        share = min(1.0, (t_s - turn.at_s) / TURN_S)
        if share == 1.0:
            return FACES[turn.face]
        mixed = [
            (1 - share) * a + share * b
            for a, b in zip(FACES[before], FACES[turn.face], strict=True)
        ]
        size = math.hypot(*mixed) or 1.0
        x, y, z = (value / size for value in mixed)
        return x, y, z

    def acceleration(self, t_s: float) -> Vector:
        """Return the acceleration in the box at that time, in g."""
        up = self.up(t_s)
        for drop in self._drops:
            if drop.at_s <= t_s < drop.end_s:
                return drop.feel(t_s, up)
        for flight in self._flights:
            if flight.off_block_s <= t_s < flight.on_block_s:
                return flight.feel(t_s, up)
        return up
