"""Trackers with everything that can happen to their records, for the tests of the read model."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any, Final

from tests.support.blocks.blockmaker import Maker, Row, hash16
from tests.support.blocks.read_model import Kept

START: Final = 1_767_225_600  # 2026-01-01
SHIPMENTS: Final = ("S-1", "S-2", None)


@dataclass
class Tracker:
    """A tracker that goes through a random history; what it sends comes into `sent`."""

    rng: random.Random
    name: str
    sent: list[Kept] = field(default_factory=list)
    now: int = 0  # s since the start
    booted: int = 0  # … at which this boot began
    synced: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        self.maker = Maker(self.name, chain=self.rng.randbytes(8), shipment=None)
        self.boots = 1
        self.events: list[tuple[Any, ...]] = [self._boot()]

    def _boot(self) -> tuple[Any, ...]:
        return (3, 0, self.maker.boot, self.rng.randint(1, 5), 0, "1.0")

    def _t(self) -> int:
        return self.now - self.booted

    def live(self, steps: int) -> None:
        """Go through so many random events."""
        for _ in range(steps):
            happens = self.rng.choice(HAPPENINGS)
            happens(self)
        self.seal()

    def seal(self) -> None:
        """Seal what there is, and let it arrive: in time, late, or not at all."""
        rows = self.samples()
        if not rows and not self.events:
            return
        events, self.events = self.events, []
        sync = self.synced if self.rng.random() < 0.5 else None
        block = self.maker.block(rows, events[:64], sync)
        if self.rng.random() < 0.85:
            self.arrive(block)

    def arrive(self, block: bytes) -> None:
        late = self.rng.choice((1, 1, 1, 30, 60_000, -20))
        self.sent.append((self.name, block, 1000 * (START + self.now + late)))

    def samples(self) -> list[Row]:
        """Return samples until now, with gaps and absent readings."""
        rows: list[Row] = []
        for _ in range(self.rng.randint(0, 4)):
            self.now += self.rng.choice((300, 300, 300, 451, 2000, 0))
            values = tuple(self.rng.choice((None, v, v, v + 300)) for v in (500, 2000, 450, 0))
            status = self.rng.choice((0, 0, 0, 3, 14, 15 << 4))
            rows.append((self._t(), status, (*values, 3600, None, 5, 990)))
        return rows

    def reset(self) -> None:
        """Boot again, within the same chain."""
        self.seal()
        self.boot_again()

    def boot_again(self) -> None:
        """Begin another boot, with nothing sealed before it."""
        self.boots += 1
        self.maker.boot = self.boots
        self.now += self.rng.choice((1, 3600))
        self.booted, self.synced = self.now, None
        self.events.append(self._boot())

    def sync(self) -> None:
        """Hear a time: right, or sometimes wrong."""
        wrong = self.rng.choice((0, 0, 0, 0, 0, 7200, -86_400, 3))
        uncertainty = self.rng.choice((50, 500, 1500))
        told = (self._t(), 250, START + self.now + wrong, 300, uncertainty, self.rng.randint(1, 4))
        self.synced = told
        self.events.append((self.rng.choice((4, 4, 4, 22)), *told))

    def alarm(self) -> None:
        """Raise an alarm."""
        rule = self.rng.randint(1, 2)
        self.events.append((5, self._t(), rule, 2, 0, 3, 800, 600, 812, 650))

    def end(self) -> None:
        """End one, whether or not it stands."""
        cause = self.rng.choice((1, 2, 5))
        self.events.append((6, self._t(), self.rng.randint(1, 2), cause, 801, 830, 1250))

    def fault(self) -> None:
        """Begin or end a fault."""
        code = self.rng.randint(1, 3)
        self.events.append((13, self._t(), self.rng.randint(0, 9), code, self.rng.randint(0, 1)))

    def somewhere(self) -> None:
        """Find a position or a cell, take off or land."""
        self.events.append((2, self._t(), self.rng.randint(-90, 90), 7, 12, 1))
        self.events.append((19, self._t(), 234, 15, 4660, self.rng.randint(1, 9), 1, -97))
        self.events.append((12, self._t(), self.rng.randint(0, 1), 1))

    def acknowledged(self) -> None:
        """Carry out a command: the alarms have been seen."""
        self.events.append((17, self._t(), 1_767_225_700_000, 2, 1))

    def configured(self) -> None:
        """Take another profile."""
        self.events.append((7, self._t(), "p", self.rng.choice((bytes(8), b"12345678"))))

    def travels(self) -> None:
        """Begin another shipment, or end the one under way, with its stop or without."""
        if self.maker.shipment and self.rng.random() < 0.7:
            self.events.append((11, self._t(), self.maker.shipment, 1))
        self.seal()
        self.maker.shipment = self.rng.choice(SHIPMENTS)
        if self.maker.shipment:
            self.events.append((10, self._t(), self.maker.shipment))

    def formatted(self) -> None:
        """Lose the log: a new chain."""
        self.seal()
        old = self.maker
        self.maker = Maker(self.name, chain=self.rng.randbytes(8), shipment=old.shipment)
        self.boots += 1
        self.maker.boot = self.boots
        self.booted, self.synced = self.now, None
        if self.rng.random() < 0.7:
            self.events.append(self._boot())

    def cloned(self) -> None:
        """Report beside a copy, or go back to an old image of the log."""
        self.seal()
        copy, now, booted = self.maker.copy(), self.now, self.booted
        for _ in range(self.rng.randint(1, 3)):
            self.fault()
            self.seal()
        self.maker, self.now, self.booted = copy, now, booted
        if self.rng.random() < 0.5:
            self.boot_again()
        self.fault()
        self.seal()

    def spliced(self) -> None:
        """Name another hash than that of the block before."""
        self.seal()
        self.maker.previous = hash16(b"another")
        self.fault()
        self.seal()

    def incomprehensible(self) -> None:
        """Send something that this version does not know."""
        self.seal()
        payload = self.maker.payload([], [self._boot()], k11=1)
        self.arrive(self.maker.seal(payload))


HAPPENINGS: Final = (
    *(Tracker.seal,) * 6,
    *(Tracker.sync,) * 3,
    *(Tracker.alarm, Tracker.end) * 2,
    Tracker.reset,
    Tracker.fault,
    Tracker.somewhere,
    Tracker.acknowledged,
    Tracker.configured,
    Tracker.travels,
    Tracker.travels,
    Tracker.formatted,
    Tracker.cloned,
    Tracker.spliced,
    Tracker.incomprehensible,
)


def scene(rng: random.Random, steps: int = 25) -> list[Kept]:
    """Return the blocks of two trackers in an order in which they may have arrived."""
    sent: list[Kept] = []
    for name in ("CT-1", "CT-2"):
        tracker = Tracker(rng, name)
        tracker.live(rng.randint(1, steps))
        sent += tracker.sent
    disorder = rng.choice((0, 3, 50))
    places = {id(kept): at + rng.randint(0, disorder) for at, kept in enumerate(sent)}
    seen: dict[bytes, Kept] = {}
    for kept in sorted(sent, key=lambda kept: places[id(kept)]):
        seen.setdefault(kept[1], kept)
    return list(seen.values())


def cuts(rng: random.Random, items: list[Any]) -> list[list[Any]]:
    """Return the same items, in their order, in batches."""
    batches: list[list[Any]] = []
    at = 0
    while at < len(items):
        size = rng.choice((1, 1, 2, 5, 100))
        batches.append(items[at : at + size])
        at += size
    return batches
