"""Placing in UTC, against clocks that really run fast, slow and unsteadily."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coldtrail_gateway.contract.block import Sync
from coldtrail_gateway.evidence.timeline import DRIFT_PPM, GATEWAY_MS, Arrival, Placement, Timeline

DAY_MS = 86_400_000
START_MS = 1_767_225_600_000  # 2026-01-01


@dataclass(frozen=True)
class Oscillator:
    """A tracker's clock whose rate changes at times, within the drift bound."""

    changes: tuple[tuple[int, int], ...]  # (ms since boot, ppm from then on), ascending

    def utc(self, t_ms: int) -> float:
        """Return the true UTC, in ms, when the tracker counts t_ms since boot."""
        utc = float(START_MS)
        for index, (start, ppm) in enumerate(self.changes):
            end = self.changes[index + 1][0] if index + 1 < len(self.changes) else t_ms
            span = min(end, t_ms) - start
            if span > 0:
                utc += span * (1 + ppm / 1_000_000)
        return utc


@st.composite
def oscillators(draw: st.DrawFn) -> Oscillator:
    times = sorted({0, *draw(st.lists(st.integers(1, 10 * DAY_MS), max_size=5))})
    rates = draw(
        st.lists(
            st.sampled_from([-DRIFT_PPM, -50, 0, 30, DRIFT_PPM]),
            min_size=len(times),
            max_size=len(times),
        )
    )
    return Oscillator(tuple(zip(times, rates, strict=True)))


@st.composite
def journeys(draw: st.DrawFn) -> tuple[Oscillator, list[Sync], list[int]]:
    """A clock, honest syncs (right within what they claim), and moments to place."""
    clock = draw(oscillators())
    syncs = []
    for t_ms in draw(st.lists(st.integers(0, 10 * DAY_MS), min_size=1, max_size=8)):
        uncertainty = draw(st.sampled_from([50, 1000, 5000, 60_000]))
        error = draw(st.integers(-uncertainty + 1, uncertainty - 1))
        syncs.append(Sync(t_ms, round(clock.utc(t_ms)) + error, uncertainty, 1))
    moments = draw(st.lists(st.integers(0, 12 * DAY_MS), min_size=1, max_size=20))
    return clock, syncs, moments


@given(journeys())
def test_the_truth_lies_within_the_uncertainty(
    journey: tuple[Oscillator, list[Sync], list[int]],
) -> None:
    clock, syncs, moments = journey
    line = Timeline(syncs)
    for t_ms in moments:
        placed = line.place(t_ms)
        assert placed is not None
        assert abs(placed.utc_ms - clock.utc(t_ms)) <= placed.uncertainty_ms + 1


@given(journeys())
def test_a_second_sync_costs_no_more_than_its_distance(
    journey: tuple[Oscillator, list[Sync], list[int]],
) -> None:
    """The bound that holds whichever sync is wrong is that of the second best of them."""
    _, syncs, moments = journey
    line = Timeline(syncs)
    assert not line.refused
    assert not line.doubtful
    for t_ms in moments:
        alone = sorted(
            sync.uncertainty_ms + abs(t_ms - sync.t_ms) * DRIFT_PPM / 1_000_000
            for sync in set(syncs)
        )
        placed = line.place(t_ms)
        assert placed is not None
        # Off the middle of what they allow, each itself off the truth, but never outside it.
        assert placed.uncertainty_ms <= 3 * alone[min(1, len(alone) - 1)] + 5


HOUR_MS = 3_600_000


@st.composite
def doubtful_journeys(
    draw: st.DrawFn, least: int = 2, most_wrong: int = 1
) -> tuple[Oscillator, list[Sync], list[int], list[Sync]]:
    """As a journey, but of the syncs, whose seconds are whole, some are wrong by any amount."""
    clock = draw(oscillators())
    times = draw(st.lists(st.integers(0, 10 * DAY_MS), min_size=least, max_size=8, unique=True))
    wrong = draw(st.integers(0, min(most_wrong, len(times))))
    syncs, false = [], []
    for index, t_ms in enumerate(times):
        uncertainty = draw(st.sampled_from([0, 40, 500, 2000, 60_000]))
        error = draw(st.integers(-uncertainty, uncertainty))
        utc = clock.utc(t_ms)
        # Right within what it claims, however it is rounded.
        true = Sync(t_ms, min(max(round(utc + error), ceil(utc - uncertainty)),
                              floor(utc + uncertainty)), uncertainty + 1, 1)  # fmt: skip
        if index < wrong:
            size = draw(st.sampled_from([600, 3000, 60_000, HOUR_MS, 3 * DAY_MS]))
            astray = draw(st.integers(-size, size))
            true = Sync(t_ms, true.utc_ms + astray, true.uncertainty_ms, 1)
            false.append(true)
        syncs.append(true)
    moments = [*times, *draw(st.lists(st.integers(0, 12 * DAY_MS), min_size=1, max_size=10))]
    return clock, syncs, moments, false


