"""What UPLINK.md says in words alone holds: what key 5 counts, and how a moment is placed."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from itertools import pairwise

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldtrail_boards import logdump
from coldtrail_gateway.contract.block import Sync
from coldtrail_gateway.evidence.timeline import Timeline

LIMIT_S = 200
DAY_MS = 86_400_000
UTC_MS = 1_767_225_600_000
SAMPLES, EVENTS = 8, 9
NEVER_SENT = {28, 29, 30}
"""Sealed blocks, confirmations, checkpoints (records.py)."""


def drift(span_ms: int) -> int:
    """100 ppm, rounded up to a millisecond."""
    return -(-abs(span_ms) // 10_000)


def allowed(sync: Sync, t_ms: int) -> tuple[int, int]:
    """Return the least and the greatest UTC of a moment, by one sync."""
    middle = sync.utc_ms + t_ms - sync.t_ms
    margin = sync.uncertainty_ms + drift(t_ms - sync.t_ms)
    return middle - margin, middle + margin


def place(syncs: list[Sync], t_ms: int) -> tuple[float, float]:
    """Return UTC and uncertainty of a moment in ms, by the page."""
    at: dict[int, Sync] = {}
    for sync in sorted(syncs, key=lambda s: (s.uncertainty_ms, s.utc_ms)):
        at.setdefault(sync.t_ms, sync)
    counted = [
        s
        for s in at.values()
        if not any(
            o.uncertainty_ms + drift(s.t_ms - o.t_ms) < s.uncertainty_ms for o in at.values()
        )
    ]
    before = [s for s in counted if s.t_ms <= t_ms]
    after = [s for s in counted if s.t_ms > t_ms]
    if not before or not after:
        only = max(before, key=lambda s: s.t_ms) if before else min(after, key=lambda s: s.t_ms)
        low, high = allowed(only, t_ms)
        return (low + high) / 2, (high - low) / 2
    left, right = max(before, key=lambda s: s.t_ms), min(after, key=lambda s: s.t_ms)
    share = (t_ms - left.t_ms) / (right.t_ms - left.t_ms)
    line = left.utc_ms + (right.utc_ms - left.utc_ms) * share
    lows, highs = zip(allowed(left, t_ms), allowed(right, t_ms), strict=True)
    low, high = max(lows), min(highs)
    if low > high:
        low, high = min(lows), max(highs)
    line = min(max(line, low), high)
    return line, max(high - line, line - low)


def sync(t_ms: int, error_ms: int, uncertainty_ms: int) -> Sync:
    """Return a sync of a clock that runs right, itself wrong by an error."""
    return Sync(t_ms, UTC_MS + t_ms + error_ms, uncertainty_ms, 1)


SYNCS = st.builds(
    sync,
    st.integers(0, 3 * DAY_MS),
    st.integers(-500, 500) | st.sampled_from([-3_600_000, 60_000]),
    st.sampled_from([0, 40, 1000, 60_000, DAY_MS]),
)


@given(st.lists(SYNCS, min_size=1, max_size=5), st.integers(0, 4 * DAY_MS))
def test_the_gateway_places_a_moment_as_the_page_says(syncs, t_ms):
    placed = Timeline(syncs).place(t_ms)
    assert placed is not None
    utc, uncertainty = place(syncs, t_ms)
    assert abs(placed.utc_ms - utc) <= 1
    assert abs(placed.uncertainty_ms - uncertainty) <= 1


@pytest.mark.slow
def test_key_5_rises_by_the_records_of_the_block_and_those_that_are_never_sent(tmp_path):
    out = tmp_path / "out"
    done = subprocess.run(
        [sys.executable, "-m", "coldtrail_boards", "simulate", "dropped_box", "--out", str(out)],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    with sqlite3.connect(out / "gateway.db") as database:
        rows = database.execute("SELECT sealed FROM blocks ORDER BY number").fetchall()
    payloads = [cbor2.loads(cbor2.loads(sealed).value[2]) for (sealed,) in rows]
    dump = logdump.decode((out / "flash.bin").read_bytes())
    log = {record.sequence: record.kind for record in dump.records}
    assert len(payloads) > 8
    for earlier, later in pairwise(payloads):
        samples = earlier[SAMPLES][0] if SAMPLES in earlier else 0
        records = samples + len(earlier.get(EVENTS, []))
        between = [log[sequence] for sequence in range(earlier[5], later[5])]
        assert len(between) - records == sum(kind in NEVER_SENT for kind in between)
        assert log[earlier[5]] not in NEVER_SENT
