"""A read model for the tests: filled with blocks in any order, and shown without its numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from coldtrail_gateway.evidence import archive
from coldtrail_gateway.evidence.archive import Entry
from coldtrail_gateway.readings import canonical, rebuild
from coldtrail_gateway.readings.batch import Batch
from coldtrail_gateway.store.archive import Archived
from coldtrail_gateway.store.tower.database import Tower
from tests.support.blocks.blockmaker import uplink

Kept = tuple[str, bytes, int]
"""A tracker, a sealed block of it, and when that arrived."""


def archived(kept: Sequence[Kept]) -> list[tuple[str, Entry]]:
    """Return what the archive holds of blocks that arrived in this order."""
    found = []
    for number, (tracker, sealed, received_ms) in enumerate(kept, start=1):
        digest = hashlib.sha256(sealed).digest()
        row = Archived(number, sealed, digest, 1, received_ms, None, None, 0, None)
        entry = archive.reopen(row, tracker, {1: uplink(tracker)}, filed=False)
        found.append((tracker, entry))
    return found


class Model:
    """The read model in a database of its own."""

    def __init__(self, tower: Tower) -> None:
        self.tower = tower

    def clear(self) -> None:
        with self.tower.write() as connection:
            rebuild.empty(connection)

    def fill(
        self,
        batches: Sequence[Sequence[tuple[str, Entry]]],
        profiles: Mapping[tuple[str, str], str] | None = None,
    ) -> None:
        """Take in blocks, each batch in a transaction of its own."""
        known = {entry.row.id: entry for batch in batches for _, entry in batch}

        def again(numbers: Collection[int]) -> Mapping[int, Entry]:
            return {number: known[number] for number in numbers}

        for batch in batches:
            with self.tower.write() as connection:
                Batch(connection, again, lambda *named: (profiles or {}).get(named)).take(batch)

    def shown(self) -> dict[str, Any]:
        """Return all that is in the tables."""
        with self.tower.read() as connection:
            return {
                tracker: canonical.of_tracker(connection, tracker)
                for tracker in sorted(canonical.trackers(connection))
            }
