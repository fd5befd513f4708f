"""Placing in UTC, against clocks that really run fast, slow and unsteadily."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from coldtrail_gateway.contract.block import Sync
from coldtrail_gateway.evidence.timeline import DRIFT_PPM, Timeline

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
def test_no_sync_makes_a_moment_less_certain_than_the_nearest_one_alone(
    journey: tuple[Oscillator, list[Sync], list[int]],
) -> None:
    _, syncs, moments = journey
    line = Timeline(syncs)
    for t_ms in moments:
        alone = min(
            sync.uncertainty_ms + abs(t_ms - sync.t_ms) * DRIFT_PPM / 1_000_000 for sync in syncs
        )
        placed = line.place(t_ms)
        assert placed is not None
        # Off the middle of what one sync allows, but never outside it.
        assert placed.uncertainty_ms <= 2 * alone + 3


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


def test_contradicting_syncs_widen_the_uncertainty() -> None:
    hour = 3_600_000
    line = Timeline([Sync(0, START_MS, 100, 1), Sync(hour, START_MS + 3 * hour, 100, 3)])
    placed = line.place(hour // 2)
    assert placed is not None
    assert placed.uncertainty_ms >= hour


def test_without_a_sync_nothing_is_placed() -> None:
    assert Timeline([]).place(0) is None
