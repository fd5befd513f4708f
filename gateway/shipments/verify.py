"""What the archive vouches for: every block of a shipment re-checked."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.engine import Connection

from coldtrail_gateway.evidence import archive
from coldtrail_gateway.readings import progress
from coldtrail_gateway.shipments import history as histories
from coldtrail_gateway.shipments import known
from coldtrail_gateway.shipments.history import History
from coldtrail_gateway.store.tables import Tables


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome in lines for people; `good` when nothing is wrong."""

    good: bool
    lines: tuple[str, ...]


def report(history: History) -> Report:
    """Say which samples the archive vouches for, and every finding by name."""
    total = len(history.samples)
    doubtful = [placed for placed, _ in history.samples if placed.flaw]
    unplaced = sum(placed.time is None for placed, _ in history.samples)
    wrong = [finding for finding in history.findings if finding.wrong]
    lines = [
        f"shipment {history.shipment}, tracker {history.tracker}",
        f"blocks re-checked (MAC, hash, chain): {history.blocks}",
        f"samples vouched for: {total - len(doubtful)} of {total}",
    ]
    if unplaced:
        lines.append(f"samples without a time (no clock sync in their boot): {unplaced}")
    lines += [str(finding) for finding in history.findings]
    if not history.blocks:
        lines.append("no block of this shipment is here")
    good = not wrong and not doubtful and bool(history.blocks)
    lines.append("verified" if good else "NOT verified")
    return Report(good, tuple(lines))


def agreement(tables: Tables, tower: Connection, shipment: str) -> Report:
    """Say whether the read model tells of a shipment what the sealed blocks say.

    Of the archive only that is looked at which the read model has read; for this `tower` must
    have begun before `tables`.

    Raises:
        UnknownShipmentError: it is not registered.
    """
    read = progress.read(tower).id
    tracker = histories.tracker_of(tables, shipment)
    entries = [entry for entry in archive.load(tables, tracker) if entry.row.id <= read]
    archived = histories.assemble(entries, tracker, shipment)
    differing = known.differences(archived, known.load(tables, tower, shipment))
    if not differing:
        return Report(True, ("read model: says the same",))
    line = f"read model: says otherwise ({', '.join(differing)}): coldtrail gateway rebuild"
    return Report(False, (line,))
