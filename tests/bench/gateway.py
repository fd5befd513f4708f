"""Blocks a second that the gateway commits and confirms, beside archives of two sizes.

Both databases and both sizes take turns within one run, each turn with other blocks of all
trackers, so that what else the machine does falls on all of them. What is compared is the ratio.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import cbor2

from coldtrail_gateway.contract import envelope
from coldtrail_gateway.contract.envelope import Kind
from coldtrail_gateway.ingest import intake
from coldtrail_gateway.ingest.intake import Arrival, Kept
from coldtrail_gateway.store.database import Store
from tests.gateway import databases, large
from tests.support.blocks.blockmaker import Maker, rows, uplink

BATCH: Final = 256  # as many as `serve` commits together
_ROWS: Final = 12


class Archive:
    """A database of a size, and trackers that go on where it ends."""

    def __init__(self, label: str, url: str, blocks: int) -> None:
        self.label = label
        self.blocks = blocks
        self.rates: list[float] = []
        large.fill(url, blocks)
        self._store = Store(url, create=False)
        self._arrivals = self._next(blocks // large.TRACKERS)

    def _next(self, number: int) -> Iterator[Arrival]:
        while True:
            number += 1
            for at in range(large.TRACKERS):
                name = large.name(at)
                maker = Maker(name, chain=large.CHAIN, number=number - 1, shipment=None)
                payload = cbor2.dumps(maker.payload(rows(_ROWS)), canonical=True)
                sealed = envelope.seal(payload, Kind.BLOCK, name, 1, uplink(name))
                yield Arrival(name, sealed)

    def turn(self, batches: int) -> None:
        """Take some batches, and note how many blocks a second were confirmed."""
        ready = [[next(self._arrivals) for _ in range(BATCH)] for _ in range(batches)]
        begin = time.perf_counter()
        outcomes = [o for batch in ready for o in intake.take(self._store, batch, large.NOW_MS)]
        self.rates.append(len(outcomes) / (time.perf_counter() - begin))
        assert all(isinstance(o, Kept) and o.new and o.document for o in outcomes)

    def close(self) -> None:
        """Close the database."""
        self._store.close()


def main() -> None:
    """Print the rates."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", type=int, default=10_000)
    parser.add_argument("--large", type=int, default=1_000_000)
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--batches", type=int, default=8, help="of a turn")
    options = parser.parse_args()
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        sizes = (options.small, options.large)
        places = {"SQLite": [f"sqlite:///{folder}/{size}.db" for size in sizes]}
        if programs := databases.programs():
            servers = [opened.enter_context(databases.postgresql(programs)) for _ in sizes]
            places["PostgreSQL"] = [server.url for server in servers]
        else:
            print(databases.MISSING)
        archives = {
            label: [Archive(label, url, size) for url, size in zip(urls, sizes, strict=True)]
            for label, urls in places.items()
        }
        for _ in range(options.turns):
            for pair in archives.values():
                for archive in pair:
                    archive.turn(options.batches)
        print(f"{'database':<12}{'archived':>12}{'blocks/s':>10}{'slowest':>9}{'fastest':>9}")
        for label, pair in archives.items():
            rates = [archive.rates[1:] or archive.rates for archive in pair]  # the first warms up
            for archive, own in zip(pair, rates, strict=True):
                median = statistics.median(own)
                print(
                    f"{label:<12}{archive.blocks:>12,}{median:>10,.0f}{min(own):>9,.0f}"
                    f"{max(own):>9,.0f}"
                )
                archive.close()
            ratio = statistics.median(rates[1]) / statistics.median(rates[0])
            print(f"{label:<12}{'ratio':>12}{ratio:>10.2f}")


if __name__ == "__main__":
    main()