def holds(line: Timeline, clock: Oscillator, moments: list[int]) -> bool:
    placements = [(t_ms, line.place(t_ms)) for t_ms in moments]
    return all(
        placed is not None
        and abs(placed.utc_ms - clock.utc(t_ms)) <= placed.uncertainty_ms + 0.001
        for t_ms, placed in placements
    )


@given(doubtful_journeys())
@settings(max_examples=600)
def test_one_wrong_sync_anywhere_moves_nothing_out_of_its_bound(
    journey: tuple[Oscillator, list[Sync], list[int], list[Sync]],
) -> None:
    clock, syncs, moments, _ = journey
    line = Timeline(syncs)
    assert holds(line, clock, moments)


@given(doubtful_journeys(least=3))
@settings(max_examples=300)
def test_no_right_sync_is_refused_for_one_wrong_one(
    journey: tuple[Oscillator, list[Sync], list[int], list[Sync]],
) -> None:
    _, syncs, _, false = journey
    line = Timeline(syncs)
    assert set(line.refused) <= set(false)
    if line.doubtful:
        assert set(line.doubtful) & set(false)


@given(doubtful_journeys(least=1, most_wrong=8))
@settings(max_examples=300)
def test_what_is_out_of_its_bound_is_never_silent(
    journey: tuple[Oscillator, list[Sync], list[int], list[Sync]],
) -> None:
    """Whatever is wrong: the bound holds, or something is named, or those that are wrong agree."""
    clock, syncs, moments, false = journey
    line = Timeline(syncs)
    named = line.refused or line.doubtful or not line.checked
    assert holds(line, clock, moments) or named or len(false) > 1


@given(doubtful_journeys(least=3))
def test_what_is_left_of_the_syncs_does_not_depend_on_their_order(
    journey: tuple[Oscillator, list[Sync], list[int], list[Sync]],
) -> None:
    _, syncs, moments, _ = journey
    one, other = Timeline(syncs), Timeline([*reversed(syncs), *syncs])
    assert [one.place(t) for t in moments] == [other.place(t) for t in moments]
    assert one.refused == other.refused


def hourly(*errors_ms: int) -> list[Sync]:
    """Return syncs an hour apart, each with its error."""
    return [
        Sync(n * HOUR_MS, START_MS + n * HOUR_MS + error, 50, 1)
        for n, error in enumerate(errors_ms)
    ]


