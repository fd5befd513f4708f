"""One shipment in figures: what its readings say, what they rest on, and what is not known."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.engine import Connection

from coldtrail_gateway.contract.events import SAMPLED, Channel
from coldtrail_gateway.readings import kinetic, profile, tables
from coldtrail_gateway.readings.buckets import KINETIC
from coldtrail_gateway.readings.kinetic import MeanKinetic
from coldtrail_gateway.readings.profile import Limit
from coldtrail_gateway.readings.records import Moment, Places, placed

_blocks, _boots, _buckets = tables.blocks, tables.boots, tables.buckets
_samples, _ships = tables.samples, tables.shipments
_SHIPMENT: Final = sa.select(_ships).where(
    _ships.c.tracker == bindparam("tracker"), _ships.c.shipment == bindparam("shipment")
)
_OF: Final[sa.BindParameter[int]] = bindparam("shipment")
_BEYOND: Final = (
    sa.select(
        tables.beyond.c.channel,
        tables.beyond.c.comparison,
        tables.beyond.c.threshold,
        sa.func.sum(tables.beyond.c.seconds),
    )
    .where(tables.beyond.c.shipment == _OF)
    .group_by(tables.beyond.c.channel, tables.beyond.c.comparison, tables.beyond.c.threshold)
)
_UNVOUCHED: Final = sa.select(sa.func.sum(_blocks.c.samples)).where(
    _blocks.c.shipment == _OF, _blocks.c.flaw.is_not(None)
)
_BOOT: Final = sa.select(_boots.c.id).where(
    _boots.c.chain == bindparam("chain"), _boots.c.number == bindparam("number")
)
_ORDER: Final = (
    sa.select(_boots.c.id)
    .join(tables.chains, tables.chains.c.id == _boots.c.chain)
    .where(_boots.c.id.in_(sa.select(_buckets.c.boot).where(_buckets.c.shipment == _OF)))
    .order_by(tables.chains.c.first_block, _boots.c.number)
)
_starts, _ends = tables.alarm_starts, tables.alarm_ends
_ALARMS: Final = (
    sa.select(_starts, _boots.c.number, _blocks.c.flaw)
    .join(_boots, _boots.c.id == _starts.c.boot)
    .join(_blocks, _blocks.c.id == _starts.c.block)
    .join(tables.chains, tables.chains.c.id == _boots.c.chain)
    .where(_starts.c.shipment == _OF)
    .order_by(
        tables.chains.c.first_block,
        _blocks.c.number,
        _blocks.c.id,
        _starts.c.place,
    )
)
_ALARM_ENDS: Final = (
    sa.select(_ends, _blocks.c.flaw)
    .join(_blocks, _blocks.c.id == _ends.c.block)
    .where(_ends.c.shipment == _OF)
    .order_by(_blocks.c.number, _blocks.c.id, _ends.c.place)
)
_WITHDRAWN: Final = 5
_TREND: Final = 4


@dataclass(frozen=True, slots=True)
class Reading:
    """A reading in the channel's unit, and when it was taken."""

    value: int
    moment: Moment


@dataclass(frozen=True, slots=True)
class Extreme:
    """The first reading of all that is the lowest or the highest, and the block it is in."""

    value: int
    moment: Moment
    block: int


@dataclass(frozen=True, slots=True)
class Figures:
    """What a channel's readings say that are vouched for.

    `total` over `count` is their mean. `stood_s`: how long they stand for; `within_s`: for how
    much of it no limit was met, None where no limits are known; `beyond_s`: by limit for how
    long it was met. `kinetic`: None where nobody asks for it.
    """

    last: Reading | None
    count: int
    lowest: Extreme | None
    highest: Extreme | None
    total: int
    stood_s: int
    within_s: int | None
    beyond_s: dict[Limit, int]
    kinetic: MeanKinetic | None


@dataclass(frozen=True, slots=True)
class Episode:
    """One alarm: its rule as it was, its start and its end, numbered within the shipment.

    `value` is the reading at the start, `minimum` and `maximum` those of the breach. `end` is None
    where the alarm stands, or its end is not here; `withdrawn`: it was of the arrival.
    """

    number: int
    rule: int
    kind: int
    channel: int
    comparison: int
    threshold: int
    duration_s: int
    value: int
    beyond_s: int
    start: Moment
    end: Moment | None
    cause: int | None
    minimum: int | None
    maximum: int | None
    withdrawn: bool
    flaw: str | None


