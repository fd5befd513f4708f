"""The read model of a large fleet: how fast it is kept, and how fast it answers.

A fleet of trackers that sample every 10 minutes and upload hourly. Both databases take turns
within one run. A turn takes the fleet's next blocks in as `serve` does, a batch a commit, and then
reads them into the read model as `judge` does, each on one core; what is compared is the ratio of
the two rates. Then the questions of people are asked, some times each.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from coldtrail_gateway.ingest import intake
from coldtrail_gateway.ingest.intake import Arrival, Kept
from coldtrail_gateway.readings.projection import Projection
from coldtrail_gateway.store.database import Store
from coldtrail_gateway.store.tower.database import Tower
from tests.bench import fleet
from tests.bench.fleet import Tracker

BATCH: Final = 256  # as many as `serve` commits together
YEAR_H: Final = 8760


@dataclass
class Side:
    """One database: its fleet, and what was measured on it."""

    label: str
    store: Store
    tower: Tower
    trackers: Sequence[Tracker]
    years: Sequence[Tracker]
    ingest: list[float] = field(default_factory=list)
    projection: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._projection = Projection(self.store, self.tower)
        self._hourly = fleet.hours(self.trackers, YEAR_H)

    def project(self) -> float:
        """Read all that is new; return how many blocks a second that were."""
        count, begin = 0, time.perf_counter()
        while read := self._projection.step():
            count += read
        return count / (time.perf_counter() - begin)

    def turn(self, blocks: int) -> None:
        """Take in some blocks of the fleet's next hours, and read them."""
        batches = [list(self._batch()) for _ in range(blocks // BATCH)]
        begin = time.perf_counter()
        taken = [kept for batch in batches for kept in intake.take(self.store, batch, self._now())]
        self.ingest.append(len(taken) / (time.perf_counter() - begin))
        assert all(isinstance(kept, Kept) and kept.new and kept.document for kept in taken)
        self.projection.append(self.project())

    def _batch(self) -> Iterator[Arrival]:
        for _ in range(BATCH):
            block = next(self._hourly)
            yield Arrival(block.tracker, block.sealed)

    def _now(self) -> int:
        return self.trackers[0].now_ms


def timed(question: Callable[[], object], times: int) -> list[float]:
    """Ask a question some times; return how many ms each answer took."""
    found = []
    for _ in range(times):
        begin = time.perf_counter()
        question()
        found.append(1000 * (time.perf_counter() - begin))
    return found
