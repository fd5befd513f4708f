"""Calibrations: read as the contract has them, corrected as a straight line between points is."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from math import floor
from pathlib import Path
from typing import Any

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coldtrail.sensing import calibration
from coldtrail.sensing.correction import corrected
from tests.support.blocks import cddl
from tests.support.trackers.bench import SAMPLE, BenchTracker, profile

POINT = st.tuples(st.integers(-20500, 11000), st.integers(-32767, 32767))
TABLES = st.lists(POINT, min_size=1, max_size=8, unique_by=lambda point: point[0]).map(
    lambda points: [list(point) for point in sorted(points)]
)
DATE, DUE = 1735689600, 1767225600
GOOD: list[Any] = [0, "PT1000 4711", "DKD 2025-1", DATE, DUE, [[-2000, 12], [0, -3], [800, -5]]]
EVENT = 16


def straight(points: list[list[int]], raw: int) -> int:
    """Return the corrected reading from the definition, in fractions."""
    low, high = points[0], points[-1]
    offset = Fraction(low[1] if raw <= low[0] else high[1])
    for (x1, y1), (x2, y2) in pairwise(points):
        if x1 <= raw <= x2:
            offset = y1 + Fraction((y2 - y1) * (raw - x1), x2 - x1)
    rounded = floor(abs(offset) + Fraction(1, 2))
    return raw + (rounded if offset > 0 else -rounded)


@given(TABLES, st.integers(-25000, 15000))
@settings(max_examples=500)
def test_the_offset_is_a_straight_line_between_points(points: list[list[int]], raw: int) -> None:
    assert corrected(points, raw) == straight(points, raw)


@given(TABLES)
def test_the_points_themselves_are_exact_and_beyond_them_the_offset_stays(
    points: list[list[int]],
) -> None:
    assert [corrected(points, x) - x for x, _ in points] == [y for _, y in points]
    assert corrected(points, points[0][0] - 7) == points[0][0] - 7 + points[0][1]
    assert corrected(points, points[-1][0] + 7) == points[-1][0] + 7 + points[-1][1]


@given(TABLES, st.integers(-25000, 15000))
def test_a_mirrored_table_corrects_the_mirrored_reading(points: list[list[int]], raw: int) -> None:
    mirrored = [[-x, -y] for x, y in reversed(points)]
    assert corrected(mirrored, -raw) == -corrected(points, raw)


def test_what_is_loaded_makes_events_of_the_contract() -> None:
    many = [[channel, *GOOD[1:]] for channel in range(5)]
    for entry in calibration.load(cbor2.dumps(many, canonical=True)):
        assert cddl.is_valid("calibration", cbor2.dumps([EVENT, 7, *entry], canonical=True))


WRONG: list[tuple[str, Callable[[list[Any]], Any]]] = [
    ("not a list", lambda good: {}),
    ("not a list of 6", lambda good: [good[:5]]),
    ("a channel", lambda good: [[5, *good[1:]]]),
    ("twice", lambda good: [good, good]),
    ("1 to 32 bytes", lambda good: [[0, "", *good[2:]]]),
    ("1 to 32 bytes", lambda good: [[0, "i", "c" * 33, *good[3:]]]),
    ("its date", lambda good: [[0, "i", "c", 0, *good[4:]]]),
    ("its due date", lambda good: [[0, "i", "c", DUE, DATE, []]]),
    ("at most 8", lambda good: [[*good[:5], [[x, 0] for x in range(9)]]]),
    ("ascend", lambda good: [[*good[:5], [[5, 1], [5, 2]]]]),
    ("an offset", lambda good: [[*good[:5], [[5, 32768]]]]),
    (r"\[raw, offset\]", lambda good: [[*good[:5], [[5]]]]),
    ("a raw reading", lambda good: [[*good[:5], [[True, 0]]]]),
]


@pytest.mark.parametrize(("said", "spoil"), WRONG)
def test_what_the_contract_does_not_allow_is_refused_by_name(
    said: str, spoil: Callable[[list[Any]], Any]
) -> None:
    with pytest.raises(ValueError, match=said):
        calibration.load(cbor2.dumps(spoil(list(GOOD)), canonical=True))


@given(st.binary(max_size=40))
def test_no_bytes_do_more_than_be_refused(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        calibration.load(data)


def test_corrected_values_are_logged_and_judged_and_the_calibration_with_each_boot(
    tmp_path: Path,
) -> None:
    # Raw 5.00 degC is good; corrected by 4 K it is not.
    entry = [0, "PT1000 4711", "DKD 2025-1", DATE, DUE, [[0, 400], [1000, 400]]]
    files = {
        "profile.cbor": profile([(1, 1, 0, 3, 800, 0, 0, 0)]),
        "calibration.cbor": cbor2.dumps([entry], canonical=True),
    }
    with BenchTracker(tmp_path / "volume", files=files) as tracker:
        tracker.power_on()
        tracker.wait(100)
        tracker.power_cut(10_000_000)
        tracker.wait(100)
        for sample in tracker.records(SAMPLE):
            assert sample[3] == pytest.approx(900, abs=60)
        assert [event[2:] for event in tracker.records(EVENT)] == [entry, entry]
        assert tracker.records(5)[0][8] >= 840  # alarm-start, reading