@dataclass(frozen=True, slots=True)
class Contact:
    """When the tracker was heard of last, and when it has promised to call again, UTC in ms.

    `next_ms` is None where it has promised nothing; `reason` says why.
    """

    last_ms: int
    next_ms: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class Summary:
    """A shipment of one tracker.

    `samples` are here, `unvouched` of them in no figure; `missing` are the samples that the gaps
    between the others lack, `gap_s` how long these gaps are. `hold_ms`: when the cold will be used
    up, UTC, by the tracker's own trend alarm that stands; None: not known.
    """

    tracker: str
    shipment: str
    blocks: int
    samples: int
    unvouched: int
    missing: int
    gap_s: int
    channels: dict[Channel, Figures]
    limits: bool
    contact: Contact
    hold_ms: int | None
    faults: tuple[tuple[int, int], ...]
    episodes: tuple[Episode, ...]


def summary(connection: Connection, tracker: str, shipment: str) -> Summary | None:
    """Return a shipment's summary; None where no block of it is here."""
    named = {"tracker": tracker, "shipment": shipment}
    row = connection.execute(_SHIPMENT, named).mappings().one_or_none()
    if row is None:
        return None
    of = {"shipment": row["id"]}
    places = Places(connection)
    sums = connection.execute(_SUMS, of).mappings().one()
    order = connection.scalars(_ORDER, of).all()
    beyond: dict[int, dict[Limit, int]] = {}
    for channel, comparison, threshold, seconds in connection.execute(_BEYOND, of):
        beyond.setdefault(channel, {})[comparison, threshold] = int(seconds)
    known = profile.read(row["profile"])
    listed = tuple(episodes(connection, row["id"], places))
    return Summary(
        tracker,
        shipment,
        row["blocks"],
        row["samples"],
        int(connection.scalar(_UNVOUCHED, of) or 0),
        int(sums["missing"] or 0),
        int(sums["gap_s"] or 0),
        {
            channel: _figures(
                connection, places, order, row, sums, channel, beyond.get(channel, {})
            )
            for channel in SAMPLED
        },
        known is not None,
        _contact(row, known),
        _hold(listed),
        tuple((subject, code) for subject, code in json.loads(row["faults"])),
        listed,
    )


