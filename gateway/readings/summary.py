"""Keeps what is known of each shipment, boot and tracker as a whole.

A shipment's summary is the context that its last block leaves. That block is nearly always the one
that was just judged; only where another one may be the last, the tables are asked.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.engine import Connection

from coldtrail_gateway.contract import words
from coldtrail_gateway.contract.events import SAMPLED
from coldtrail_gateway.readings import context, findings, tables, times
from coldtrail_gateway.readings.context import Clock, Context, Reading
from coldtrail_gateway.readings.line import Node
from coldtrail_gateway.readings.register import Register, Row
from coldtrail_gateway.readings.step import Step
from coldtrail_gateway.readings.tables import NOBODY

_ARRIVAL: Final = 5  # cause of an alarm's end

_blocks = tables.blocks
_LAST: Final = (
    sa.select(_blocks.c.id, _blocks.c.number, _blocks.c.chain, _blocks.c.context)
    .where(
        _blocks.c.shipment == bindparam("shipment"),
        _blocks.c.chain == bindparam("chain"),
    )
    .order_by(_blocks.c.number.desc(), _blocks.c.id.desc())
    .limit(1)
)
_CHAINS: Final = (
    sa.select(tables.chains.c.id)
    .where(tables.chains.c.tracker == bindparam("tracker"))
    .order_by(tables.chains.c.first_block.desc())
    .limit(tables.MAX_CHAINS)
)
_LAST_OF_ALL: Final = (
    sa.select(_blocks.c.id, _blocks.c.number, _blocks.c.chain, _blocks.c.context)
    .join(tables.chains, tables.chains.c.id == _blocks.c.chain)
    .where(_blocks.c.shipment == bindparam("shipment"))
    .order_by(tables.chains.c.first_block.desc(), _blocks.c.number.desc(), _blocks.c.id.desc())
    .limit(1)
)
_ships = tables.shipments
_RANKED: Final = (
    sa.select(
        _ships.c.tracker,
        _ships.c.id,
        sa.func.row_number()
        .over(
            partition_by=_ships.c.tracker,
            order_by=(
                sa.case((_ships.c.shipment == NOBODY, 1), else_=0),
                tables.chains.c.first_block.desc(),
                _ships.c.last_number.desc(),
                _ships.c.last_block.desc(),
            ),
        )
        .label("place"),
    )
    .join(tables.chains, tables.chains.c.id == _ships.c.chain)
    .where(_ships.c.tracker.in_(bindparam("trackers", expanding=True)))
    .subquery()
)
_PRESENT: Final = sa.select(_RANKED.c.tracker, _RANKED.c.id).where(_RANKED.c.place == 1)
_END: Final = (
    sa.select(_blocks.c.context)
    .where(_blocks.c.boot == bindparam("boot"))
    .order_by(_blocks.c.number.desc(), _blocks.c.id.desc())
    .limit(1)
)
_DOUBT: Final = (
    sa.select(_blocks.c.id)
    .where(_blocks.c.boot == bindparam("boot"), _blocks.c.doubt == 1)
    .limit(1)
)
_NEWEST_T: Final = sa.select(sa.func.max(_blocks.c.last_t)).where(
    _blocks.c.boot == bindparam("boot"), _blocks.c.flaw.is_(None)
)
_starts, _ends = tables.alarm_starts, tables.alarm_ends
_COUNTED: Final = (
    sa.select(_starts.c.shipment, sa.func.count())
    .where(_starts.c.block.in_(bindparam("blocks", expanding=True)))
    .group_by(_starts.c.shipment)
)
_WITHDRAWN: Final = (
    sa.select(_ends.c.shipment, -sa.func.count())
    .where(
        _ends.c.block.in_(bindparam("blocks", expanding=True)),
        _ends.c.cause == _ARRIVAL,
        _ends.c.start_block.is_not(None),
    )
    .group_by(_ends.c.shipment)
)


class Summaries:
    """What a batch has touched, to be summarised once all its blocks are in the tables."""

    def __init__(
        self,
        connection: Connection,
        trackers: Register,
        chains: Register,
        boots: Register,
        shipments: Register,
    ) -> None:
        self._connection = connection
        self._trackers = trackers
        self._chains = chains
        self._boots = boots
        self._shipments = shipments
        self._found: set[str] = set()
        self._reordered: set[str] = set()
        self._owners: set[str] = set()
        self._ends: dict[int, Clock] = {}
        self._doubt: set[int] = set()
        self._lasts: dict[int, tuple[int, Node, Context]] = {}
        self._ask: set[int] = set()
        self._alarms: Counter[int] = Counter()

    def found(self, tracker: str) -> None:
        """Note that a tracker's findings may have changed."""
        self._found.add(tracker)

    def reordered(self, tracker: str) -> None:
        """Note that of two chains of a tracker another one may be the newer."""
        self._reordered.add(tracker)

    def judged(self, chain: int, node: Node, made: Step, following: Node | None) -> None:
        """Note what a block leaves; `following` is the next one that is decoded."""
        boot, shipment = node.boot, node.shipment
        if boot is None or shipment is None:
            return
        self._owners.add(self._shipments.one(shipment)["tracker"])
        if following is None:
            self._lasts[shipment] = chain, node, made.context
            self._ask.discard(shipment)
        elif following.shipment != shipment:
            self._lasts.pop(shipment, None)
            self._ask.add(shipment)
        if following is None or following.boot != boot:
            self._ends[boot] = made.context.clock
        if made.doubt or self._boots.one(boot)["doubt"]:
            self._doubt.add(boot)
        withdrawn = (words.is_withdrawal(end.event) for end in made.ends if end.start)
        self._alarms[shipment] += len(made.starts) - sum(withdrawn)

    def forget(self, blocks: Collection[int]) -> None:
        """Take away the alarms that blocks have raised and withdrawn, by what is in the tables."""
        for statement in (_COUNTED, _WITHDRAWN):
            for shipment, number in self._connection.execute(statement, {"blocks": blocks}):
                self._alarms[shipment] -= number

    def refresh(self) -> None:
        """Summarise boots and shipments; blocks and chains are written."""
        for tracker in self._reordered:
            self._found.add(tracker)
            self._ask |= {row["id"] for row in self._shipments.where(tracker=tracker)}
        for boot in self._ends.keys() | self._doubt:
            self._refresh_boot(self._boots.one(boot))
        for shipment, (chain, node, left) in self._lasts.items():
            row = self._shipments.one(shipment)
            owner, _ = self._trackers.get((row["tracker"],))
            if owner["chains"] > 1:
                self._ask.add(shipment)
            else:
                standing = len(_standing(left))
                self._summarise(row, chain, (node.number, node.id), left, standing)
        for shipment in self._ask:
            self._find_last(self._shipments.one(shipment))
        for shipment, more in self._alarms.items():
            if more:
                row = self._shipments.one(shipment)
                self._shipments.change(row, alarms=row["alarms"] + more)
        self._alarms.clear()

    def refresh_trackers(self) -> None:
        """Note each tracker's present shipment and findings; all else is written."""
        named = {"trackers": list(self._owners)}
        for tracker, shipment in self._connection.execute(_PRESENT, named).all():
            self._trackers.change(self._trackers.get((tracker,))[0], present=shipment)
        for tracker, names in findings.names(self._connection, self._found).items():
            self._trackers.change(self._trackers.get((tracker,))[0], findings=json.dumps(names))
        self._owners.clear()
        self._found.clear()

    def _refresh_boot(self, boot: Row) -> None:
        tracker = self._chains.one(boot["chain"])["tracker"]
        before = boot["syncs"], boot["doubt"]
        named = {"boot": boot["id"]}
        doubt = boot["id"] in self._doubt and self._connection.scalar(_DOUBT, named) is not None
        if doubt:
            self._refresh_doubtful(boot)
        else:
            clock = self._ends.get(boot["id"])
            if clock is None:
                clock = context.read(self._connection.scalar(_END, named) or "").clock
            told = clock.telling
            self._boots.change(
                boot,
                syncs=0 if clock.newest is None else 1 + clock.several,
                clock_t_ms=told.t_ms if told else None,
                clock_utc_ms=told.utc_ms if told else None,
                clock_uncertainty_ms=told.uncertainty_ms if told else None,
            )
        self._boots.change(boot, doubt=int(doubt))
        if doubt or before != (boot["syncs"], boot["doubt"]):
            self._found.add(tracker)

    def _refresh_doubtful(self, boot: Row) -> None:
        named = {"boot": boot["id"]}
        line = times.timeline(self._connection, boot["id"], doubt=True)
        newest = self._connection.scalar(_NEWEST_T, named)
        placed = line.place(1000 * newest) if newest is not None else None
        self._boots.change(
            boot,
            syncs=min(len(times.first(self._connection, boot["id"])), 2),
            clock_t_ms=1000 * newest if placed and newest is not None else None,
            clock_utc_ms=placed.utc_ms if placed else None,
            clock_uncertainty_ms=placed.uncertainty_ms if placed else None,
        )

    def _find_last(self, shipment: Row) -> None:
        """Summarise a shipment whose last block has to be looked for.

        An alarm stands also where the log was formatted anew meanwhile.
        """
        chains = self._connection.scalars(_CHAINS, {"tracker": shipment["tracker"]}).all()
        of = {"shipment": shipment["id"]}
        lasts = [
            last
            for chain in chains
            if (last := self._connection.execute(_LAST, of | {"chain": chain}).one_or_none())
        ] or self._connection.execute(_LAST_OF_ALL, of).all()
        if lasts:
            left = [context.read(last.context) for last in lasts]
            standing = sum(len(_standing(each)) for each in left)
            at = lasts[0].number, lasts[0].id
            self._summarise(shipment, lasts[0].chain, at, left[0], standing)

    def _summarise(
        self, shipment: Row, chain: int, last: tuple[int, int], left: Context, standing: int
    ) -> None:
        newest, position, cell = left.newest, left.position, left.cell
        readings: dict[str, Any] = {}
        for at in _readings(left):
            name = SAMPLED[at.channel].label
            readings |= {name: at.value, f"{name}_boot": at.boot, f"{name}_t": at.t}
        self._shipments.change(
            shipment,
            chain=chain,
            last_number=last[0],
            last_block=last[1],
            standing=standing,
            acknowledged=left.acknowledged,
            faults=json.dumps(left.faults, separators=(",", ":")),
            status=newest.status if newest else None,
            flight=left.flight,
            profile_in_force=left.profile,
            latitude=position.latitude if position else None,
            longitude=position.longitude if position else None,
            position_uncertainty_m=position.uncertainty_m if position else None,
            position_source=position.source if position else None,
            position_boot=position.boot if position else None,
            position_t=position.t if position else None,
            cell="-".join(map(str, cell[2:])) if cell else None,
            cell_boot=cell.boot if cell else None,
            cell_t=cell.t if cell else None,
            **_NO_READINGS | readings,
        )


_NO_READINGS: Final[dict[str, Any]] = {
    f"{name}{part}": None for name in tables.CHANNELS for part in ("", "_boot", "_t")
}


def _standing(left: Context) -> list[int]:
    return [alarm.rule for alarm in left.alarms if alarm.standing]


def _readings(left: Context) -> list[Reading]:
    """Return the newest reading of each channel."""
    found = list(left.older)
    if left.newest is not None:
        boot, t, _, _, values = left.newest
        found += [
            Reading(channel, boot, t, value)
            for channel, value in enumerate(values)
            if value is not None
        ]
    return found
