"""A fleet under way: sealed blocks of many trackers, made quicker than trackers could.

Each tracker samples at an interval and uploads hourly. Its blocks follow from one another by
number and hash, under a key of its own; readings are one of a few hours that were made beforehand.
"""

from __future__ import annotations

import hashlib
import hmac
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import cbor2

from coldtrail_gateway.store.archive import Authentic
from coldtrail_gateway.store.database import Store
from coldtrail_gateway.store.registry import KeyPair, Shipment
from tests.support.blocks.blockmaker import Row, columns, downlink, uplink

START_S: Final = 1_767_225_600  # 2026-01-01
HOUR_S: Final = 3600
_SHAPES: Final = 24
_BATCH: Final = 10_000
_PROTECTED: Final = cbor2.dumps({1: 5, 3: 65001, 4: b"\x01"})


@dataclass
class Tracker:
    """One tracker of the fleet, which goes on where its last block ended."""

    name: str
    interval_s: int = 600
    number: int = 0
    sequence: int = 0
    previous: bytes = field(default=bytes(16))

    @cached_property
    def shipment(self) -> str:
        """Its only shipment."""
        return f"S-{self.name}"

    @cached_property
    def _key(self) -> bytes:
        return uplink(self.name)

    @cached_property
    def _chain(self) -> bytes:
        return hashlib.sha256(self.name.encode()).digest()[:8]

    @cached_property
    def _aad(self) -> bytes:
        return cbor2.dumps(["coldtrail/1", "up", self.name])

    @property
    def now_ms(self) -> int:
        """When its last block was complete, which is when it is uploaded."""
        return (START_S + self.number * HOUR_S) * 1000

    def block(self) -> Authentic:
        """Return the block of its next hour."""
        t = self.number * HOUR_S
        events = list(self._events(t))
        samples = _hour(self.interval_s, (self.number + len(self.name)) % _SHAPES)
        payload = {
            0: 1,
            1: self._chain,
            2: self.number + 1,
            3: self.previous,
            4: 1,
            5: self.sequence,
            6: [t + HOUR_S - 60, 0, START_S + t + HOUR_S - 60, 0, 500, 1],
            7: self.shipment,
            8: {0: samples[0], 1: t + self.interval_s, **samples[1]},
        }
        if events:
            payload[9] = events
        return self._seal(payload, samples[0] + len(events))

    def _events(self, t: int) -> Iterator[Sequence[Any]]:
        if t == 0:
            yield 3, 0, 1, 1, 0, "1.0"
            yield 10, 1, self.shipment
        if self.number % 6 == 1:
            yield 2, t + 60, 50_000_000 + self.number, 8_000_000 - self.number, 12, 1

    def _seal(self, payload: dict[int, Any], records: int) -> Authentic:
        encoded = cbor2.dumps(payload)  # canonical, as its keys are in their order
        macced = cbor2.dumps(["MAC0", _PROTECTED, self._aad, encoded])
        tag = hmac.digest(self._key, macced, "sha256")
        sealed = b"\xd1" + cbor2.dumps([_PROTECTED, {}, encoded, tag])
        digest = hashlib.sha256(sealed).digest()
        self.number += 1
        self.sequence += records
        self.previous = digest[:16]
        return Authentic(self.name, sealed, digest, 1, self._chain, self.number)


_hours: dict[tuple[int, int], tuple[int, dict[int, Any]]] = {}


def _hour(interval_s: int, shape: int) -> tuple[int, dict[int, Any]]:
    """Return how many samples an hour has, and its columns without the count and the time."""
    if (interval_s, shape) not in _hours:
        rows: list[Row] = []
        for at in range(HOUR_S // interval_s):
            turn = math.tau * (shape + at * interval_s / HOUR_S) / _SHAPES
            payload = round(500 + 120 * math.sin(turn))
            values = (payload, round(2000 + 400 * math.cos(turn)), 450 + at, 0, 3600, 0, 0, 1000)
            rows.append((at * interval_s, 0, values))
        made = columns(rows, interval_s)
        _hours[interval_s, shape] = made.pop(0), {k: v for k, v in made.items() if k != 1}
    return _hours[interval_s, shape]


def trackers(count: int) -> list[Tracker]:
    """Return the trackers of a fleet."""
    return [Tracker(f"FLEET-{number:06}") for number in range(count)]


def register(store: Store, fleet: Sequence[Tracker]) -> None:
    """Register trackers, each with its key and its shipment."""
    with store.write() as tables:
        for tracker in fleet:
            name = tracker.name
            tables.registry.add_tracker(name, test=True)
            tables.registry.add_key(name, 1, KeyPair(uplink(name), downlink(name)))
            tables.registry.add_shipment(Shipment(tracker.shipment, name, None))


def hours(fleet: Sequence[Tracker], count: int) -> Iterator[Authentic]:
    """Yield what a fleet sends in so many hours, hour by hour."""
    for _ in range(count):
        for tracker in fleet:
            yield tracker.block()


def archive(store: Store, fleet: Sequence[Tracker], count: int) -> int:
    """Archive so many hours of a fleet, as they arrive; return how many blocks that were."""
    kept = 0
    for _ in range(count):
        for first in range(0, len(fleet), _BATCH):
            batch = fleet[first : first + _BATCH]
            blocks = [tracker.block() for tracker in batch]
            with store.write() as tables:
                kept += sum(tables.archive.add(blocks, batch[0].now_ms, derive=False))
    with store.write() as tables:
        tables.archive.rebuild()
    return kept
