"""What must be known of the blocks before one to judge it: small, and of one size for ever.

Each block is judged in the context that the block before it left. It leaves one in turn, and that
is kept with it. So a late block is judged where it belongs, and the ones after it again, until one
leaves the same context as before: beyond that nothing can have changed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from coldtrail_gateway.contract.block import Sync

MAX_ALARMS: Final = 64
"""Alarms that are remembered; a tracker has at most 16 rules."""


class Newest(NamedTuple):
    """The newest sample that is vouched for: its boot, t in s, interval in force, readings."""

    boot: int
    t: int
    interval: int
    status: int
    values: tuple[int | None, ...]


class Reading(NamedTuple):
    """The newest reading of a channel that the newest sample has none of."""

    channel: int
    boot: int
    t: int
    value: int


class Alarm(NamedTuple):
    """An alarm that stands, or has ended and may still be withdrawn by its rule's next end."""

    rule: int
    block: int
    place: int
    standing: int


class Position(NamedTuple):
    """Where the tracker was last: 1e-6 degree, m, the contract's source."""

    boot: int
    t: int
    latitude: int
    longitude: int
    uncertainty_m: int
    source: int


class Cell(NamedTuple):
    """The cell that served last: country, network, area, cell."""

    boot: int
    t: int
    mcc: int
    mnc: int
    area: int
    id: int


class Clock(NamedTuple):
    """What the clock syncs of the boot have said so far (`clock.py`)."""

    newest: Sync | None = None
    telling: Sync | None = None
    several: int = 0
    lowest: int | None = None
    highest: int | None = None
    arrived_t: int = -1
    arrived: int | None = None


NO_SYNC: Final = Clock()
"""Nothing has been said of the time yet."""


@dataclass(frozen=True, slots=True)
class Context:
    """The context that a block leaves.

    `boot`: of the block; `highest_boot`: so far. `shipment`: of the block; `named`: the last that
    was named. `stopped`: whether the stop of `shipment` was reported. `acknowledged`: whether
    somebody has seen the shipment's alarms. `faults`: subject and code of those that stand.
    `flight`: why radio and GNSS are off; 0: they are not. `profile`: the digest of the one in
    force.
    """

    boot: int = 0
    highest_boot: int = 0
    shipment: str | None = None
    named: str | None = None
    stopped: int = 0
    newest: Newest | None = None
    older: tuple[Reading, ...] = ()
    alarms: tuple[Alarm, ...] = ()
    acknowledged: int = 0
    faults: tuple[tuple[int, int], ...] = ()
    flight: int = 0
    profile: str | None = None
    position: Position | None = None
    cell: Cell | None = None
    clock: Clock = NO_SYNC

    def text(self) -> str:
        """Return it as text, by which two contexts are compared."""
        fields: list[Any] = [getattr(self, name) for name in self.__slots__]
        newest, telling, *bounds = self.clock
        fields[-1] = [_sync(newest), _sync(telling), *bounds]
        return json.dumps(fields, separators=(",", ":"))


def read(text: str) -> Context:
    """Return the context that a text says."""
    boot, highest, shipment, named, stopped, newest, older, alarms, *rest = json.loads(text)
    acknowledged, faults, flight, profile, position, cell, (last, telling, *bounds) = rest
    if newest:
        newest[4] = tuple(newest[4])
    return Context(
        boot,
        highest,
        shipment,
        named,
        stopped,
        Newest(*newest) if newest else None,
        tuple(Reading(*reading) for reading in older),
        tuple(Alarm(*alarm) for alarm in alarms),
        acknowledged,
        tuple((subject, code) for subject, code in faults),
        flight,
        profile,
        Position(*position) if position else None,
        Cell(*cell) if cell else None,
        Clock(Sync(*last) if last else None, Sync(*telling) if telling else None, *bounds),
    )


def loaded(fields: str) -> dict[str, Any]:
    """Return an event's fields from its row."""
    named: dict[str, Any] = json.loads(fields)
    return named


def _sync(sync: Sync | None) -> list[int] | None:
    return [sync.t_ms, sync.utc_ms, sync.uncertainty_ms, sync.source] if sync else None
