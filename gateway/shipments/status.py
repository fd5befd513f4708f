"""The fleet: one line for each tracker."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from rich.table import Table
from rich.text import Text

from coldtrail_gateway.contract import words
from coldtrail_gateway.contract.block import Block, Event, Sample
from coldtrail_gateway.contract.events import Channel, EventType
from coldtrail_gateway.contract.printable import printable
from coldtrail_gateway.contract.utc import iso
from coldtrail_gateway.evidence import archive, findings
from coldtrail_gateway.evidence.archive import Entry
from coldtrail_gateway.evidence.findings import Name
from coldtrail_gateway.store.registry import Tracker
from coldtrail_gateway.store.tables import Tables

_DEGREE: Final = 1_000_000


def table(tables: Tables, now_ms: int) -> Table:
    """Return the table of all registered trackers."""
    view = Table(title="Trackers", title_justify="left")
    for name, justify in (
        ("tracker", "left"),
        ("last seen (UTC)", "left"),
        ("samples", "right"),
        ("gaps", "right"),
        ("alarms", "left"),
        ("faults", "left"),
        ("position", "left"),
        ("battery", "right"),
        ("commands", "left"),
        ("findings", "left"),
    ):
        view.add_column(name, justify="right" if justify == "right" else "left")
    for tracker in tables.registry.trackers():
        commands = Counter(c.state(now_ms) for c in tables.commands.of(tracker.id))
        view.add_row(*map(_cell, _row(tracker, archive.load(tables, tracker.id), commands)))
    return view


def refusals(tables: Tables) -> str:
    """Return one line about messages that were refused; empty where there were none."""
    counts = [f"{reason} {count}" for reason, count in tables.quarantine.refused().items()]
    return f"Quarantined in all: {', '.join(counts)}" if counts else ""


def _row(tracker: Tracker, entries: Sequence[Entry], commands: Counter[str]) -> list[str | Text]:
    judgement = findings.judge(entries)
    chains = _chains(entries)
    blocks = _in_order(entries, chains[-1]) if chains else []
    events = [event for block in blocks for event in block.events]
    samples = [sample for block in blocks for sample in block.samples]
    missing = sum(
        finding.last - finding.first + 1
        for finding in judgement.findings
        if finding.name is Name.GAP
    )
    names = Counter(finding.name for finding in judgement.findings)
    seen = "never" if tracker.last_seen_ms is None else iso(tracker.last_seen_ms)[:19]
    return [
        f"{tracker.id} (test)" if tracker.test else tracker.id,
        seen.replace("T", " "),
        str(sum(len(entry.block.samples) for entry in entries if entry.block)),
        str(missing),
        _alarms(_of_present_shipment(entries)),
        _faults(events, samples),
        _position(events),
        _battery(samples),
        ", ".join(f"{count} {state}" for state, count in commands.items()) or "none",
        ", ".join(str(name) for name in names) or "none",
    ]


def _cell(text: str | Text) -> Text:
    """Return a text for the table, as it is: what trackers say is no markup."""
    return text if isinstance(text, Text) else Text(printable(text))


def _chains(entries: Sequence[Entry]) -> list[bytes]:
    """Return the chains of what is decoded; the one heard of last is the last."""
    heard = [entry.block.head.chain for entry in reversed(entries) if entry.block is not None]
    return list(dict.fromkeys(heard))[::-1]


def _in_order(entries: Sequence[Entry], chain: bytes) -> list[Block]:
    """Return what is decoded of a chain, by block number."""
    decoded = [(entry.block, entry.row.id) for entry in entries if entry.block is not None]
    own = [(block.head.number, row, block) for block, row in decoded if block.head.chain == chain]
    return [block for _, _, block in sorted(own, key=lambda item: item[:2])]


def _of_present_shipment(entries: Sequence[Entry]) -> list[tuple[bytes, Event]]:
    """Return the events of the shipment that the tracker named last, each with its chain.

    They may be of several chains: a log that is formatted anew on the way ends no alarm. After a
    stop it is still that shipment, until the next one starts.
    """
    blocks = [block for chain in _chains(entries) for block in _in_order(entries, chain)]
    named = [block.shipment for block in blocks if block.shipment is not None]
    return [
        (block.head.chain, event)
        for block in blocks
        if not named or block.shipment == named[-1]
        for event in block.events
    ]


def _alarms(events: Sequence[tuple[bytes, Event]]) -> str | Text:
    """Return how many alarms stand, how many there were, and whether somebody has seen them."""
    standing: set[tuple[bytes, int]] = set()
    total = 0
    seen = False
    for chain, event in events:
        if event.type is EventType.ALARM_START:
            standing.add((chain, event.number("rule")))
            total += 1
            seen = False
        elif event.type is EventType.ALARM_END:
            standing.discard((chain, event.number("rule")))
        elif words.is_acknowledgement(event):
            seen = True
    if not total:
        return "none"
    acknowledged = ", acknowledged" if seen else ""
    if not standing:
        return f"{total}, all ended{acknowledged}"
    return Text.assemble((f"{len(standing)} standing", "red"), f" of {total}{acknowledged}")


def _faults(events: Sequence[Event], samples: Sequence[Sample]) -> str:
    """Return the faults that stand."""
    standing: dict[tuple[int, int], str] = {}
    for event in events:
        if event.type is EventType.FAULT:
            subject, code = event.number("subject"), event.number("code")
            standing.pop((subject, code), None)
            if event.number("on"):
                name = words.worded(event.type, "subject", subject)
                standing[subject, code] = f"{name} {words.fault(subject, code)}"
    flags = [words.flags(samples[-1].status)] if samples else []
    return ", ".join(filter(None, [*standing.values(), *flags])) or "none"


def _position(events: Sequence[Event]) -> str:
    """Return where the tracker was last: its position, or the cell that served it since."""
    for event in reversed(events):
        if event.type is EventType.POSITION:
            latitude, longitude = (
                f"{event.number(axis) / _DEGREE:.5f}" for axis in ("latitude", "longitude")
            )
            return f"{latitude}, {longitude} \N{PLUS-MINUS SIGN} {event.number('uncertainty')} m"
        if event.type is EventType.CELL:
            return f"cell {words.cell(event)}"
    return "unknown"


def _battery(samples: Sequence[Sample]) -> str:
    readings = (sample.values[Channel.BATTERY] for sample in reversed(samples))
    newest = next((reading for reading in readings if reading is not None), None)
    return "unknown" if newest is None else f"{newest} mV"
