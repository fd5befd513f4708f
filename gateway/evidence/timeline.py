"""Places moments of one boot, known in seconds since boot, in UTC.

Between two clock syncs the time runs linearly; before the first and after the last it runs from
the nearest at the tracker's own rate. The tracker's clock is taken to be right within
`DRIFT_PPM`, and the uncertainty stated is a bound under that assumption.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from coldtrail_gateway.contract.block import Sync

DRIFT_PPM: Final = 100
_PPM: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Placement:
    """A moment in UTC, ms since 1970, right within the uncertainty, in ms."""

    utc_ms: int
    uncertainty_ms: int


class Timeline:
    """The time of one boot of one tracker."""

    def __init__(self, syncs: Iterable[Sync]) -> None:
        self._syncs = _useful(syncs)
        self._times = [sync.t_ms for sync in self._syncs]

    def place(self, t_ms: int) -> Placement | None:
        """Return the UTC of a moment in ms since boot; None where no sync of the boot is known."""
        after = bisect_right(self._times, t_ms)
        if not self._syncs:
            return None
        if after == 0:
            return _from(self._syncs[0], t_ms)
        if after == len(self._syncs):
            return _from(self._syncs[-1], t_ms)
        return _between(self._syncs[after - 1], self._syncs[after], t_ms)


def _drift(span_ms: int) -> int:
    """Return the most the clock errs over a span; rounded up."""
    return -(-abs(span_ms) * DRIFT_PPM // _PPM)


def _from(sync: Sync, t_ms: int) -> Placement:
    low, high = _bounds(sync, t_ms)
    return Placement((low + high) // 2, (high - low + 1) // 2)


def _between(left: Sync, right: Sync, t_ms: int) -> Placement:
    span = right.t_ms - left.t_ms
    line = left.utc_ms + (right.utc_ms - left.utc_ms) * (t_ms - left.t_ms) // span
    lows, highs = zip(_bounds(left, t_ms), _bounds(right, t_ms), strict=True)
    low, high = max(lows), min(highs)
    if low > high:
        # The two contradict each other, and either may be right: both must be covered.
        low, high = min(lows), max(highs)
    line = min(max(line, low), high)
    return Placement(line, max(high - line, line - low))


def _bounds(sync: Sync, t_ms: int) -> tuple[int, int]:
    """Return between which UTC times a moment lies, by one sync."""
    span = t_ms - sync.t_ms
    margin = sync.uncertainty_ms + _drift(span)
    return sync.utc_ms + span - margin, sync.utc_ms + span + margin


def _useful(syncs: Iterable[Sync]) -> list[Sync]:
    """Leave out each sync whose moment another one, with its drift, knows better."""
    best: dict[int, Sync] = {}
    for sync in sorted(syncs, key=lambda sync: (sync.t_ms, sync.uncertainty_ms, sync.utc_ms)):
        best.setdefault(sync.t_ms, sync)
    ordered = list(best.values())
    for _ in range(2):  # forwards, then backwards
        kept: list[Sync] = []
        for sync in ordered:
            if kept:
                known = kept[-1].uncertainty_ms + _drift(sync.t_ms - kept[-1].t_ms)
                if known < sync.uncertainty_ms:
                    continue
            kept.append(sync)
        ordered = kept[::-1]
    return ordered
