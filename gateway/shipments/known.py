"""A shipment's history as the read model tells it: the same that all its blocks together say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy.engine import Connection

from coldtrail_gateway.contract import block
from coldtrail_gateway.contract.events import EventType
from coldtrail_gateway.contract.fields import EVENTS, Bytes, Field
from coldtrail_gateway.contract.ranges import Range
from coldtrail_gateway.evidence import findings as evidence
from coldtrail_gateway.evidence.findings import Finding, Name
from coldtrail_gateway.readings import belonging, findings, records
from coldtrail_gateway.shipments import history
from coldtrail_gateway.shipments.history import History, Placed
from coldtrail_gateway.store.tables import Tables


def load(tables: Tables, tower: Connection, shipment: str) -> History:
    """Return a shipment's history, without the sealed blocks themselves.

    Raises:
        UnknownShipmentError: it is not registered.
    """
    tracker = history.tracker_of(tables, shipment)
    number = records.number_of(tower, tracker, shipment)
    samples: list[tuple[Placed, block.Sample]] = []
    events: list[tuple[Placed, block.Event]] = []
    if number is not None:
        samples = [
            (_placed(s), block.Sample(s.moment.t, s.status, s.values))
            for s in records.samples(tower, number)
        ]
        events = [(_placed(e), _event(e)) for e in records.events(tower, number)]
    said = ((_placed(e), _event(e)) for e in records.calibrations(tower, tracker))
    reach, blocks = _reach(tower, tracker, shipment)
    return History(
        shipment,
        tracker,
        blocks,
        (),
        {},
        tuple(samples),
        tuple(events),
        tuple(history.calibrations(said, samples)),
        evidence.in_order(
            finding
            for finding in (*findings.of(tower, tracker), *_replayed(tables, tracker))
            if history.concerns(finding, reach)
        ),
    )


def differences(archived: History, told: History) -> list[str]:
    """Return what of a history the read model tells otherwise than the archive, by name."""
    return [
        name
        for name in ("blocks", "samples", "events", "calibrations")
        if getattr(archived, name) != getattr(told, name)
    ] + (["findings"] if _names(archived) != _names(told) else [])


def _names(told: History) -> Counter[str]:
    # How often bytes came again is read from the archive in either case, and goes on.
    return Counter(str(f) for f in told.findings if f.name is not Name.REPLAYED)


def _reach(tower: Connection, tracker: str, shipment: str) -> tuple[Mapping[bytes, Range], int]:
    """Return from where to where blocks may belong to a shipment, and how many do."""
    own: dict[bytes, list[int]] = {chain: [] for chain in belonging.chains(tower, tracker)}
    others: dict[bytes, list[int]] = {chain: [] for chain in own}
    for chain, number, of in belonging.blocks(tower, tracker):
        (own if of == shipment else others)[chain].append(number)
    starts, stops = (
        {
            (chain, number)
            for chain, number, of in belonging.reports(tower, tracker, event)
            if of == shipment
        }
        for event in (EventType.SHIPMENT_START, EventType.SHIPMENT_STOP)
    )
    return history.reach_of(own, others, starts, stops), sum(map(len, own.values()))


def _replayed(tables: Tables, tracker: str) -> Iterator[Finding]:
    """Name what came again; that is in the archive alone, for it is no matter of what is said."""
    repeats: dict[bytes, dict[int, int]] = {}
    for chain, number, count in tables.archive.repeated(tracker):
        of_chain = repeats.setdefault(chain, {})
        of_chain[number] = of_chain.get(number, 0) + count
    for chain, counts in repeats.items():
        yield from evidence.replayed(chain, counts)


def _placed(record: records.Sample | records.Event) -> Placed:
    moment, origin = record.moment, record.origin
    return Placed(
        moment.time,
        moment.not_before,
        moment.not_after,
        origin.boot,
        origin.chain,
        origin.number,
        origin.digest,
        Name(origin.flaw) if origin.flaw else None,
    )


def _event(record: records.Event) -> block.Event:
    kind = EventType(record.type)
    ranges = EVENTS[kind]
    fields: dict[str, Field] = {"t": record.moment.t}
    fields |= {name: _field(ranges.get(name), value) for name, value in record.fields.items()}
    return block.Event(kind, record.moment.t, fields)


def _field(limits: object, value: Any) -> Field:
    return bytes.fromhex(value) if isinstance(limits, Bytes) else value
