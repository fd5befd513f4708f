"""Converts moments of one boot from ms since boot to UTC, each with an uncertainty.

A clock sync states the difference between UTC and the tracker's counter at one moment, within an
uncertainty. The counter's error is at most `DRIFT_PPM`. So every sync bounds the time of every
moment of the boot, and the bounds widen with the distance from the sync. Any single sync may be
wrong by any amount, because networks do send wrong times. The syncs are therefore compared with
each other, and with the arrival of the blocks, since a record is older than its arrival:

- A sync that contradicts at least two others, or an arrival, is *refused*: it is not used.
- When two syncs contradict only each other, either may be wrong. Both are *doubtful*, and the
  stated uncertainty covers both.
- When nothing contradicts, one sync may still be wrong by a small amount. The bound is then one
  that holds whichever sync is wrong: the second strictest of all, on either side.

So with two syncs or more, of which at most one is wrong, the truth lies within the stated
uncertainty. When more are wrong, they contradict something unless they agree. A single sync cannot
be checked and is believed.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from coldtrail_gateway.contract.block import Sync

DRIFT_PPM: Final = 100
GATEWAY_MS: Final = 5_000
"""The gateway's own clock may be wrong by this many ms, so an arrival contradicts only beyond."""

MANY: Final = 100_000
"""So many pairs of contradicting syncs of a boot are told apart: a year of hourly syncs with ten
wrong ones among them has fewer."""

_PPM: Final = 1_000_000
APART: Final = 1000 * _PPM
"""Two syncs contradict each other from 1 s on: a network gives its time in whole seconds, and a
sync does not state how well the network knows it."""


@dataclass(frozen=True, slots=True)
class Placement:
    """A moment in UTC, ms since 1970, right within the uncertainty, in ms."""

    utc_ms: int
    uncertainty_ms: int


@dataclass(frozen=True, slots=True)
class Arrival:
    """A block's arrival, UTC in ms since 1970, and its last record's time in ms since boot."""

    t_ms: int
    utc_ms: int


