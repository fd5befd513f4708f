"""The fleet at a glance: one line a tracker."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from rich.table import Table

from gateway import evidence, verdicts
from gateway.evidence import Entry
from gateway.tables import Tables, Tracker
from gateway.timeline import iso
from gateway.verdicts import Name

_BATTERY: Final = 4
_ALARM_START, _ALARM_END = 5, 6


def table(tables: Tables) -> Table:
    """Return the table of all registered trackers."""
    view = Table(title="Trackers", title_justify="left")
    for name, justify in (
        ("tracker", "left"),
        ("last seen (UTC)", "left"),
        ("samples", "right"),
        ("gaps", "right"),
        ("alarms", "left"),
        ("battery", "right"),
        ("verdicts", "left"),
    ):
        view.add_column(name, justify="right" if justify == "right" else "left")
    for tracker in tables.trackers():
        view.add_row(*_row(tracker, evidence.load(tables, tracker.id)))
    return view


def refusals(tables: Tables) -> str:
    """Return one line on what was not believed; empty where nothing was."""
    counts = [f"{reason} {count}" for reason, count in tables.refused().items()]
    return f"Quarantined in all: {', '.join(counts)}" if counts else ""


def _row(tracker: Tracker, entries: Sequence[Entry]) -> list[str]:
    judgement = verdicts.judge(entries)
    missing = sum(
        verdict.last - verdict.first + 1
        for verdict in judgement.verdicts
        if verdict.name is Name.GAP
    )
    names = Counter(verdict.name for verdict in judgement.verdicts)
    seen = "never" if tracker.last_seen_ms is None else iso(tracker.last_seen_ms)[:19]
    return [
        f"{tracker.id} (test)" if tracker.test else tracker.id,
        seen.replace("T", " "),
        str(sum(len(entry.block.samples) for entry in entries if entry.block)),
        str(missing),
        _alarms(entries),
        _battery(entries),
        ", ".join(str(name) for name in names) or "none",
    ]


def _in_order(entries: Sequence[Entry]) -> list[Entry]:
    """Return what is decoded of the chain heard of last, by block number."""
    decoded = [entry for entry in entries if entry.block is not None]
    if not decoded or decoded[-1].head is None:
        return []
    chain = decoded[-1].head.chain
    own = [(e.head.number, e.row.id, e) for e in decoded if e.head and e.head.chain == chain]
    return [entry for _, _, entry in sorted(own, key=lambda item: item[:2])]


def _alarms(entries: Sequence[Entry]) -> str:
    """Return how many alarms stand, and how many there were."""
    standing: set[int] = set()
    total = 0
    for entry in _in_order(entries):
        for event in entry.block.events if entry.block else ():
            if event.type == _ALARM_START:
                standing.add(event.number("rule"))
                total += 1
            elif event.type == _ALARM_END:
                standing.discard(event.number("rule"))
    if not total:
        return "none"
    return f"[red]{len(standing)} standing[/red] of {total}" if standing else f"{total}, all ended"


def _battery(entries: Sequence[Entry]) -> str:
    for entry in reversed(_in_order(entries)):
        for sample in reversed(entry.block.samples if entry.block else ()):
            if sample.values[_BATTERY] is not None:
                return f"{sample.values[_BATTERY]} mV"
    return "unknown"
