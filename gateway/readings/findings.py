"""What is found about a tracker's blocks, from the tables; the words are the evidence's own.

How often bytes came again is not in here: that is no matter of which blocks there are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from itertools import pairwise
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.engine import Connection, Row

from coldtrail_gateway.contract import ranges
from coldtrail_gateway.contract.block import HASH_SIZE
from coldtrail_gateway.contract.events import EventType
from coldtrail_gateway.evidence import findings as evidence
from coldtrail_gateway.evidence.findings import Finding, Name
from coldtrail_gateway.evidence.timeline import Timeline
from coldtrail_gateway.readings import context, tables, times
from coldtrail_gateway.readings.rows import DAMAGED, UNDECODED, UNREAD

_blocks, _boots, _chains, _events = tables.blocks, tables.boots, tables.chains, tables.events

_REASONS: Final = {DAMAGED: Name.DAMAGED, UNDECODED: Name.UNDECODED, UNREAD: Name.UNREAD}

_MAX_FOUND: Final = 200
"""So many of the newest blocks with a flaw are looked at where findings are only named."""

_ORDER: Final = (
    sa.select(_chains)
    .where(_chains.c.tracker == bindparam("tracker"))
    .order_by(_chains.c.first_block)
)
_FOUND: Final = (
    sa.select(_blocks)
    .where(_blocks.c.tracker == bindparam("tracker"), tables.FOUND)
    .order_by(_blocks.c.id)
)
_NEWEST_FOUND: Final = _FOUND.order_by(None).order_by(_blocks.c.id.desc()).limit(_MAX_FOUND)
_FIRST: Final = (
    sa.select(_blocks.c.opening)
    .where(_blocks.c.chain == bindparam("chain"), _blocks.c.number == 1)
    .order_by(_blocks.c.id)
    .limit(1)
)
_FROM: Final = (
    sa.select(_blocks.c.id, _blocks.c.number, _blocks.c.digest, _blocks.c.previous)
    .add_columns(_blocks.c.booted)
    .where(_blocks.c.chain == bindparam("chain"), _blocks.c.number >= bindparam("number"))
    .order_by(_blocks.c.number, _blocks.c.id)
)
_IN_CHAIN: Final = sa.and_(_blocks.c.chain == bindparam("chain"), _blocks.c.boot.is_not(None))
_BEFORE: Final = (
    sa.select(_blocks.c.number, _blocks.c.context)
    .where(
        _IN_CHAIN,
        sa.tuple_(_blocks.c.number, _blocks.c.id)
        < sa.tuple_(bindparam("number"), bindparam("id")),
    )
    .order_by(_blocks.c.number.desc(), _blocks.c.id.desc())
    .limit(1)
)
_OPENING: Final = (
    sa.select(_blocks.c.context).where(_IN_CHAIN).order_by(_blocks.c.number, _blocks.c.id).limit(1)
)
_STOPS: Final = (
    sa.select(_events.c.fields)
    .join(_boots, _boots.c.id == _events.c.boot)
    .join(_chains, _chains.c.id == _boots.c.chain)
    .where(
        _chains.c.tracker == bindparam("tracker"),
        _events.c.type == int(EventType.SHIPMENT_STOP),
    )
)
_UNSURE: Final = (
    sa.select(_boots.c.id, _boots.c.number, _boots.c.doubt, _chains.c.chain)
    .join(_chains, _chains.c.id == _boots.c.chain)
    .where(
        _chains.c.tracker == bindparam("tracker"),
        sa.or_(_boots.c.doubt == 1, _boots.c.syncs == 1),
    )
    .order_by(_chains.c.first_block, _boots.c.number)
)
_SPAN: Final = sa.select(sa.func.min(_blocks.c.number), sa.func.max(_blocks.c.number)).where(
    _blocks.c.boot == bindparam("boot")
)


_THESE: Final[sa.BindParameter[str]] = bindparam("trackers", expanding=True)
_FLAWED: Final = (
    sa.select(_blocks.c.tracker).where(_blocks.c.tracker.in_(_THESE), tables.FOUND).distinct()
)
_CHAINS: Final = (
    sa.select(_chains.c.tracker)
    .where(_chains.c.tracker.in_(_THESE))
    .group_by(_chains.c.tracker)
    .having(sa.func.count() > 1)
)
_CLOCKS: Final = (
    sa.select(_chains.c.tracker, _boots.c.doubt)
    .join(_boots, _boots.c.chain == _chains.c.id)
    .where(_chains.c.tracker.in_(_THESE), sa.or_(_boots.c.doubt == 1, _boots.c.syncs == 1))
)


def names(connection: Connection, trackers: Collection[str]) -> dict[str, list[str]]:
    """Return by tracker the names of its findings; of many chains, of the newest."""
    if not trackers:
        return {}
    named = {"trackers": list(trackers)}
    told: dict[str, set[str]] = {tracker: set() for tracker in trackers}
    # Most trackers have one chain without any flaw: of these a clock may be unchecked at most.
    more = set(connection.scalars(_FLAWED, named)) | set(connection.scalars(_CHAINS, named))
    for tracker, doubt in connection.execute(_CLOCKS, named):
        told[tracker].add(str(Name.TIME_UNCHECKED))
        if doubt:
            more.add(tracker)
    for tracker in more:
        found = of(connection, tracker, newest=tables.MAX_CHAINS)
        told[tracker] = {str(finding.name) for finding in found}
    return {tracker: sorted(found) for tracker, found in told.items()}


def of(connection: Connection, tracker: str, *, newest: int | None = None) -> tuple[Finding, ...]:
    """Return all findings about a tracker, those of time among them, the gravest first.

    With `newest`, what is said of chains is of so many of the newest ones, and what is said of
    blocks is of the newest.
    """
    named = {"tracker": tracker}
    order = list(connection.execute(_ORDER, named))
    if newest is not None:
        order = order[-newest:]
    chains = {row.id: row.chain for row in order}
    found = list(connection.execute(_FOUND if newest is None else _NEWEST_FOUND, named))
    told: list[Finding] = list(_unreadable(found, chains))
    told += [_beginning(connection, row) for row in order[1:]]
    for row in order:
        own = [block for block in found if block.chain == row.id]
        told += _gaps(row.chain, own)
        told += _forks(connection, row, own)
        told += _splices(row.chain, own)
    told += _truncated(connection, tracker, order, found)
    told += _of_time(connection, tracker)
    return evidence.in_order(told)


def _unreadable(found: Iterable[Row[Any]], names: dict[int, bytes]) -> Iterator[Finding]:
    for row in found:
        if row.outcome in _REASONS:
            name = _REASONS[row.outcome]
            chain = names.get(row.chain, row.filed)
            yield evidence.unreadable(name, chain, row.number or 0, row.id, row.reason)


def _beginning(connection: Connection, chain: Row[Any]) -> Finding:
    opening = connection.scalar(_FIRST, {"chain": chain.id})
    return evidence.beginning(chain.chain, announced=bool(opening))


def _gaps(chain: bytes, own: Iterable[Row[Any]]) -> Iterator[Finding]:
    for row in own:
        if row.missing:
            yield evidence.gap(chain, (row.number - row.missing, row.number - 1))


def _forks(connection: Connection, chain: Row[Any], own: list[Row[Any]]) -> Iterator[Finding]:
    times_here = Counter(row.number for row in own if row.flaw is not None)
    forked = [number for number, count in times_here.items() if count > 1]
    for span in ranges.join((number, number) for number in forked):
        yield evidence.fork(chain.chain, span)
        if _is_restored(connection, chain.id, span[0]):
            yield evidence.restored(chain.chain, span)


def _is_restored(connection: Connection, chain: int, number: int) -> bool:
    """Tell whether one tracker went back in time, and not two reported at the same time."""
    following: dict[int, list[Row[Any]]] = {}
    for row in connection.execute(_FROM, {"chain": chain, "number": number}):
        following.setdefault(row.number, []).append(row)
    lines = []
    for start in following[number]:
        line = [start]
        while True:
            digest = line[-1].digest[:HASH_SIZE]
            after = following.get(line[-1].number + 1, ())
            own = [row for row in after if row.previous == digest]
            if not own:
                break
            line.append(own[0])
        lines.append(line)
    return all(
        later[0].booted and max(row.id for row in earlier) <= min(row.id for row in later)
        for earlier, later in pairwise(lines)
    )


def _splices(chain: bytes, own: Iterable[Row[Any]]) -> Iterator[Finding]:
    for row in own:
        if row.flaw == Name.SPLICE:
            yield evidence.splice(chain, row.number)


def _truncated(
    connection: Connection, tracker: str, order: list[Row[Any]], found: Iterable[Row[Any]]
) -> Iterator[Finding]:
    chains = {row.id: row.chain for row in order}
    left = [
        (row.abandoned, chains[row.chain], _before(connection, row.chain, row.number, row.id)[0])
        for row in found
        if row.abandoned is not None and row.chain in chains
    ]
    left += _between(connection, order)
    if not left:
        return
    stopped = {
        context.loaded(fields)["shipment"]
        for fields in connection.scalars(_STOPS, {"tracker": tracker})
    }
    for shipment, chain, number in left:
        if shipment not in stopped:
            yield evidence.truncated(chain, shipment, number)


def _between(connection: Connection, order: list[Row[Any]]) -> Iterator[tuple[str, bytes, int]]:
    """Yield shipments that were under way when a chain ended and the next began otherwise."""
    ended: tuple[str | None, bytes, int] | None = None
    for chain in order if len(order) > 1 else ():
        opening = connection.scalar(_OPENING, {"chain": chain.id})
        if opening is None:
            continue
        first = context.read(opening).shipment
        if ended is not None and ended[0] is not None and ended[0] != first:
            yield ended[0], ended[1], ended[2]
        number, text = _before(connection, chain.id, 2**62, 0)
        ended = context.read(text).shipment, chain.chain, number


def _before(connection: Connection, chain: int, number: int, row: int) -> tuple[int, str]:
    """Return number and context of the decoded block before a place in a chain."""
    named = {"chain": chain, "number": number, "id": row}
    found = connection.execute(_BEFORE, named).one()
    return found.number, found.context


def _of_time(connection: Connection, tracker: str) -> Iterator[Finding]:
    for boot in connection.execute(_UNSURE, {"tracker": tracker}).all():
        first, last = connection.execute(_SPAN, {"boot": boot.id}).one()
        line: Timeline = times.timeline(connection, boot.id, doubt=bool(boot.doubt))
        yield from evidence.of_time(boot.chain, boot.number, (first, last), line)
