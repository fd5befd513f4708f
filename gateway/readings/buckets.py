"""The figures of one block's samples, in whole numbers: a bucket of every chart and every sum.

A sample stands for the time until the next one of its boot, at most 1.5 times the interval in
force (UPLINK.md). That time is counted in the block of the next sample, which ends it. So the last
sample of a boot, or of a shipment, stands for no time: nobody knows for how long it was true.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from coldtrail_gateway.contract.block import Sample
from coldtrail_gateway.contract.events import SAMPLED, Channel
from coldtrail_gateway.contract.fields import READING
from coldtrail_gateway.contract.words import STATUS_BITS
from coldtrail_gateway.readings import kinetic
from coldtrail_gateway.readings.context import Newest
from coldtrail_gateway.readings.profile import Limit

KINETIC: Final = (Channel.PAYLOAD, Channel.AMBIENT)
"""The channels whose mean kinetic temperature is asked for."""

_ABOVE, _BELOW = 14, 15
_SENSOR: Final = {
    Channel.PAYLOAD: 0,
    Channel.AMBIENT: 1,
    Channel.LIGHT: 2,
    Channel.BATTERY: 4,
}
"""Channels whose sensor reports an end of its range, and where in the status (UPLINK.md)."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A time for which no sample stands: after which t, s of it, how many samples it lacks."""

    place: int
    after_t: int
    seconds: int
    missing: int


@dataclass(frozen=True, slots=True)
class Figures:
    """What a channel's readings in a block say, in the channel's unit.

    `count`, `minimum`, `maximum` and `total` are of the block's own samples. `stood_s`: how long
    readings stood that this block ends; `within_s`: for how much of it they met no limit, None
    where no limits are known; `beyond_s`: by limit for how long they met it; `ageing`: see
    `kinetic`.
    """

    count: int
    minimum: int | None
    maximum: int | None
    total: int
    stood_s: int
    within_s: int | None
    ageing: int | None
    beyond_s: tuple[tuple[Limit, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Bucket:
    """The figures of a block's samples by channel, and the gaps that they end."""

    first_t: int
    last_t: int
    interval: int
    channels: dict[int, Figures] = field(default_factory=dict)
    gaps: tuple[Gap, ...] = ()


def bucket(
    before: Newest | None,
    samples: Sequence[Sample],
    interval: int,
    limits: Sequence[tuple[int, tuple[Limit, ...]]] | None,
) -> Bucket:
    """Return the figures of samples that follow a sample of the same boot, if there is one."""
    stood: list[int] = []
    gaps: list[Gap] = []
    last_t, last_interval = (before.t, before.interval) if before else (samples[0].t, interval)
    for place, sample in enumerate(samples):
        time = max(sample.t - last_t, 0)
        most = last_interval * 3 // 2
        if time > most:
            missing = max((time + last_interval // 2) // last_interval - 1, 0)
            gaps.append(Gap(place, last_t, time - most, missing))
            time = most
        stood.append(time)
        last_t, last_interval = sample.t, interval
    known = dict(limits) if limits is not None else None
    statuses = [before.status if before else 0, *(sample.status for sample in samples[:-1])]
    unclear = any(statuses)
    channels: dict[int, Figures] = {}
    for channel in SAMPLED:
        own = [sample.values[channel] for sample in samples]
        standing = [before.values[channel] if before else None, *own[:-1]]
        if unclear and channel in _SENSOR:
            standing = [
                _at_the_end(channel, status) if reading is None and status else reading
                for reading, status in zip(standing, statuses, strict=True)
            ]
        figures = _figures(channel, own, standing, stood, known)
        if figures is not None:
            channels[channel] = figures
    return Bucket(samples[0].t, samples[-1].t, interval, channels, tuple(gaps))


def _at_the_end(channel: Channel, status: int) -> int | None:
    code = status >> (STATUS_BITS * _SENSOR[channel]) & 0xF
    return READING.high if code == _ABOVE else READING.low if code == _BELOW else None


def _figures(
    channel: Channel,
    own: Sequence[int | None],
    standing: Sequence[int | None],
    stood: Sequence[int],
    limits: dict[int, tuple[Limit, ...]] | None,
) -> Figures | None:
    readings = [reading for reading in own if reading is not None]
    times = [
        (reading, time)
        for reading, time in zip(standing, stood, strict=True)
        if reading is not None and time
    ]
    if not readings and not times:
        return None
    stood_s = sum(time for _, time in times)
    ageing = None
    if channel in KINETIC:
        ageing = sum(kinetic.term(reading) * time for reading, time in times)
    judged = limits.get(channel, ()) if limits is not None else ()
    beyond = dict.fromkeys(judged, 0)
    within = 0
    for reading, time in times if judged else ():
        met = [limit for limit in judged if _meets(reading, limit)]
        for limit in met:
            beyond[limit] += time
        if not met:
            within += time
    return Figures(
        len(readings),
        min(readings, default=None),
        max(readings, default=None),
        sum(readings),
        stood_s,
        within if judged else None,
        ageing,
        tuple((limit, time) for limit, time in beyond.items() if time),
    )


def _meets(reading: int, limit: Limit) -> bool:
    comparison, threshold = limit
    match comparison:
        case 1:
            return reading < threshold
        case 2:
            return reading <= threshold
        case 3:
            return reading > threshold
        case _:
            return reading >= threshold
