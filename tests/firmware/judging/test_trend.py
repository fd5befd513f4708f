"""The robust slope: exact on lines, steady under outliers, quiet where nothing drifts."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from coldtrail.judging.alarms import Engine
from coldtrail.judging.trend import BUCKETS, time_to_breach
from tests.support.references import trend

WIDTH = 1800
TREND = 4
# As in the refrigerated profile: above 8.00 degC, a day's notice, eight hours of history.
RULE = (1, TREND, 0, 3, 800, 86400, 0, 28800)
HOUR = 3600


@st.composite
def histories(draw: st.DrawFn) -> list[int | None]:
    """Return buckets that drift either way under noise, some of them empty."""
    drift, first = draw(st.integers(-60, 60)), draw(st.integers(-20000, 20000))
    noise = st.integers(-200, 200)
    means: list[int | None] = [first + drift * i + draw(noise) for i in range(BUCKETS)]
    for i in draw(st.sets(st.integers(0, BUCKETS - 1), max_size=5)):
        means[i] = None
    return means


@given(
    histories(),
    st.sampled_from([1, 60, 1800, 5400]),
    st.integers(-2000, 2000),
    st.sampled_from([1, 3]),
)
@settings(max_examples=500)
def test_agrees_with_fractions(
    means: list[int | None], width: int, distance: int, comparison: int
) -> None:
    threshold = next(value for value in means if value is not None) + distance
    seconds = time_to_breach(means, width, threshold, comparison == 3)
    event("in sight" if seconds else f"{seconds}")
    assert seconds == trend.seconds_to_breach(means, width, threshold, comparison)


@given(st.integers(1, 200), st.integers(-15000, 15000), st.integers(1, 3000), st.booleans())
def test_a_straight_line_is_followed_to_the_threshold(
    slope: int, first: int, distance: int, rising: bool
) -> None:
    sign = 1 if rising else -1
    line = [first + sign * slope * i for i in range(BUCKETS)]
    # The last bucket's middle lies half a bucket back.
    threshold = line[-1] + sign * distance
    expected = max(0, WIDTH * distance / slope - WIDTH / 2)
    seconds = time_to_breach(line, WIDTH, threshold, rising)
    assert seconds == pytest.approx(expected, abs=1)


@given(
    st.integers(5, 50),
    st.sets(st.integers(0, BUCKETS - 1), max_size=2),
    st.sampled_from([-1000, 1000, 5000]),
)
def test_outliers_move_it_little(slope: int, where: set[int], by: int) -> None:
    line = [slope * i for i in range(BUCKETS)]
    threshold = line[-1] + 40 * slope
    clean = time_to_breach(line, WIDTH, threshold, True)
    disturbed = [value + (by if i in where else 0) for i, value in enumerate(line)]
    seconds = time_to_breach(disturbed, WIDTH, threshold, True)
    assert seconds == pytest.approx(clean, rel=0.02)


@pytest.mark.parametrize("slope", [0, -1, -50])
def test_no_breach_is_in_sight_when_nothing_approaches(slope: int) -> None:
    line: list[int | None] = [slope * i for i in range(BUCKETS)]
    assert time_to_breach(line, WIDTH, 800, True) is None


def test_too_few_buckets_conclude_nothing() -> None:
    line: list[int | None] = [10 * i for i in range(BUCKETS)]
    line[:4] = [None] * 4
    assert time_to_breach(line, WIDTH, 800, True) is not None
    line[-3] = None
    assert time_to_breach(line, WIDTH, 800, True) is None


def judge(temperature: list[float]) -> list[tuple[float, str]]:
    """Sample every five minutes; return (hour, change) pairs."""
    engine = Engine([RULE])
    return [
        (change[-1] / HOUR, change[0])
        for i, value in enumerate(temperature)
        for change in engine.sample(300 * i, 300, [round(100 * value), *[None] * 7])
    ]


def hours(count: float) -> list[float]:
    return [i / 12 for i in range(round(12 * count))]


@pytest.mark.parametrize("rate", [0.2, 0.5, 1.0])
def test_calls_on_a_steady_rise_and_withdraws_when_it_ends(rate: float) -> None:
    turn = 30 + 3 / rate  # at 7 degC
    series = [4 + rate * min(max(h - 30, 0), turn - 30) for h in hours(turn + 24)]
    (called, first), (ended, second) = judge(series)
    assert (first, second) == ("start", "end")
    # Half of the window has to have seen the rise, then three evaluations agree.
    assert 30 < called < 30 + 8
    assert turn < ended < turn + 8


def test_does_not_call_when_the_breach_is_farther_than_the_notice() -> None:
    # From 4 degC at 0.05 degC an hour: 80 hours off, and below a day's notice only past 6.8.
    series = [4 + 0.05 * h for h in hours(50)]
    assert judge(series) == []


@pytest.mark.parametrize("seed", range(20))
def test_is_quiet_through_days_and_nights_with_noise(seed: int) -> None:
    rng = random.Random(seed)
    mean, swing = rng.uniform(3, 5), rng.uniform(0, 0.8)
    code = 0.034  # degC, a step of the converter
    series = [
        code * round(
            (mean + swing / 2 * math.sin(2 * math.pi * (h + seed) / 24)) / code + rng.gauss(0, 1.5)
        )
        for h in hours(120)
    ]  # fmt: skip
    assert judge(series) == []


@pytest.mark.parametrize("by", [1.0, 3.0])
def test_a_step_raises_no_call(by: float) -> None:
    assert judge([4 + (by if h >= 30 else 0) for h in hours(60)]) == []


def test_a_door_left_open_for_an_hour_raises_no_call() -> None:
    def warmed(h: float) -> float:
        return 1.5 * math.exp(-(h - 21) / 3) if h > 21 else max(0.0, 1.5 * (h - 20))

    assert judge([4.5 + warmed(h) for h in hours(72)]) == []
