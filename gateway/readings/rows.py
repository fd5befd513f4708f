"""The rows of one block, in the order of the columns of their tables."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain
from typing import Any, Final

import sqlalchemy as sa

from coldtrail_gateway.contract.block import Block, Event
from coldtrail_gateway.contract.events import SAMPLED, EventType
from coldtrail_gateway.evidence.archive import Entry
from coldtrail_gateway.readings import clock, tables
from coldtrail_gateway.readings.buckets import KINETIC, Bucket, Figures
from coldtrail_gateway.readings.bulk import Row
from coldtrail_gateway.readings.line import Node
from coldtrail_gateway.readings.step import Step

READ, UNDECODED, DAMAGED, UNREAD = range(4)
"""What became of a block."""

Rows = dict[sa.Table, list[Row]]

_NO_FIGURES: Final = (None,) * 6


def of_block(tracker: str, entry: Entry, node: Node | None, chain_id: int | None) -> Row:
    """Return the row of a block; `node` is its place in a chain, once it is judged."""
    row, block = entry.row, entry.block
    outcome = DAMAGED if entry.damage else UNDECODED if entry.undecoded else READ
    kinds = [event.type for event in block.events] if block else []
    times = [s.t for s in block.samples] + [e.t for e in block.events] if block else []
    step = node.done if node else None
    return (
        row.id,
        tracker,
        row.digest,
        row.received_ms,
        outcome,
        entry.damage or entry.undecoded or None,
        chain_id,
        node.number if node else row.number,
        None if node else row.chain,
        node.previous if node else None,
        node.boot if node else None,
        node.shipment if node else None,
        len(block.samples) if block else 0,
        len(kinds),
        min(times, default=None),
        max(times, default=None),
        block.interval if block else None,
        int(block is not None and block.urgent),
        int(kinds[:1] == [EventType.BOOT]),
        int(EventType.BOOT in kinds),
        node.flaw if node else None,
        node.missing if node else None,
        step.abandoned if step else None,
        int(step is not None and step.doubt),
        node.context if node else None,
    )


def unread(tracker: str, row_id: int, digest: bytes, received_ms: int, reason: str) -> Row:
    """Return the row of a block that nothing could be made of."""
    known: dict[str, Any] = {
        "id": row_id,
        "tracker": tracker,
        "digest": digest,
        "received_ms": received_ms,
        "outcome": UNREAD,
        "reason": reason,
        "samples": 0,
        "events": 0,
        "urgent": 0,
        "opening": 0,
        "booted": 0,
        "doubt": 0,
    }
    return tuple(known.get(column.name) for column in tables.blocks.columns)


def records(row_id: int, boot: int, block: Block, into: Rows) -> None:
    """Add the rows of a block's records, which never change."""
    into[tables.samples] += [
        (boot, sample.t, row_id, place, sample.status, *sample.values)
        for place, sample in enumerate(block.samples)
    ]
    for place, event in enumerate(block.events):
        into[tables.events].append((boot, event.t, row_id, place, int(event.type), _fields(event)))
        if event.type is EventType.POSITION:
            names = ("latitude", "longitude", "uncertainty", "source")
            place_of = (event.number(name) for name in names)
            into[tables.positions].append((boot, event.t, row_id, place, *place_of))
    into[tables.syncs] += [
        (boot, sync.t_ms, sync.utc_ms, sync.uncertainty_ms, sync.source, row_id)
        for sync in clock.syncs_of(block)
    ]


def owned(row_id: int, boot: int, shipment: int, step: Step, into: Rows) -> None:
    """Add the rows that a block has in its context."""
    if step.bucket is not None:
        _bucket(row_id, boot, shipment, step.bucket, into)
    for place, event in step.starts:
        names = ("rule", "kind", "channel", "comparison", "threshold", "duration", "value")
        said = (event.number(name) for name in (*names, "seconds_beyond"))
        into[tables.alarm_starts].append((row_id, place, shipment, boot, event.t, *said))
    for end in step.ends:
        fields = ("rule", "cause", "minimum", "maximum", "beyond")
        said = (end.event.number(name) for name in fields)
        start = end.start or (None, None)
        into[tables.alarm_ends].append(
            (row_id, end.place, shipment, boot, end.event.t, *said, *start)
        )


def _bucket(row_id: int, boot: int, shipment: int, made: Bucket, into: Rows) -> None:
    figures = [made.channels.get(channel) for channel in SAMPLED]
    ageing = [made.channels.get(channel) for channel in KINETIC]
    into[tables.buckets].append(
        (
            row_id,
            shipment,
            boot,
            made.first_t,
            made.last_t,
            made.interval,
            sum(gap.seconds for gap in made.gaps),
            sum(gap.missing for gap in made.gaps),
            *chain.from_iterable(map(_columns, figures)),
            *(figure.ageing if figure else None for figure in ageing),
        )
    )
    into[tables.beyond] += [
        (row_id, int(channel), *limit, shipment, seconds)
        for channel, figure in made.channels.items()
        for limit, seconds in figure.beyond_s
    ]
    into[tables.gaps] += [
        (row_id, gap.place, shipment, boot, gap.after_t, gap.seconds, gap.missing)
        for gap in made.gaps
    ]


def _columns(figures: Figures | None) -> tuple[int | None, ...]:
    if figures is None:
        return _NO_FIGURES
    return (
        figures.count,
        figures.minimum,
        figures.maximum,
        figures.total,
        figures.stood_s,
        figures.within_s,
    )


def _fields(event: Event) -> str:
    """Return an event's fields as JSON, bytes in hexadecimal."""
    fields = dict(_plain(event))
    return json.dumps(fields, separators=(",", ":"))


def _plain(event: Event) -> Iterator[tuple[str, object]]:
    for name, value in event.fields.items():
        if name != "t":
            yield name, value.hex() if isinstance(value, bytes) else value