def _sums() -> Iterator[sa.Label[Any]]:
    yield sa.func.sum(_buckets.c.missing).label("missing")
    yield sa.func.sum(_buckets.c.gap_s).label("gap_s")
    for name in tables.CHANNELS:
        for part in ("count", "sum", "stood_s", "within_s"):
            yield sa.func.sum(_buckets.c[f"{name}_{part}"]).label(f"{name}_{part}")
        yield sa.func.min(_buckets.c[f"{name}_min"]).label(f"{name}_min")
        yield sa.func.max(_buckets.c[f"{name}_max"]).label(f"{name}_max")
    for name in tables.KINETIC_CHANNELS:
        # In halves: the sum of a year of heat does not fit into 63 bits.
        ageing = _buckets.c[f"{name}_ageing"]
        yield sa.func.sum(ageing // 2**31).label(f"{name}_ageing_high")
        yield sa.func.sum(ageing % 2**31).label(f"{name}_ageing_low")


_SUMS: Final = sa.select(*_sums()).where(_buckets.c.shipment == _OF)


def _figures(
    connection: Connection,
    places: Places,
    order: Sequence[int],
    row: Any,
    sums: Any,
    channel: Channel,
    beyond: dict[Limit, int],
) -> Figures:
    name = channel.label
    stood = int(sums[f"{name}_stood_s"] or 0)
    lowest, highest = sums[f"{name}_min"], sums[f"{name}_max"]
    within = sums[f"{name}_within_s"]
    mean = None
    if channel in KINETIC:
        high, low = (int(sums[f"{name}_ageing_{part}"] or 0) for part in ("high", "low"))
        mean = kinetic.mean(high * 2**31 + low, stood, lowest, highest)
    last = None
    if row[name] is not None:
        last = Reading(
            row[name], _at(connection, places, row, row[f"{name}_boot"], row[f"{name}_t"])
        )
    return Figures(
        last,
        int(sums[f"{name}_count"] or 0),
        _extreme(connection, places, order, row, name, "min", lowest),
        _extreme(connection, places, order, row, name, "max", highest),
        int(sums[f"{name}_sum"] or 0),
        stood,
        None if within is None else int(within),
        beyond,
        mean,
    )


def _at(connection: Connection, places: Places, row: Any, number: int, t: int) -> Moment:
    boot = connection.execute(_BOOT, {"chain": row["chain"], "number": number}).scalar_one()
    return places.at(boot, t)


def _extreme(
    connection: Connection,
    places: Places,
    order: Sequence[int],
    row: Any,
    name: str,
    part: str,
    value: int | None,
) -> Extreme | None:
    """Return where an extreme is: of several, the first by chain, boot and time."""
    column = _buckets.c[f"{name}_{part}"]
    for boot in order if value is not None else ():
        first = (
            sa.select(_buckets.c.block, _buckets.c.first_t, _buckets.c.last_t)
            .where(_buckets.c.shipment == row["id"], _buckets.c.boot == boot, column == value)
            .order_by(_buckets.c.first_t, _buckets.c.block)
            .limit(1)
        )
        found = connection.execute(first).one_or_none()
        if found is not None and value is not None:
            taken = sa.select(sa.func.min(_samples.c.t)).where(
                _samples.c.boot == boot,
                _samples.c.t.between(found.first_t, found.last_t),
                _samples.c.block == found.block,
                _samples.c[name] == value,
            )
            return Extreme(value, places.at(boot, int(connection.scalar(taken) or 0)), found.block)
    return None


def episodes(connection: Connection, shipment: int, places: Places) -> Iterator[Episode]:
    """Yield the alarms of a shipment, by its number, in the order in which they began."""
    ends: dict[tuple[int, int], list[Any]] = {}
    for end in connection.execute(_ALARM_ENDS, {"shipment": shipment}).mappings():
        ends.setdefault((end["start_block"], end["start_place"]), []).append(end)
    starts = connection.execute(_ALARMS, {"shipment": shipment}).mappings().all()
    for number, start in enumerate(starts, start=1):
        own = ends.get((start["block"], start["place"]), [])
        first = own[0] if own else None
        yield Episode(
            number,
            start["rule"],
            start["kind"],
            start["channel"],
            start["comparison"],
            start["threshold"],
            start["duration_s"],
            start["value"],
            start["beyond_s"],
            places.of(start),
            places.of(first) if first else None,
            first["cause"] if first else None,
            first["minimum"] if first else None,
            first["maximum"] if first else None,
            any(end["cause"] == _WITHDRAWN for end in own),
            start["flaw"],
        )


def _hold(listed: tuple[Episode, ...]) -> int | None:
    """Return when the tracker's newest trend alarm that stands says that the limit is reached."""
    for alarm in reversed(listed):
        if alarm.kind == _TREND and alarm.end is None and not alarm.withdrawn:
            time = alarm.start.time
            return time.utc_ms + 1000 * alarm.beyond_s if time else None
    return None


def _contact(row: Any, known: profile.Profile | None) -> Contact:
    """Return what the tracker has promised by its profile (UPLINK.md, profiles)."""
    last: int = row["received_ms"]
    if row["flight"]:
        return Contact(last, None, "its radio is off for a flight")
    if known is None:
        return Contact(last, None, "its profile is not known")
    if row["profile_in_force"] not in (None, known.digest):
        return Contact(last, None, "it works by another profile than the one registered")
    every = known.alarm_upload_s if row["standing"] else known.upload_s
    return Contact(last, last + 1000 * every, "")


def sources(
    connection: Connection, shipment: int, channel: int, from_ms: int, to_ms: int
) -> list[bytes]:
    """Return the SHA-256 of the sealed blocks that a channel's readings in a time rest on.

    The time is from one moment, UTC in ms, to another, not included; readings of boots that
    cannot be placed are not in it.
    """
    places = Places(connection)
    column = _buckets.c[f"{SAMPLED[channel].label}_count"]
    found = (
        sa.select(_buckets.c.boot, _buckets.c.first_t, _buckets.c.last_t, _blocks.c.digest)
        .join(_blocks, _blocks.c.id == _buckets.c.block)
        .where(_buckets.c.shipment == shipment, column > 0)
        .order_by(_blocks.c.id)
    )
    digests = []
    for row in connection.execute(found):
        line = places.line(row.boot)
        first, last = placed(line, row.first_t), placed(line, row.last_t)
        if first and last and first.utc_ms < to_ms and last.utc_ms >= from_ms:
            digests.append(row.digest)
    return digests
