"""Places moments of one boot, known in seconds since boot, in UTC.

Between two clock syncs the time runs linearly; before the first and after the last it runs from
the nearest at the tracker's own rate. The tracker's clock is taken to be right within
`DRIFT_PPM`, and the uncertainty stated is a bound under that assumption.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from gateway.block import Sync

DRIFT_PPM: Final = 100
_PPM: Final = 1_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


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


def iso(utc_ms: int) -> str:
    """Return UTC milliseconds since 1970 as ISO 8601."""
    moment = _EPOCH + timedelta(milliseconds=utc_ms)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _drift(span_ms: int) -> int:
    """Return the most the clock errs over a span; rounded up."""
    return -(-abs(span_ms) * DRIFT_PPM // _PPM)


def _from(sync: Sync, t_ms: int) -> Placement:
    span = t_ms - sync.t_ms
    return Placement(sync.utc_ms + span, sync.uncertainty_ms + _drift(span))


def _between(left: Sync, right: Sync, t_ms: int) -> Placement:
    span = right.t_ms - left.t_ms
    a, b = t_ms - left.t_ms, right.t_ms - t_ms
    utc = left.utc_ms + round((right.utc_ms - left.utc_ms) * a / span)
    known = (left.uncertainty_ms * b + right.uncertainty_ms * a) / span
    # A clock within the drift bound at every moment leaves the line by no more than this.
    bend = 2 * DRIFT_PPM * a * b / span / _PPM
    # Two syncs that contradict each other are not both right within what they claim.
    skew = abs((right.utc_ms - left.utc_ms) - span)
    excess = max(0, skew - left.uncertainty_ms - right.uncertainty_ms - _drift(span))
    return Placement(utc, int(known + bend) + 1 + excess)


def _useful(syncs: Iterable[Sync]) -> list[Sync]:
    """Leave out a sync that tells less of its moment than another and the drift bound do."""
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