@pytest.mark.parametrize("wrong", range(4))
def test_one_of_four_an_hour_late(wrong: int) -> None:
    """Whether at an end or between others: not used, named, and nothing is placed by it."""
    syncs = hourly(*(3_600_000 if n == wrong else 0 for n in range(4)))
    line = Timeline(syncs)
    assert line.refused == (syncs[wrong],)
    assert line.doubtful == ()
    for t_ms in range(0, 5 * HOUR_MS, HOUR_MS // 4):
        placed = line.place(t_ms)
        assert placed is not None
        assert placed.utc_ms == START_MS + t_ms
        assert placed.uncertainty_ms <= 50 + 3 * HOUR_MS // 10_000


def test_of_two_that_contradict_each_other_both_are_covered() -> None:
    early, late = hourly(0, HOUR_MS)
    line = Timeline([early, late])
    assert line.doubtful == (early, late)
    assert line.refused == ()
    for t_ms in (0, HOUR_MS, 9 * HOUR_MS):
        placed = line.place(t_ms)
        assert placed is not None
        assert placed.utc_ms - placed.uncertainty_ms <= START_MS + t_ms
        assert placed.utc_ms + placed.uncertainty_ms >= START_MS + t_ms + HOUR_MS


def test_an_arrival_decides_between_two() -> None:
    early, late = hourly(0, HOUR_MS)
    line = Timeline([early, late], [Arrival(HOUR_MS, START_MS + HOUR_MS + 2000)])
    assert line.refused == (late,)
    assert line.doubtful == ()
    placed = line.place(HOUR_MS)
    assert placed is not None
    assert placed.utc_ms == START_MS + HOUR_MS


def test_a_single_sync_after_the_arrival_is_named_and_covers_it() -> None:
    (late,) = hourly(HOUR_MS)
    line = Timeline([late], [Arrival(0, START_MS + 1000)])
    assert (line.late, line.checked, line.refused) == (True, False, ())
    placed = line.place(0)
    assert placed is not None
    assert placed.utc_ms - placed.uncertainty_ms <= START_MS + 1000 + GATEWAY_MS


@given(doubtful_journeys(most_wrong=0), st.lists(st.integers(0, 40 * DAY_MS), max_size=5))
def test_a_true_arrival_refuses_nothing(
    journey: tuple[Oscillator, list[Sync], list[int], list[Sync]], delays: list[int]
) -> None:
    """A block arrives after its records were made, however late."""
    clock, syncs, moments, _ = journey
    arrivals = [
        Arrival(t_ms, ceil(clock.utc(t_ms)) + delay)
        for t_ms, delay in zip(moments, delays, strict=False)
    ]
    line = Timeline(syncs, arrivals)
    assert (line.refused, line.doubtful, line.late) == ((), (), False)


def test_two_wrong_ones_of_many_leave_the_rest_as_they_are() -> None:
    errors = [0] * 24
    errors[5] = errors[9] = 7_200_000
    syncs = hourly(*errors)
    line = Timeline(syncs)
    assert line.refused == (syncs[5], syncs[9])
    assert line.place(6 * HOUR_MS) == Placement(START_MS + 6 * HOUR_MS, 50)


def test_a_later_sync_corrects_what_came_before() -> None:
    first = Sync(0, START_MS, 100, 1)
    second = Sync(DAY_MS, START_MS + DAY_MS + 4000, 100, 1)  # 46 ppm fast
    noon = DAY_MS // 2
    before = Timeline([first]).place(noon)
    after = Timeline([first, second]).place(noon)
    assert before is not None
    assert after is not None
    assert before.utc_ms == START_MS + noon
    assert after.utc_ms == START_MS + noon + 2000


def test_without_a_sync_nothing_is_placed() -> None:
    assert Timeline([]).place(0) is None


def plainly(syncs: list[Sync]) -> tuple[set[Sync], set[Sync]]:
    """Return which syncs are set aside and which are in doubt: UPLINK.md, word for word."""
    apart_ms = 1000
    left = list(syncs)

    def contradict(one: Sync, other: Sync) -> bool:
        drift = Fraction(DRIFT_PPM * abs(one.t_ms - other.t_ms), 1_000_000)
        offsets = abs((one.utc_ms - one.t_ms) - (other.utc_ms - other.t_ms))
        return offsets > one.uncertainty_ms + other.uncertainty_ms + drift + apart_ms

    while True:
        counts = {s: sum(contradict(s, other) for other in left) for s in left}
        most = max(counts.values(), default=0)
        worst = {sync for sync, count in counts.items() if count == most}
        if most < 2 or 2 * len(worst) >= len(left):
            doubtful = {sync for sync, count in counts.items() if count}
            return set(syncs) - set(left), doubtful
        left = [sync for sync in left if sync not in worst]


@given(
    st.lists(
        st.builds(
            Sync,
            st.sampled_from([0, 1, 3_600_000, 7_200_000, DAY_MS, 30 * DAY_MS]),
            st.sampled_from([0, 0, 0, 999, 4000, 3_600_000]).map(lambda off: START_MS + off),
            st.sampled_from([50, 500, 1500]),
            st.just(1),
        ).map(lambda s: Sync(s.t_ms, s.utc_ms + s.t_ms, s.uncertainty_ms, s.source)),
        max_size=12,
        unique=True,
    )
)
@settings(max_examples=300)
def test_contradictions_are_found_as_the_contract_says(syncs: list[Sync]) -> None:
    line = Timeline(syncs)
    assert (set(line.refused), set(line.doubtful)) == plainly(syncs)


@pytest.mark.parametrize("wrong", [100, 200])
def test_of_a_flood_of_contradictions_nobody_tells_which_are_wrong(wrong: int) -> None:
    """800 syncs, of which 200 contradict the others: more than 100,000 pairs."""
    at = [3_600_000 * hour for hour in range(800)]
    off = [3_600_000 if hour % (800 // wrong) == 0 else 0 for hour in range(800)]
    syncs = [Sync(t, START_MS + t + ms, 500, 1) for t, ms in zip(at, off, strict=True)]
    unsure = Sync(0, START_MS, 7_200_000, 1)  # contradicts none
    line = Timeline([*syncs, unsure])
    if wrong == 100:
        assert set(line.refused) == {sync for sync, ms in zip(syncs, off, strict=True) if ms}
        assert line.doubtful == ()
    else:
        assert line.refused == ()
        assert set(line.doubtful) == set(syncs)
