"""The fleet: one line for each tracker."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from rich.table import Table

from coldtrail_gateway.contract import words
from coldtrail_gateway.contract.block import Block, Event, Sample
from coldtrail_gateway.contract.events import Channel, EventType
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
        view.add_row(*_row(tracker, archive.load(tables, tracker.id), commands))
    return view


def refusals(tables: Tables) -> str:
    """Return one line about messages that were refused; empty where there were none."""
    counts = [f"{reason} {count}" for reason, count in tables.quarantine.refused().items()]
    return f"Quarantined in all: {', '.join(counts)}" if counts else ""


def _row(tracker: Tracker, entries: Sequence[Entry], commands: Counter[str]) -> list[str]:
    judgement = findings.judge(entries)
    blocks = _in_order(entries)
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
        _alarms(events),
        _faults(events, samples),
        _position(events),
        _battery(samples),
        ", ".join(f"{count} {state}" for state, count in commands.items()) or "none",
        ", ".join(str(name) for name in names) or "none",
    ]


def _in_order(entries: Sequence[Entry]) -> list[Block]:
    """Return the decoded blocks of the chain heard of last, by block number."""
    decoded = [(entry.block, entry.row.id) for entry in entries if entry.block is not None]
    if not decoded:
        return []
    chain = decoded[-1][0].head.chain
    own = [(block.head.number, row, block) for block, row in decoded if block.head.chain == chain]
    return [block for _, _, block in sorted(own, key=lambda item: item[:2])]


def _alarms(events: Sequence[Event]) -> str:
    """Return how many alarms stand, how many there were, and whether somebody has seen them."""
    standing: set[int] = set()
    total = 0
    seen = False
    for event in events:
        if event.type is EventType.ALARM_START:
            standing.add(event.number("rule"))
            total += 1
            seen = False
        elif event.type is EventType.ALARM_END:
            standing.discard(event.number("rule"))
        elif words.is_acknowledgement(event):
            seen = True
    if not total:
        return "none"
    text = f"[red]{len(standing)} standing[/red] of {total}" if standing else f"{total}, all ended"
    return f"{text}, acknowledged" if seen else text


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