class Timeline:
    """The time of one boot of one tracker.

    `refused`: syncs that are not used. `doubtful`: those of which some are wrong. `late`: whether
    every sync lies after an arrival, so that the tracker's clock or the gateway's is wrong.
    `checked`: whether there is no single sync that nothing could contradict.
    """

    def __init__(self, syncs: Iterable[Sync], arrivals: Iterable[Arrival] = ()) -> None:
        order = sorted(set(syncs), key=lambda s: (s.t_ms, s.utc_ms, s.uncertainty_ms, s.source))
        early = _Limits(arrivals)
        late = {sync for sync in order if early.contradict(sync)} if early.known else set()
        self.late = bool(late) and len(late) == len(order)
        known = order if self.late else _without(order, late)
        contradicted, self.doubtful = _contradictions(known)
        used = _without(known, contradicted)
        refused = contradicted if self.late else contradicted | late
        self.refused = tuple(sync for sync in order if sync in refused) if refused else ()
        self.checked = len(order) != 1
        # When one sync was found wrong, the others are right. When none was, any may be wrong.
        spare = len(used) > 1 and not self.refused and not self.doubtful
        sure = _without(used, set(self.doubtful))
        self._line = _telling(sure or used)
        self._times = [sync.t_ms for sync in self._line]
        self._sure = _Envelope(sure, 1 if spare else 0)
        self._doubtful = [_Envelope([sync], 0) for sync in self.doubtful]
        self._limits = early

    def place(self, t_ms: int) -> Placement | None:
        """Return the UTC of a moment in ms since boot; None where no sync of the boot is known."""
        if not self._line:
            return None
        low, high = self._bounds(t_ms)
        utc = _rounded(min(max(self._estimate(t_ms), low), high))
        # The bounds are rounded outwards to whole ms.
        return Placement(utc, max(-(-high // _PPM) - utc, utc - low // _PPM))

    def _bounds(self, t_ms: int) -> tuple[int, int]:
        """Return the lower and the upper bound of a moment's UTC, in 1e-6 ms."""
        spans = [envelope.at(t_ms) for envelope in self._doubtful]
        if self._sure.known:
            low, high = self._sure.at(t_ms)
            if spans:
                low = max(low, min(span[0] for span in spans))
                high = min(high, max(span[1] for span in spans))
        else:
            low, high = min(span[0] for span in spans), max(span[1] for span in spans)
        if self.late:
            low = min(low, self._limits.at(t_ms))
        # The bounds of syncs that nearly agree may not overlap. The moment lies between them.
        return min(low, high), max(low, high)

    def _estimate(self, t_ms: int) -> int:
        """Return the likeliest UTC of a moment, in 1e-6 ms: on a line between syncs."""
        after = bisect_right(self._times, t_ms)
        left, right = self._line[max(after - 1, 0)], self._line[min(after, len(self._line) - 1)]
        if after == 0:
            left = right
        span = right.t_ms - left.t_ms
        if not span:
            return _PPM * (left.utc_ms + t_ms - left.t_ms)
        return (
            _PPM * left.utc_ms + _PPM * (right.utc_ms - left.utc_ms) * (t_ms - left.t_ms) // span
        )


class _Envelope:
    """Between which times a moment lies by all of some syncs; `spare` of them may be wrong.

    All in 1e-6 ms, in which the drift is a whole number. A sync before the moment bounds its time
    by a line that falls away with the drift, a sync after it by one that rises. So of the syncs on
    either side only the strictest few matter, and those are known for every place beforehand.
    """

    def __init__(self, syncs: Sequence[Sync], spare: int) -> None:
        self.known = bool(syncs)
        self._spare = spare
        self._times = [sync.t_ms for sync in syncs]
        self._lows = _Side([_low(s) for s in syncs], self._times, spare + 1)
        # A high is a low seen from above.
        self._highs = _Side([-_high(s) for s in syncs], self._times, spare + 1)

    def at(self, t_ms: int) -> tuple[int, int]:
        """Return the bounds of a moment."""
        place = bisect_right(self._times, t_ms)
        base = _PPM * t_ms
        return (
            base + self._lows.at(place, t_ms)[self._spare],
            base - self._highs.at(place, t_ms)[self._spare],
        )


class _Side:
    """The strictest lower bounds of the difference between UTC and counter."""

    def __init__(self, lows: Sequence[int], times: Sequence[int], count: int) -> None:
        self._count = count
        before = [low + DRIFT_PPM * t for low, t in zip(lows, times, strict=True)]
        after = [low - DRIFT_PPM * t for low, t in zip(lows, times, strict=True)]
        self._before = self._strictest(before)
        self._after = self._strictest(after[::-1])[::-1]

    def _strictest(self, bounds: Iterable[int]) -> list[list[int]]:
        """Return the strictest of the first 0, 1, 2 … bounds, up to all."""
        found: list[list[int]] = [[]]
        for bound in bounds:
            last = found[-1]
            # Nearly always the newest is the strictest, as the others have drifted since.
            order = (
                [bound, *last] if not last or bound >= last[0] else sorted((*last, bound))[::-1]
            )
            found.append(order[: self._count])
        return found

    def at(self, place: int, t_ms: int) -> list[int]:
        """Return the bounds at a moment with `place` syncs before it, the strictest first."""
        found = [bound - DRIFT_PPM * t_ms for bound in self._before[place]]
        found += [bound + DRIFT_PPM * t_ms for bound in self._after[place]]
        return sorted(found, reverse=True)


class _Limits:
    """How late each moment may be, by the arrivals of blocks."""

    def __init__(self, arrivals: Iterable[Arrival]) -> None:
        order = sorted(arrivals, key=lambda arrival: arrival.t_ms)
        limits = [_PPM * (a.utc_ms + GATEWAY_MS - a.t_ms) for a in order]
        self._times = [arrival.t_ms for arrival in order]
        falling = [x - DRIFT_PPM * t for x, t in zip(limits, self._times, strict=True)]
        rising = [x + DRIFT_PPM * t for x, t in zip(limits, self._times, strict=True)]
        self.known = bool(order)
        self._before = list(accumulate(falling, min))
        self._after = list(accumulate(reversed(rising), min))[::-1]

    def contradict(self, sync: Sync) -> bool:
        """Tell whether a block had arrived before the sync says that it was made."""
        # An arrival bounds from above as a sync does from below; both drift apart.
        place = bisect_left(self._times, sync.t_ms)
        low = _low(sync)
        before = place > 0 and low - DRIFT_PPM * sync.t_ms > self._before[place - 1]
        after = place < len(self._times) and low + DRIFT_PPM * sync.t_ms > self._after[place]
        return before or after

    def at(self, t_ms: int) -> int:
        """Return the latest UTC of a moment, in 1e-6 ms; there is an arrival."""
        place = bisect_left(self._times, t_ms)
        found = []
        if place:
            found.append(self._before[place - 1] + DRIFT_PPM * t_ms)
        if place < len(self._times):
            found.append(self._after[place] - DRIFT_PPM * t_ms)
        return _PPM * t_ms + min(found)


def _without(syncs: list[Sync], others: set[Sync]) -> list[Sync]:
    """Return syncs without some others; in most boots there are none of these."""
    return [sync for sync in syncs if sync not in others] if others else syncs


def _telling(syncs: Sequence[Sync]) -> list[Sync]:
    """Leave out a sync that tells less of its moment than another one does with its drift."""
    best: dict[int, Sync] = {}
    for sync in sorted(syncs, key=lambda sync: (sync.t_ms, sync.uncertainty_ms, sync.utc_ms)):
        best.setdefault(sync.t_ms, sync)
    ordered = list(best.values())
    for _ in range(2):  # forwards, then backwards
        kept: list[Sync] = []
        for sync in ordered:
            if kept:
                apart = DRIFT_PPM * abs(sync.t_ms - kept[-1].t_ms)
                if _PPM * kept[-1].uncertainty_ms + apart < _PPM * sync.uncertainty_ms:
                    continue
            kept.append(sync)
        ordered = kept[::-1]
    return ordered


def _contradictions(syncs: Sequence[Sync]) -> tuple[set[Sync], tuple[Sync, ...]]:
    """Return the syncs that the others refute, and those of which either may be wrong."""
    against = _against(syncs)
    refused: set[Sync] = set()
    while against:
        most = max(len(others) for others in against.values())
        worst = {sync for sync, others in against.items() if len(others) == most}
        if most == 1 or 2 * len(worst) >= len(syncs) - len(refused):
            break
        refused |= worst
        against = {s: rest for s in against.keys() - worst if (rest := against[s] - worst)}
    return refused, tuple(sync for sync in syncs if sync in against)


def _against(syncs: Sequence[Sync]) -> dict[Sync, set[Sync]]:
    """Return by sync which others it contradicts; only those that contradict any.

    The syncs are in the order of their time. Where more than `MANY` pairs contradict each other,
    each is told of one other alone: no clock and no network makes so many, and nobody can tell
    which are wrong.
    """
    # In most boots none does, and one pass over the strictest bounds so far shows it.
    if not _is_contradicted(syncs):
        return {}
    found: dict[Sync, set[Sync]] = {}
    # Bounds of the syncs so far, as they drift; those that a later one contradicts lie at an end,
    # so that a year of syncs and a wrong one are not compared pair by pair.
    lows: list[tuple[int, int]] = []
    highs: list[tuple[int, int]] = []
    pairs = 0
    for index, sync in enumerate(syncs):
        drift = DRIFT_PPM * sync.t_ms
        above = bisect_right(lows, (_high(sync) + drift + APART, len(syncs)))
        below = bisect_left(highs, (_low(sync) - drift - APART, -1))
        pairs += len(lows) - above + below
        if pairs > MANY:
            return _any_against(syncs)
        for _, at in (*lows[above:], *highs[:below]):
            found.setdefault(sync, set()).add(syncs[at])
            found.setdefault(syncs[at], set()).add(sync)
        insort(lows, (_low(sync) + drift, index))
        insort(highs, (_high(sync) - drift, index))
    return found


def _any_against(syncs: Sequence[Sync]) -> dict[Sync, set[Sync]]:
    """Return by sync one other that it contradicts; only those that contradict any."""
    found: dict[Sync, set[Sync]] = {}
    # Forwards each is held against the strictest before it; backwards, where time runs the other
    # way, against the strictest after it.
    for order, way in ((syncs, 1), (syncs[::-1], -1)):
        lowest, highest = order[0], order[0]
        for sync in order:
            drift = way * DRIFT_PPM * sync.t_ms
            for other, apart in (
                (lowest, _low(lowest) + way * DRIFT_PPM * lowest.t_ms - drift - _high(sync)),
                (highest, _low(sync) - drift - _high(highest) + way * DRIFT_PPM * highest.t_ms),
            ):
                if apart > APART:
                    found.setdefault(sync, {other})
            if _low(sync) + drift > _low(lowest) + way * DRIFT_PPM * lowest.t_ms:
                lowest = sync
            if _high(sync) - drift < _high(highest) - way * DRIFT_PPM * highest.t_ms:
                highest = sync
    return found


def _is_contradicted(syncs: Sequence[Sync]) -> bool:
    lowest, highest = None, None
    for sync in syncs:
        drift = DRIFT_PPM * sync.t_ms
        if lowest is not None and lowest - drift > _high(sync) + APART:
            return True
        if highest is not None and highest + drift < _low(sync) - APART:
            return True
        low, high = _low(sync) + drift, _high(sync) - drift
        lowest = low if lowest is None else max(lowest, low)
        highest = high if highest is None else min(highest, high)
    return False


def _low(sync: Sync) -> int:
    """Return the least difference between UTC and counter at a sync, in 1e-6 ms."""
    return _PPM * (sync.utc_ms - sync.t_ms - sync.uncertainty_ms)


def _high(sync: Sync) -> int:
    return _PPM * (sync.utc_ms - sync.t_ms + sync.uncertainty_ms)


def _rounded(value: int) -> int:
    return (value + _PPM // 2) // _PPM
