"""Closed ranges of block numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Range = tuple[int, int]


def join(spans: Iterable[Range]) -> list[Range]:
    """Return the same numbers in ranges that are ascending and do not touch each other."""
    joined: list[Range] = []
    for first, last in sorted(spans):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
        else:
            joined.append((first, last))
    return joined


def watermark(joined: Sequence[Range]) -> int:
    """Return the last number of the range that begins with 1; 0 when 1 is in no range."""
    return joined[0][1] if joined and joined[0][0] == 1 else 0


def missing(joined: Sequence[Range]) -> list[Range]:
    """Return the ranges of numbers from 1 to the highest that are in none of the joined ranges."""
    starts = [1, *(last + 1 for _, last in joined)]
    ends = [first - 1 for first, _ in joined]
    return [(start, end) for start, end in zip(starts, ends, strict=False) if start <= end]
