"""A slow reference for trend rules: all samples are kept, and every bucket is computed again.

It uses fractions instead of integers.
"""

from __future__ import annotations

import math
import operator
import statistics
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

BUCKETS, ENOUGH, RECENT_ENOUGH, STABLE, SCALE = 16, 12, 6, 3, 256


def seconds_to_breach(
    means: Sequence[int | None], width: int, threshold: int, comparison: int
) -> int | None:
    """Return the seconds to the breach on the line through the medians, in 1/256 unit."""
    sign = 1 if comparison >= 3 else -1
    points = [(x, sign * (y - threshold)) for x, y in enumerate(means) if y is not None]
    recent = points[sum(y is not None for y in means[: len(means) // 2]) :]
    if len(points) < ENOUGH or len(recent) < RECENT_ENOUGH:
        return None
    slope = min(
        statistics.median_high(
            math.floor(Fraction(SCALE * (y2 - y1), x2 - x1))
            for i, (x1, y1) in enumerate(some)
            for x2, y2 in some[i + 1 :]
        )
        for some in (points, recent)
    )
    if slope <= 0:
        return None
    origin = statistics.median_high(SCALE * y - slope * x for x, y in recent)
    now = math.floor(origin + slope * Fraction(2 * len(means) - 1, 2))
    return max(0, math.floor(Fraction(-now * width, slope)))


def changes(rule: tuple[int, ...], steps: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Return the changes of one trend rule; `steps` as in alarms.py."""
    _, _, channel, comparison, threshold, notice, _, window = rule
    compare = (operator.lt, operator.le, operator.gt, operator.ge)[comparison - 1]
    width = window // BUCKETS
    readings: list[tuple[int, int]] = []  # in this boot
    verdicts: list[bool] = []  # since the last change of the verdict
    previous: tuple[int, int | None] | None = None
    breach: list[int] | None = None
    beyond = 0
    found: list[tuple[Any, ...]] = []
    for step in steps:
        if step is None:
            readings, previous, verdicts = [], None, []
            continue
        if len(step) == 2:
            if breach is not None:
                found.append(("end", 0, step[1], min(breach), max(breach), beyond, step[0]))
            breach, verdicts = None, []
            continue
        t, interval, values = step
        value = values[channel]
        if breach is not None and previous is not None and previous[1] is not None:
            stood = min(t - previous[0], math.floor(1.5 * interval))
            beyond += stood if compare(previous[1], threshold) else 0
        previous = t, value
        if value is None:
            if breach is not None:
                found.append(("end", 0, 2, min(breach), max(breach), beyond, t))
                breach, verdicts = None, []
            continue
        flips = False
        seconds = None
        if readings and readings[-1][0] // width != t // width:
            window_of = [
                [v for at, v in readings if at // width == bucket]
                for bucket in range(t // width - BUCKETS, t // width)
            ]
            means = [math.floor(Fraction(sum(of), len(of))) if of else None for of in window_of]
            seconds = seconds_to_breach(means, width, threshold, comparison)
            verdicts.append(seconds is not None and seconds < notice)
            flips = len(verdicts) >= STABLE and set(verdicts[-STABLE:]) == {breach is None}
        readings.append((t, value))
        if flips and breach is None:
            breach, beyond, verdicts = [], 0, []
            found.append(("start", 0, value, seconds, t))
        elif flips and breach is not None:
            found.append(("end", 0, 1, min(breach), max(breach), beyond, t))
            breach, verdicts = None, []
        if breach is not None:
            breach.append(value)
    return found
