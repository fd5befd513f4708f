"""Ranges of block numbers against sets of numbers."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from coldtrail_gateway.contract import ranges

numbers = st.sets(st.integers(1, 40))
spans = st.lists(
    st.tuples(st.integers(1, 40), st.integers(0, 5)).map(lambda pair: (pair[0], sum(pair)))
)


def members(joined: list[tuple[int, int]]) -> set[int]:
    return {number for first, last in joined for number in range(first, last + 1)}


@given(spans)
def test_join_keeps_the_numbers_and_parts_the_ranges(given_spans: list[tuple[int, int]]) -> None:
    joined = ranges.join(given_spans)
    assert members(joined) == members(given_spans)
    assert all(left[1] + 1 < right[0] for left, right in pairwise(joined))


@given(numbers)
def test_watermark_and_missing(present: set[int]) -> None:
    joined = ranges.join((number, number) for number in present)
    mark = ranges.watermark(joined)
    assert all(number in present for number in range(1, mark + 1))
    assert mark + 1 not in present
    highest = max(present, default=0)
    assert members(ranges.missing(joined)) == set(range(1, highest + 1)) - present
