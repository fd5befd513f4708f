"""A slow reference for alarm rules: at every sample it sums up the whole history again."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

INSTANT, CONSECUTIVE, CUMULATIVE = 1, 2, 3
BACK_WITHIN, SENSOR_LOST = 1, 2
RESTART = None

Rule = tuple[int, int, int, int, int, int, int, int]
Sample = tuple[int, int, list[int | None]]  # t, interval, values
Stop = tuple[int, int]  # t, cause: ends every breach
Step = Sample | Stop | None  # or a restart
BEYOND: dict[int, Callable[[int, int], bool]] = {
    1: operator.lt,
    2: operator.le,
    3: operator.gt,
    4: operator.ge,
}


@dataclass
class Judge:
    """One rule of kind 1 to 3."""

    index: int
    rule: Rule
    known: list[tuple[int | None, int]] = field(default_factory=list)
    """Each past reading with the seconds that count for it."""
    run: list[int] = field(default_factory=list)
    """Readings of the current run."""
    run_from: int = 0
    """Index in ``known`` at which the run began."""
    latest: int = 0
    is_breach: bool = False
    found: list[tuple[Any, ...]] = field(default_factory=list)

    def is_beyond(self, reading: int | None) -> bool:
        """Return whether a reading is beyond the threshold."""
        return reading is not None and BEYOND[self.rule[3]](reading, self.rule[4])

    def is_within(self, reading: int | None) -> bool:
        """Return whether a reading is back within the limit by the hysteresis."""
        comparison, threshold, hysteresis = self.rule[3], self.rule[4], self.rule[6]
        retreat = threshold + hysteresis if comparison <= 2 else threshold - hysteresis
        return reading is not None and not BEYOND[comparison](reading, retreat)

    def beyond(self, since: int = 0) -> int:
        """Return the seconds counted as beyond."""
        return sum(seconds for reading, seconds in self.known[since:] if self.is_beyond(reading))

    def stood(self, reading: int | None, seconds: int, interval: int) -> None:
        """Add the time that counts for a reading."""
        self.known.append((reading, min(seconds, math.floor(1.5 * interval))))

    def sample(self, t: int, reading: int | None) -> None:
        """Judge a reading."""
        kind, delay = self.rule[1], self.rule[5]
        if self.is_beyond(reading):
            if not self.run:
                self.run_from = len(self.known)
            self.latest = reading or 0
        within = self.is_within(reading)
        if reading is not None and not within and (self.run or self.is_beyond(reading)):
            self.run.append(reading)
        seconds = self.beyond(0 if kind == CUMULATIVE else self.run_from)
        if self.run and not self.is_breach and (kind == INSTANT or seconds >= delay):
            self.is_breach = True
            self.found.append(("start", self.index, self.latest, seconds, t))
        if within:
            self.end(t, BACK_WITHIN)
        elif reading is None and self.is_breach:
            self.end(t, SENSOR_LOST)

    def end(self, t: int, cause: int) -> None:
        """End the run."""
        if self.is_breach:
            readings, seconds = self.run, self.beyond(self.run_from)
            self.found.append(("end", self.index, cause, min(readings), max(readings), seconds, t))
        self.run, self.is_breach = [], False
        self.run_from = len(self.known)


def judged(index: int, rule: Rule, steps: Sequence[Step]) -> Judge:
    """Return the judge after all steps."""
    judge = Judge(index, rule)
    previous: tuple[int, int | None] | None = None
    for step in steps:
        if step is RESTART:
            previous = None
        elif len(step) == 2:
            judge.end(*step)
        else:
            t, interval, values = step
            if previous is not None:
                judge.stood(previous[1], t - previous[0], interval)
            previous = t, values[rule[2]]
            judge.sample(*previous)
    return judge


def changes(index: int, rule: Rule, steps: Sequence[Step]) -> list[tuple[Any, ...]]:
    """Return the changes of one rule in the format of the engine."""
    return judged(index, rule, steps).found
