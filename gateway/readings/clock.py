"""Takes on the clock syncs of a boot one after the other, and tells when all must be looked at.

`evidence/timeline.py` decides what the syncs of a boot say together. Nearly always they agree, and
each new one can be held against what the ones before it have left, at the same cost for the first
and the ten-thousandth. Where that cannot rule out a contradiction, the block is marked, and the
timeline of the whole boot decides. The mark may be wrong; that it is missing must never be.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from coldtrail_gateway.contract.block import Block, Sync
from coldtrail_gateway.evidence.timeline import APART, DRIFT_PPM, GATEWAY_MS
from coldtrail_gateway.readings.context import Clock

RECORD_MS: Final = 2_500
"""How far a record's `t` may lie from what it tells of, ms (UPLINK.md, time)."""

_PPM: Final = 1_000_000


def syncs_of(block: Block) -> set[Sync]:
    """Return what a block says of the time, also in doubt."""
    found = {block.sync} if block.sync else set()
    return found | {sync for event in block.events if (sync := event.sync())}


def newest_t(block: Block) -> int | None:
    """Return the time of a block's last record, s since boot; None where it has none."""
    times = [sample.t for sample in block.samples[-1:]] + [event.t for event in block.events]
    return max(times, default=None)


def take(
    clock: Clock, syncs: Iterable[Sync], newest: int | None, received_ms: int
) -> tuple[Clock, bool]:
    """Take on a block's syncs and its arrival; tell whether a contradiction is possible."""
    doubt = False
    for sync in sorted(syncs, key=lambda s: (s.t_ms, s.utc_ms, s.uncertainty_ms, s.source)):
        if sync in (clock.newest, clock.telling):
            continue
        clock, doubtful = _sync(clock, sync)
        doubt |= doubtful
    if newest is not None and received_ms:
        t_ms = 1000 * newest
        limit = _PPM * (received_ms + GATEWAY_MS - t_ms)
        if clock.lowest is not None and clock.lowest - DRIFT_PPM * t_ms > limit:
            doubt = True
        falling = limit - DRIFT_PPM * t_ms
        clock = clock._replace(
            arrived=falling if clock.arrived is None else min(clock.arrived, falling),
            arrived_t=max(clock.arrived_t, t_ms),
        )
    return clock, doubt


def _sync(clock: Clock, sync: Sync) -> tuple[Clock, bool]:
    drift = DRIFT_PPM * sync.t_ms
    offset = sync.utc_ms - sync.t_ms
    low, high = _PPM * (offset - sync.uncertainty_ms), _PPM * (offset + sync.uncertainty_ms)
    # The bounds below hold for what lies behind what was there before.
    doubt = sync.t_ms < clock.arrived_t
    if clock.newest is not None:
        doubt |= sync.t_ms < clock.newest.t_ms
    if clock.arrived is not None:
        doubt |= low - drift > clock.arrived
    if clock.lowest is None or clock.highest is None:
        lowest, highest = low + drift, high - drift
    else:
        doubt |= clock.lowest - drift > high + APART or clock.highest + drift < low - APART
        lowest, highest = max(clock.lowest, low + drift), min(clock.highest, high - drift)
    return clock._replace(
        newest=sync,
        telling=_telling(clock.telling, sync),
        several=int(clock.newest is not None),
        lowest=lowest,
        highest=highest,
    ), doubt


def _telling(before: Sync | None, sync: Sync) -> Sync:
    """Return which of two syncs says more of the time after both."""
    if before is None:
        return sync
    apart = DRIFT_PPM * (sync.t_ms - before.t_ms)
    if _PPM * before.uncertainty_ms + apart < _PPM * sync.uncertainty_ms:
        return before
    if before.t_ms == sync.t_ms and before.uncertainty_ms == sync.uncertainty_ms:
        return min(before, sync, key=lambda s: s.utc_ms)
    return sync
