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
    sa.select(_blocks.c.id, _blocks.c.context)
    .where(
        _blocks.c.shipment == bindparam("shipment"),
        _blocks.c.chain == bindparam("chain"),
    )
    .order_by(_blocks.c.number.desc(), _blocks.c.id.desc())
    .limit(1)
)
_HEAD: Final = (
    sa.select(_blocks.c.context)
    .where(_blocks.c.chain == bindparam("chain"), _blocks.c.boot.is_not(None))
    .order_by(_blocks.c.number.desc(), _blocks.c.id.desc())
    .limit(1)
)
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
        self._heads: dict[int, tuple[Node, Context]] = {}
        self._ends: dict[int, Clock] = {}
        self._doubt: set[int] = set()
        self._lasts: dict[int, tuple[int, Node, Context]] = {}
        self._ask: set[int] = set()
        self._alarms: Counter[int] = Counter()

    def found(self, tracker: str) -> None:
        """Note that a tracker's findings may have changed."""
        self._found.add(tracker)

    def reordered(self, tracker: str) -> None:
        """Note that another chain may be the tracker's newest."""
        self._reordered.add(tracker)

    def judged(self, chain: int, node: Node, made: Step, following: Node | None) -> None:
        """Note what a block leaves; `following` is the next one that is decoded."""
        boot, shipment = node.boot, node.shipment
        if boot is None or shipment is None:
            return
        if following is None:
            self._heads[chain] = node, made.context
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
        """Write the summaries of what was touched into the registers."""
        for tracker in self._reordered:
            self._order(self._trackers.get((tracker,))[0])
        for boot in self._ends.keys() | self._doubt:
            self._refresh_boot(self._boots.one(boot))
        for chain, (_, left) in self._heads.items():
            self._refresh_present(self._chains.one(chain), left)
        for shipment, (chain, node, left) in self._lasts.items():
            row = self._shipments.one(shipment)
            owner = self._trackers.get((row["tracker"],))[0]
            if owner["chains"] > 1:
                self._ask.add(shipment)
            else:
                self._summarise(row, chain, node.id, left, len(_standing(left)))
        for shipment in self._ask:
            self._find_last(self._shipments.one(shipment))
        for shipment, more in self._alarms.items():
            if more:
                row = self._shipments.one(shipment)
                self._shipments.change(row, alarms=row["alarms"] + more)
        self._alarms.clear()

    def refresh_findings(self) -> None:
        """Name the findings of trackers where they may have changed; all rows are written."""
        if self._found:
            for tracker, names in findings.names(self._connection, self._found).items():
                owner, _ = self._trackers.get((tracker,))
                self._trackers.change(owner, findings=json.dumps(names))
        self._found.clear()

    def _order(self, owner: Row) -> None:
        chains = self._chains.where(tracker=owner["id"])
        newest = max(chains, key=lambda row: row["first_block"])
        if len(chains) > 1:
            self._found.add(owner["id"])
            self._ask |= {row["id"] for row in self._shipments.where(tracker=owner["id"])}
            for chain in chains:
                if chain["id"] not in self._heads:
                    self._refresh_present(chain, None)
        self._trackers.change(owner, chain=newest["id"])

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
            syncs=min(len(times.known(self._connection, boot["id"])), 2),
            clock_t_ms=1000 * newest if placed and newest is not None else None,
            clock_utc_ms=placed.utc_ms if placed else None,
            clock_uncertainty_ms=placed.uncertainty_ms if placed else None,
        )

    def _refresh_present(self, chain: Row, left: Context | None) -> None:
        """Note which shipment a tracker named last: in its newest chain that names one."""
        owner = self._trackers.get((chain["tracker"],))[0]
        named = left.named if left else None
        if owner["chains"] > 1:
            chains = self._chains.where(tracker=owner["id"])
            named = None
            for row in sorted(chains, key=lambda row: -int(row["first_block"])):
                named = self._head(row["id"]).named
                if named is not None:
                    break
        present = self._shipments_id(owner["id"], named or NOBODY)
        self._trackers.change(owner, present=present)

    def _head(self, chain: int) -> Context:
        if chain in self._heads:
            return self._heads[chain][1]
        text = self._connection.scalar(_HEAD, {"chain": chain})
        return context.read(text) if text else Context()

    def _shipments_id(self, tracker: str, shipment: str) -> int:
        row: int = self._shipments.get((tracker, shipment))[0]["id"]
        return row

    def _find_last(self, shipment: Row) -> None:
        """Summarise a shipment whose last block has to be looked for."""
        chains = self._chains.where(tracker=shipment["tracker"])
        found: tuple[int, int, Context] | None = None
        standing = 0
        for chain in sorted(chains, key=lambda row: -int(row["first_block"])):
            named = {"shipment": shipment["id"], "chain": chain["id"]}
            last = self._connection.execute(_LAST, named).one_or_none()
            if last is not None:
                left = context.read(last.context)
                standing += len(_standing(left))
                found = found or (chain["id"], last.id, left)
        if found:
            self._summarise(shipment, *found, standing)

    def _summarise(
        self, shipment: Row, chain: int, block: int, left: Context, standing: int
    ) -> None:
        newest, position, cell = left.newest, left.position, left.cell
        readings: dict[str, Any] = {}
        for at in _readings(left):
            name = SAMPLED[at.channel].label
            readings |= {name: at.value, f"{name}_boot": at.boot, f"{name}_t": at.t}
        self._shipments.change(
            shipment,
            chain=chain,
            last_block=block,
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
