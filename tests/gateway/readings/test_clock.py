"""A boot whose blocks raise no doubt has a timeline without any: held against the timeline."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from coldtrail_gateway.contract.block import Sync
from coldtrail_gateway.evidence.timeline import DRIFT_PPM, Arrival, Timeline
from coldtrail_gateway.readings import clock
from coldtrail_gateway.readings.context import NO_SYNC

START_MS = 1_767_225_600_000
HOUR_S = 3600

Block = tuple[list[Sync], int | None, int]
"""The syncs of a block, its last record's time in s since boot, and its arrival in UTC, ms."""


@st.composite
def blocks(draw: st.DrawFn) -> list[Block]:
    """Return the blocks of a boot, most of them in order and right, on a clock that drifts."""
    ppm = draw(st.integers(-120, 120))
    made: list[Block] = []
    t = 0
    for _ in range(draw(st.integers(1, 8))):
        t = max(t + draw(st.sampled_from([1, HOUR_S, 90_000, 3_000_000, -5000])), 0)
        true_ms = START_MS + t * 1000 + t * ppm // 1000
        syncs = []
        for _ in range(draw(st.integers(0, 2))):
            off = draw(st.sampled_from([0, 0, 0, 0, 900, -900, 7_200_000, -7_200_000]))
            uncertainty = draw(st.sampled_from([20, 500, 1500]))
            early = draw(st.sampled_from([0, 0, 1, 4000]))
            syncs.append(
                Sync(max(t - early, 0) * 1000, true_ms - early * 1000 + off, uncertainty, 1)
            )
        repeated: bool = draw(st.booleans())
        if made and repeated:
            syncs += made[-1][0][-1:]
        late = draw(st.sampled_from([0, 0, 1000, 60_000_000, -4000, -9000]))
        made.append((syncs, t, true_ms + late))
    return made


def doubtful(boot: list[Block]) -> bool:
    folded, doubt = NO_SYNC, False
    for syncs, newest, received_ms in boot:
        folded, now = clock.take(folded, syncs, newest, received_ms)
        doubt |= now
    return doubt


@given(blocks())
@example([([Sync(0, START_MS, 500, 1)], 0, START_MS), ([Sync(0, START_MS, 20, 1)], 0, START_MS)])
def test_without_doubt_the_timeline_has_none(boot: list[Block]) -> None:
    syncs = {sync for own, _, _ in boot for sync in own}
    arrivals = [Arrival(1000 * t, utc_ms) for _, t, utc_ms in boot if t is not None]
    line = Timeline(syncs, arrivals)
    if line.refused or line.doubtful or line.late:
        assert doubtful(boot)


def test_a_year_of_hourly_syncs_that_are_right_raises_none() -> None:
    """Otherwise every block of a long boot would have all its syncs looked at."""
    boot: list[Block] = []
    for hour in range(365 * 24):
        t = hour * HOUR_S
        true_ms = START_MS + t * 1000 + t * 40 // 1000  # 40 ppm
        boot.append(([Sync(t * 1000, true_ms, 1500, 1)], t, true_ms + 2000))
    assert not doubtful(boot)


@given(blocks())
def test_the_sync_that_tells_the_end_best_is_one_of_the_boot(boot: list[Block]) -> None:
    """And none is better there: nearer in time, or more certain with its drift."""
    folded = NO_SYNC
    for syncs, newest, received_ms in boot:
        folded, _ = clock.take(folded, syncs, newest, received_ms)
    known = {sync for own, _, _ in boot for sync in own}
    if not known:
        assert folded.telling is None
        return
    if doubtful(boot):
        return
    end = max(sync.t_ms for sync in known)
    told = folded.telling
    assert told is not None
    assert told in known
    for sync in known:
        wide = DRIFT_PPM * (end - sync.t_ms) + 1_000_000 * sync.uncertainty_ms
        own = DRIFT_PPM * (end - told.t_ms) + 1_000_000 * told.uncertainty_ms
        assert own <= wide or sync.t_ms < told.t_ms
