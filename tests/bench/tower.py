"""The read model of a large fleet: how fast it is kept, and how fast it answers.

A fleet of trackers that sample every 10 minutes and upload hourly. Both databases take turns
within one run. A turn takes the fleet's next blocks in as `serve` does, a batch a commit, and then
reads them into the read model as `judge` does, each on one core; what is compared is the ratio of
the two rates. Then the questions of people are asked, some times each.
"""

from __future__ import annotations

import argparse
import gc
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from coldtrail_gateway.contract.events import Channel
from coldtrail_gateway.ingest import intake
from coldtrail_gateway.ingest.intake import Arrival, Kept
from coldtrail_gateway.readings import chart, records, shipment
from coldtrail_gateway.readings.projection import Projection
from coldtrail_gateway.shipments import status
from coldtrail_gateway.store.database import Store
from coldtrail_gateway.store.tower.database import Tower
from tests.bench import fleet
from tests.bench.fleet import Tracker
from tests.gateway import databases

BATCH: Final = 256  # as many as `serve` commits together
YEAR_H: Final = 8760
POINTS: Final = 500


class Cost(NamedTuple):
    """What something took: seconds, and those of this process on a processor."""

    wall_s: float
    cpu_s: float


def measured(act: Callable[[], object]) -> Cost:
    """Do something, and tell what it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    act()
    return Cost(time.perf_counter() - wall, time.process_time() - cpu)


@dataclass
class Side:
    """One database: its fleet, and what was measured on it, by turn."""

    label: str
    store: Store
    tower: Tower
    trackers: Sequence[Tracker]
    years: Sequence[Tracker]
    ingest: list[Cost] = field(default_factory=list)
    projection: list[Cost] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._projection = Projection(self.store, self.tower)
        self._hourly = fleet.hours(self.trackers, YEAR_H)

    def project(self) -> Cost:
        """Read all that is new."""
        return measured(self._projection.run)

    def turn(self, blocks: int) -> None:
        """Take in some blocks of the fleet's next hours, and read them."""
        batches = [list(self._batch()) for _ in range(blocks // BATCH)]
        taken: list[object] = []
        self.ingest.append(measured(lambda: taken.extend(self._take(batches))))
        assert all(isinstance(kept, Kept) and kept.new and kept.document for kept in taken)
        self.projection.append(self.project())

    def _batch(self) -> Iterator[Arrival]:
        for _ in range(BATCH):
            block = next(self._hourly)
            yield Arrival(block.tracker, block.sealed)

    def _take(self, batches: Sequence[Sequence[Arrival]]) -> Iterator[object]:
        for batch in batches:
            yield from intake.take(self.store, batch, self.trackers[0].now_ms)


def main() -> None:
    """Print the rates and the times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trackers", type=int, default=10_000)
    parser.add_argument("--hours", type=int, default=6, help="archived before the turns; full: 72")
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--blocks", type=int, default=2_048, help="of a turn")
    parser.add_argument("--times", type=int, default=9, help="that each question is asked")
    parser.add_argument("--years", type=int, nargs="*", default=[600, 60], help="intervals, s")
    options = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        places = {"SQLite": f"sqlite:///{folder}/gateway.db"}
        if programs := databases.programs():
            server = opened.enter_context(databases.postgresql(programs))
            places["PostgreSQL"] = server.url
        else:
            print(databases.MISSING)
        sides = [_side(opened, label, url, options) for label, url in places.items()]
        for _ in range(options.turns):
            for side in sides:
                side.turn(options.blocks)
        _print_rates(sides, options.blocks)
        for side in sides:
            _print_answers(side, options.times)


def _side(opened: ExitStack, label: str, url: str, options: argparse.Namespace) -> Side:
    store = opened.enter_context(Store(url, create=True))
    tower = opened.enter_context(Tower(url, create=True))
    years = [Tracker(f"YEAR-{interval_s}", interval_s) for interval_s in options.years]
    side = Side(label, store, tower, fleet.trackers(options.trackers), years)
    fleet.register(store, [*side.trackers, *years])
    count = fleet.archive(store, side.trackers, options.hours) + fleet.archive(
        store, years, YEAR_H
    )
    cost = side.project()
    rates = f"{count / cost.wall_s:,.0f} a second, {count / cost.cpu_s:,.0f} a second of CPU here"
    print(f"{label}: read {count:,} blocks at once: {rates}", flush=True)
    return side


def _print_rates(sides: Sequence[Side], blocks: int) -> None:
    """Print blocks a second, and the same of this process's CPU: the server's is not in it."""
    print(f"{'database':<12}{'blocks/s':<14}{'median':>9}{'slowest':>9}{'fastest':>9}  of CPU")
    for side in sides:
        # The first turn warms up.
        costs = {"ingest": side.ingest[1:], "read model": side.projection[1:]}
        for label, own in costs.items():
            rates = [blocks / cost.wall_s for cost in own]
            cpu = statistics.median(blocks / cost.cpu_s for cost in own)
            print(f"{side.label:<12}{label:<14}{_spread(rates, '9,.0f')}{cpu:>8,.0f}")
        pairs = list(zip(*costs.values(), strict=True))
        ratios = [taken.wall_s / read.wall_s for taken, read in pairs]
        cpu = statistics.median(taken.cpu_s / read.cpu_s for taken, read in pairs)
        print(f"{side.label:<12}{'ratio':<14}{_spread(ratios, '9.2f')}{cpu:>8.2f}")


def _print_answers(side: Side, times: int) -> None:
    # Who asks has no fleet in memory, which the collector would go through again and again.
    gc.collect()
    gc.freeze()
    for label, question in _questions(side):
        costs = [measured(question) for _ in range(times)]
        wall = _spread([1000 * cost.wall_s for cost in costs], "9.1f")
        cpu = statistics.median(1000 * cost.cpu_s for cost in costs)
        print(f"{side.label:<12}{label:<40}{wall} ms{cpu:>9.1f} of CPU")


def _spread(figures: Sequence[float], form: str) -> str:
    return "".join(
        f"{figure:>{form}}" for figure in (statistics.median(figures), min(figures), max(figures))
    )


def _questions(side: Side) -> Iterator[tuple[str, Callable[[], object]]]:
    def fleet_status() -> object:
        with side.store.read() as tables, side.tower.read() as known:
            return status.load(tables, known, side.trackers[0].now_ms)

    def one(tracker: Tracker) -> object:
        with side.tower.read() as known:
            return shipment.summary(known, tracker.name, tracker.shipment)

    def drawn(tracker: Tracker) -> object:
        with side.tower.read() as known:
            number = records.number_of(known, tracker.name, tracker.shipment)
            assert number is not None
            span = (fleet.START_S * 1000, tracker.now_ms)
            return chart.thinned(known, number, Channel.PAYLOAD, *span, points=POINTS)

    yield f"status of {len(side.trackers):,} trackers", fleet_status
    yield "summary of one shipment of the fleet", partial(one, side.trackers[0])
    for tracker in side.years:
        samples = YEAR_H * fleet.HOUR_S // tracker.interval_s
        yield f"summary of a year, {samples:,} samples", partial(one, tracker)
        yield f"a year, {samples:,} samples, in {POINTS} points", partial(drawn, tracker)


if __name__ == "__main__":
    main()
