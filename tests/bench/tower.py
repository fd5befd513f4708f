"""The read model of a large fleet: how fast it is kept, and how fast it answers.

A fleet of trackers that sample every 10 minutes and upload hourly. Both databases take turns
within one run. A turn takes the fleet's next blocks in as `serve` does, a batch a commit, and then
reads them into the read model as `judge` does, each on one core; what is compared is the ratio of
the two rates. Then the questions of people are asked, some times each.
"""

from __future__ import annotations

import argparse
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
from typing import Final

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
        _print_rates(sides)
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
    rate = side.project()
    print(f"{label}: {count:,} blocks read at {rate:,.0f} blocks/s", flush=True)
    return side


def _print_rates(sides: Sequence[Side]) -> None:
    print(f"{'database':<12}{'blocks/s':<12}{'median':>10}{'slowest':>10}{'fastest':>10}")
    for side in sides:
        pairs = list(zip(side.ingest[1:], side.projection[1:], strict=True))  # the first warms up
        for label, rates in zip(("ingest", "read model"), zip(*pairs, strict=True), strict=True):
            median = statistics.median(rates)
            print(
                f"{side.label:<12}{label:<12}{median:>10,.0f}{min(rates):>10,.0f}"
                f"{max(rates):>10,.0f}"
            )
        ratios = [projection / ingest for ingest, projection in pairs]
        median = statistics.median(ratios)
        print(f"{'':<12}{'ratio':<12}{median:>10.2f}{min(ratios):>10.2f}{max(ratios):>10.2f}")


def _print_answers(side: Side, times: int) -> None:
    for label, question in _questions(side):
        found = timed(question, times)
        print(
            f"{side.label:<12}{label:<48}{statistics.median(found):>8.1f} ms"
            f"{min(found):>8.1f}{max(found):>8.1f}"
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
