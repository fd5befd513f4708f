"""What UPLINK.md says in words alone holds: what key 5 counts, and how a moment is placed."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from fractions import Fraction
from itertools import pairwise

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldtrail_boards import logdump
from coldtrail_gateway.contract.block import Sync
from coldtrail_gateway.evidence.timeline import Timeline

DAY_MS = 86_400_000
UTC_MS = 1_767_225_600_000
SAMPLES, EVENTS = 8, 9
NEVER_SENT = {28, 29, 30}
"""Sealed blocks, confirmations, checkpoints (records.py)."""


def allowed(sync: Sync, t_ms: int) -> tuple[Fraction, Fraction]:
    """Return the least and the greatest UTC of a moment, by one sync."""
    middle = sync.utc_ms + t_ms - sync.t_ms
    margin = sync.uncertainty_ms + Fraction(abs(t_ms - sync.t_ms), 10_000)  # 100 ppm
    return middle - margin, middle + margin


def contradict(one: Sync, other: Sync) -> bool:
    """Whether no moment satisfies both; they are nearest to each other at either of them."""
    (low, high), (least, most) = allowed(one, other.t_ms), allowed(other, other.t_ms)
    return low > most + 1000 or least > high + 1000


def judged(syncs: set[Sync]) -> tuple[set[Sync], set[Sync]]:
    """Return the syncs that are used, and those of them that are in doubt, by the page."""
    used = set(syncs)
    while True:
        against = {s: sum(contradict(s, other) for other in used) for s in used}
        most = max(against.values())
        worst = {s for s in used if against[s] == most}
        if most < 2 or len(worst) >= len(used) / 2:
            return used, {s for s in used if against[s]}
        used -= worst


def place(syncs: list[Sync], t_ms: int) -> tuple[Fraction, Fraction]:
    """Return UTC and uncertainty of a moment in ms, by the page."""
    used, doubtful = judged(set(syncs))
    lows = sorted((allowed(s, t_ms)[0] for s in used - doubtful), reverse=True)
    highs = sorted(allowed(s, t_ms)[1] for s in used - doubtful)
    if doubtful:
        low = min(allowed(s, t_ms)[0] for s in doubtful)
        high = max(allowed(s, t_ms)[1] for s in doubtful)
        low, high = max([low, *lows]), min([high, *highs])
    elif used == set(syncs) and len(used) > 1:
        low, high = lows[1], highs[1]
    else:
        low, high = lows[0], highs[0]
    low, high = sorted((low, high))
    counted: dict[int, Sync] = {}
    for s in sorted(used - doubtful or used, key=lambda s: (s.uncertainty_ms, s.utc_ms)):
        counted.setdefault(s.t_ms, s)
    line = {
        s.t_ms: s
        for s in counted.values()
        if not any(
            o.uncertainty_ms + Fraction(abs(s.t_ms - o.t_ms), 10_000) < s.uncertainty_ms
            for o in counted.values()
        )
    }
    before, after = [t for t in line if t <= t_ms], [t for t in line if t > t_ms]
    if before and after:
        left, right = line[max(before)], line[min(after)]
        slope = Fraction(right.utc_ms - left.utc_ms, right.t_ms - left.t_ms)
        utc = left.utc_ms + slope * (t_ms - left.t_ms)
    else:
        nearest = line[max(before) if before else min(after)]
        utc = Fraction(nearest.utc_ms + t_ms - nearest.t_ms)
    utc = min(max(utc, low), high)
    return utc, max(high - utc, utc - low)


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
    assert abs(placed.uncertainty_ms - uncertainty) <= 2  # in whole ms, outwards


@pytest.mark.slow
def test_key_5_rises_by_the_records_of_the_block_and_those_that_are_never_sent(tmp_path):
    out = tmp_path / "out"
    done = subprocess.run(
        [sys.executable, "-m", "coldtrail_boards", "simulate", "dropped_box", "--out", str(out)],
        capture_output=True,
        text=True,
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
