"""A shipment as the archive tells it: samples and events placed in time, and the findings."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from coldtrail_gateway.contract import ranges
from coldtrail_gateway.contract.block import Block, Event, Sample, Sync
from coldtrail_gateway.contract.events import EventType
from coldtrail_gateway.contract.ranges import Range
from coldtrail_gateway.errors import GatewayError
from coldtrail_gateway.evidence import archive, findings
from coldtrail_gateway.evidence.archive import Entry
from coldtrail_gateway.evidence.findings import Finding, Name
from coldtrail_gateway.evidence.timeline import Arrival, Placement, Timeline
from coldtrail_gateway.store.tables import Tables

Boot = tuple[bytes, int]

_RECORD_MS: Final = 2_500
"""How far a record's `t` may lie from what it tells of, ms. A sample's is rounded to a second
(0.5 s), and then each sensor is read, twice where its bus had to be freed: the light sensor waits
for a conversion for up to a second each time. Events are noted as soon as the tracker is awake."""

_ENDLESS: Final = 2**32
_START: Final = EventType.SHIPMENT_START
_STOP: Final = EventType.SHIPMENT_STOP


@dataclass(frozen=True, slots=True)
class Placed:
    """Where and when a record lies.

    `time` is None where its boot has no clock sync; it then lies between `not_before` and
    `not_after` (UTC in ms, None where nothing bounds it). `digest` is the SHA-256 of the
    sealed block; `flaw` says why it is not vouched for.
    """

    time: Placement | None
    not_before: int | None
    not_after: int | None
    boot: int
    chain: bytes
    number: int
    digest: bytes
    flaw: Name | None


@dataclass(frozen=True, slots=True)
class Calibration:
    """A sensor's calibration, as its tracker said at boots in which the shipment travelled.

    `boots`: these boots, each with its chain. `overdue`: a reading of the shipment is from
    after the due date.
    """

    placed: Placed
    event: Event
    boots: frozenset[Boot]
    overdue: bool


@dataclass(frozen=True, slots=True)
class History:
    """A shipment's records in the order of their time, not of their arrival.

    `entries`: its blocks in the order of arrival, and those that nobody here can read but that lie
    where they may belong to it. `received`: of each of their chains, all numbers that are here.
    """

    shipment: str
    tracker: str
    blocks: int
    entries: tuple[Entry, ...]
    received: Mapping[bytes, Sequence[Range]]
    samples: tuple[tuple[Placed, Sample], ...]
    events: tuple[tuple[Placed, Event], ...]
    calibrations: tuple[Calibration, ...]
    findings: tuple[Finding, ...]


class UnknownShipmentError(GatewayError):
    """A shipment that is not registered."""


def load(tables: Tables, shipment: str) -> History:
    """Return a shipment's history.

    Raises:
        UnknownShipmentError: it is not registered.
    """
    tracker = tracker_of(tables, shipment)
    return assemble(archive.load(tables, tracker), tracker, shipment)


def tracker_of(tables: Tables, shipment: str) -> str:
    """Return the tracker that a shipment is registered with.

    Raises:
        UnknownShipmentError: it is not registered.
    """
    # No other text can be registered, and a database need not have bytes for it.
    registered = tables.registry.shipment(shipment) if shipment.isprintable() else None
    if registered is None:
        raise UnknownShipmentError(
            f"Shipment {shipment} is not registered: check the id, or register it "
            "(coldtrail gateway register FILE)."
        )
    return registered.tracker


def assemble(entries: Sequence[Entry], tracker: str, shipment: str) -> History:
    """Place a shipment's records, given all of its tracker's blocks in the order of arrival."""
    judgement = findings.judge(entries)
    order: dict[bytes, int] = {}
    for entry in entries:
        if entry.head:
            order.setdefault(entry.head.chain, len(order))
    decoded = sorted(
        ((entry, entry.block) for entry in entries if entry.block is not None),
        key=lambda pair: (order[pair[1].head.chain], pair[1].head.number, pair[0].row.id),
    )
    times = _Times(decoded, set(judgement.flawed))
    own = [(entry, block) for entry, block in decoded if block.shipment == shipment]
    reach = _reach(order, decoded, shipment)
    members = tuple(entry for entry in entries if _may_belong(entry, shipment, reach))
    samples: list[tuple[Placed, Sample]] = []
    events: list[tuple[Placed, Event]] = []
    for entry, block in own:
        flaw = judgement.flawed.get(entry.row.id)
        samples += [(times.place(entry, block, s.t, flaw), s) for s in block.samples]
        events += [(times.place(entry, block, e.t, flaw), e) for e in block.events]
    # Within a chain, boot and seconds since boot are the order in which things happened.
    samples.sort(key=lambda pair: (order[pair[0].chain], pair[0].boot, pair[1].t))
    events.sort(key=lambda pair: (order[pair[0].chain], pair[0].boot, pair[1].t))
    return History(
        shipment,
        tracker,
        len(own),
        members,
        _received(entries, {e.head.chain for e in members if e.head}),
        tuple(samples),
        tuple(events),
        tuple(calibrations(_calibrated(times, decoded, judgement.flawed), samples)),
        findings.in_order(
            finding
            for finding in (*judgement.findings, *times.findings())
            if concerns(finding, reach)
        ),
    )


def _calibrated(
    times: _Times, decoded: Iterable[tuple[Entry, Block]], flawed: Mapping[int, Name]
) -> Iterator[tuple[Placed, Event]]:
    for entry, block in decoded:
        for event in block.events:
            if event.type is EventType.CALIBRATION:
                yield times.place(entry, block, event.t, flawed.get(entry.row.id)), event


def calibrations(
    said: Iterable[tuple[Placed, Event]], samples: Iterable[tuple[Placed, Sample]]
) -> Iterator[Calibration]:
    """Yield each calibration once, whatever shipment was under way when the tracker booted.

    `said`: all calibrations of the tracker, by chain, block number and arrival; `samples`: the
    shipment's.
    """
    newest: dict[tuple[Boot, int], int] = {}
    for placed, sample in samples:
        for channel, value in enumerate(sample.values):
            if value is not None:
                key = ((placed.chain, placed.boot), channel)
                newest[key] = max(newest.get(key, 0), placed.time.utc_ms if placed.time else 0)
    found: dict[str, Calibration] = {}
    for placed, event in said:
        boot = (placed.chain, placed.boot)
        last = newest.get((boot, event.number("channel")))
        if last is None:
            continue
        known = repr([value for name, value in event.fields.items() if name != "t"])
        if known not in found:
            found[known] = Calibration(placed, event, frozenset(), overdue=False)
        found[known] = replace(
            found[known],
            boots=found[known].boots | {boot},
            overdue=found[known].overdue or last > 1000 * event.number("due"),
        )
    yield from found.values()


def _reach(
    chains: Iterable[bytes], decoded: Iterable[tuple[Entry, Block]], shipment: str
) -> dict[bytes, Range]:
    own: dict[bytes, list[int]] = {chain: [] for chain in chains}
    others: dict[bytes, list[int]] = {chain: [] for chain in own}
    reported: dict[EventType, set[tuple[bytes, int]]] = {_START: set(), _STOP: set()}
    for _, block in decoded:
        of = own if block.shipment == shipment else others
        of[block.head.chain].append(block.head.number)
        for event in block.events:
            if event.type in reported and event.fields["shipment"] == shipment:
                reported[event.type].add((block.head.chain, block.head.number))
    return reach_of(own, others, reported[_START], reported[_STOP])


def reach_of(
    own: Mapping[bytes, Sequence[int]],
    others: Mapping[bytes, Sequence[int]],
    starts: Collection[tuple[bytes, int]],
    stops: Collection[tuple[bytes, int]],
) -> dict[bytes, Range]:
    """Return by chain from where to where blocks may belong to a shipment.

    That is up to the nearest blocks which are known to belong to something else; and not beyond
    those that report its start and its stop. All are given by chain and block number.
    """
    reach: dict[bytes, Range] = {}
    for chain, numbers in own.items():
        if numbers or not others[chain]:
            below = [n for n in others[chain] if numbers and n < min(numbers)]
            above = [n for n in others[chain] if numbers and n > max(numbers)]
            low, high = max(below, default=-1) + 1, min(above, default=_ENDLESS) - 1
            if numbers and (chain, min(numbers)) in starts:
                low = min(numbers)
            if numbers and (chain, max(numbers)) in stops:
                high = max(numbers)
            reach[chain] = (low, high)
    return reach


def _may_belong(entry: Entry, shipment: str, reach: Mapping[bytes, Range]) -> bool:
    if entry.block is not None:
        return entry.block.shipment == shipment
    if entry.head is None:
        return True
    low, high = reach.get(entry.head.chain, (_ENDLESS, -1))
    return low <= entry.head.number <= high


def _received(entries: Iterable[Entry], chains: Iterable[bytes]) -> dict[bytes, list[Range]]:
    """Return what is confirmed of chains: the numbers that have been archived."""
    numbers: dict[bytes, list[Range]] = {chain: [] for chain in chains}
    for entry in entries:
        chain, number = entry.row.chain, entry.row.number
        if chain in numbers and number is not None:
            numbers[chain].append((number, number))
    return {chain: ranges.join(spans) for chain, spans in numbers.items()}


def concerns(finding: Finding, reach: Mapping[bytes, Range]) -> bool:
    """Tell whether a finding is about blocks that may belong to a shipment."""
    if finding.chain is None:
        return True
    low, high = reach.get(finding.chain, (_ENDLESS, -1))
    return finding.first <= high and finding.last >= low


class _Times:
    """The timelines of every boot; a flawed block is placed by its own syncs if it has any.

    Of a clone's blocks and the original's, chain and boot are the same but not the clock.
    """

    def __init__(self, decoded: Sequence[tuple[Entry, Block]], flawed: set[int]) -> None:
        self._flawed = flawed
        syncs: dict[Boot, set[Sync]] = {}
        arrivals: dict[Boot, list[Arrival]] = {}
        extent: dict[Boot, tuple[int, int]] = {}
        self._blocks: dict[Boot, Range] = {}
        for entry, block in decoded:
            boot = (block.head.chain, block.boot)
            known = syncs.setdefault(boot, set())
            number = block.head.number
            span = self._blocks.get(boot, (number, number))
            self._blocks[boot] = (min(*span, number), max(*span, number))
            if entry.row.id not in flawed:
                known |= _syncs(block)
                times = [s.t for s in block.samples] + [e.t for e in block.events]
                low, high = extent.get(boot, (2**31, -1))
                extent[boot] = (min([low, *times]), max([high, *times]))
                # What was read out over a cable has arrived nowhere.
                if times and entry.row.received_ms:
                    arrival = Arrival(max(times) * 1000, entry.row.received_ms)
                    arrivals.setdefault(boot, []).append(arrival)
        self._lines = {
            boot: Timeline(known, arrivals.get(boot, ())) for boot, known in syncs.items()
        }
        self._spans = {}
        for boot, (low, high) in extent.items():
            first, last = _placed(self._lines[boot], low), _placed(self._lines[boot], high)
            if first and last and high >= 0:
                self._spans[boot] = (first, last)

    def findings(self) -> Iterator[Finding]:
        """Yield what the clock syncs of each boot say of each other."""
        for (chain, boot), line in self._lines.items():
            yield from findings.of_time(chain, boot, self._blocks[chain, boot], line)

    def place(self, entry: Entry, block: Block, t: int, flaw: Name | None) -> Placed:
        """Return where a record of a block lies."""
        boot = (block.head.chain, block.boot)
        line = self._lines[boot]
        if entry.row.id in self._flawed and (own := _syncs(block)):
            line = Timeline(own)
        time = _placed(line, t)
        low, high = (None, None) if time else self._bounds(boot)
        head, digest = block.head, entry.row.digest
        return Placed(time, low, high, block.boot, head.chain, head.number, digest, flaw)

    def _bounds(self, boot: Boot) -> tuple[int | None, int | None]:
        """Return between which moments a boot lies that cannot be placed itself."""
        chain, number = boot
        same = {other: span for (c, other), span in self._spans.items() if c == chain}
        before = max((other for other in same if other < number), default=None)
        after = min((other for other in same if other > number), default=None)
        low = same[before][1] if before is not None else None
        high = same[after][0] if after is not None else None
        return (
            low.utc_ms - low.uncertainty_ms if low else None,
            high.utc_ms + high.uncertainty_ms if high else None,
        )


def _placed(line: Timeline, t: int) -> Placement | None:
    """Return where a record at `t` seconds since boot lies."""
    time = line.place(t * 1000)
    return Placement(time.utc_ms, time.uncertainty_ms + _RECORD_MS) if time else None


def _syncs(block: Block) -> set[Sync]:
    found = {block.sync} if block.sync else set()
    return found | {sync for event in block.events if (sync := event.sync())}
