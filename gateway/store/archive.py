"""The archive of sealed blocks and what is derived from it, within one transaction.

Statements are built once: composing them anew for each message costs more than running them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.engine import Connection

from coldtrail_gateway.contract import ranges
from coldtrail_gateway.contract.confirmation import MAX_RANGES, State
from coldtrail_gateway.store.dialect import DATABASES, Writers, insert_on, take_time, writers
from coldtrail_gateway.store.schema import blocks, kept, repeats, trackers


@dataclass(frozen=True, slots=True)
class Authentic:
    """A sealed block that verifies, to be archived.

    `digest` is the SHA-256 of `sealed`; `chain` and `number` are None where the payload does not
    even begin as a block.
    """

    tracker: str
    sealed: bytes
    digest: bytes
    key_version: int
    chain: bytes | None
    number: int | None


@dataclass(frozen=True, slots=True)
class Archived:
    """A sealed block as it was received, and how often these bytes came again."""

    id: int
    sealed: bytes
    digest: bytes
    key_version: int
    received_ms: int
    chain: bytes | None
    number: int | None
    repeats: int
    repeated_ms: int | None


_LOCK_ALL = sa.select(trackers.c.id).order_by(trackers.c.id).with_for_update()
_SEEN = (
    sa.update(trackers)
    .where(trackers.c.id == bindparam("b_id"))
    .values(
        last_seen_ms=bindparam("b_now_ms"),
        key_version=bindparam("b_key_version"),
        chain=sa.func.coalesce(bindparam("b_chain", type_=sa.LargeBinary), trackers.c.chain),
    )
)
_IN_CHAIN = sa.and_(kept.c.tracker == bindparam("b_tracker"), kept.c.chain == bindparam("b_chain"))
# Of the ranges below only the last can reach up to them; without that bound all would be read.
_below = kept.alias()
_REACHING = (
    sa.select(sa.func.max(_below.c.first))
    .where(
        _below.c.tracker == bindparam("b_tracker"),
        _below.c.chain == bindparam("b_chain"),
        _below.c.first <= bindparam("b_low"),
    )
    .scalar_subquery()
)
_TOUCHING = sa.and_(
    _IN_CHAIN,
    kept.c.first >= sa.func.coalesce(_REACHING, bindparam("b_low")),
    kept.c.first <= bindparam("b_high"),
    kept.c.last >= bindparam("b_low"),
)
_TOUCHED = sa.select(kept.c.first, kept.c.last).where(_TOUCHING)
_UNKEEP = sa.delete(kept).where(_IN_CHAIN, kept.c.first == bindparam("b_first"))
_KEEP = sa.insert(kept)
# In place, where PostgreSQL need not touch the index.
_EXTEND = (
    sa.update(kept)
    .where(_IN_CHAIN, kept.c.first == bindparam("b_first"))
    .values(last=bindparam("b_last"))
)
_NUMBERS = (
    sa.select(blocks.c.tracker, blocks.c.chain, blocks.c.number)
    .where(blocks.c.number.is_not(None))
    .distinct()
    .subquery()
)
# Numbers without a gap between them are equally far from their rank in the chain.
_ISLANDS = sa.select(
    _NUMBERS,
    (
        _NUMBERS.c.number
        - sa.func.row_number().over(
            partition_by=(_NUMBERS.c.tracker, _NUMBERS.c.chain), order_by=_NUMBERS.c.number
        )
    ).label("island"),
).subquery()
_REBUILD = sa.insert(kept).from_select(
    ["tracker", "chain", "first", "last"],
    sa.select(
        _ISLANDS.c.tracker,
        _ISLANDS.c.chain,
        sa.func.min(_ISLANDS.c.number),
        sa.func.max(_ISLANDS.c.number),
    ).group_by(_ISLANDS.c.tracker, _ISLANDS.c.chain, _ISLANDS.c.island),
)
# The index decides what is there already, and gives nothing back of that.
_ADD_BLOCK: Final = {
    name: insert_on(name, blocks)
    .on_conflict_do_nothing()
    .returning(blocks.c.tracker, blocks.c.digest)
    for name in DATABASES
}
_THIS = sa.and_(
    blocks.c.tracker == bindparam("b_tracker"), blocks.c.digest == bindparam("b_digest")
)
_IN_PLACE = sa.and_(
    blocks.c.chain == bindparam("b_chain"), blocks.c.number == bindparam("b_number")
)


def _again(database: str, where: sa.ColumnElement[bool]) -> Any:
    now_ms = bindparam("b_now_ms", type_=sa.BigInteger)
    one = sa.select(blocks.c.id, sa.literal_column("1"), now_ms).where(_THIS, where)
    count = insert_on(database, repeats).from_select(["block", "count", "last_ms"], one)
    return count.on_conflict_do_update(
        index_elements=["block"],
        set_={"count": repeats.c.count + 1, "last_ms": count.excluded.last_ms},
    )


_AGAIN: Final = {name: _again(name, _IN_PLACE) for name in DATABASES}
_UNREAD_AGAIN: Final = {name: _again(name, blocks.c.chain.is_(None)) for name in DATABASES}
_BEYOND = (
    sa.select(kept.c.first, kept.c.last)
    .where(_IN_CHAIN, kept.c.first > 1)
    .order_by(kept.c.first.desc())
    .limit(MAX_RANGES)
    .subquery()
)
# For a fork, the block received first.
_DIGEST = (
    sa.select(blocks.c.digest)
    .where(
        blocks.c.tracker == kept.c.tracker,
        blocks.c.chain == kept.c.chain,
        blocks.c.number == kept.c.last,
    )
    .order_by(blocks.c.id)
    .limit(1)
    .correlate(kept)
    .scalar_subquery()
)
_KEPT = sa.union_all(
    sa.select(kept.c.first, kept.c.last, _DIGEST).where(_IN_CHAIN, kept.c.first == 1),
    sa.select(_BEYOND, sa.null()),
)


def _of_repeats(column: sa.Column[int]) -> sa.ScalarSelect[int]:
    # No join: a planner may read the whole table for that.
    return sa.select(column).where(repeats.c.block == blocks.c.id).scalar_subquery()


_ARCHIVED: Final = (
    *(blocks.c[field.name] for field in fields(Archived) if field.name in blocks.c),
    sa.func.coalesce(_of_repeats(repeats.c.count), 0),
    _of_repeats(repeats.c.last_ms),
)
_OF: Final = (
    sa.select(*_ARCHIVED).where(blocks.c.tracker == bindparam("b_tracker")).order_by(blocks.c.id)
)
_ROWS: Final = sa.select(blocks.c.tracker, *_ARCHIVED).where(
    blocks.c.id.in_(bindparam("b_rows", expanding=True))
)
_REPEATED: Final = (
    sa.select(blocks.c.chain, blocks.c.number, repeats.c.count)
    .join(repeats, repeats.c.block == blocks.c.id)
    .where(blocks.c.tracker == bindparam("b_tracker"), blocks.c.chain.is_not(None))
)
_NEWEST = sa.select(sa.func.max(blocks.c.id))
_AT = sa.select(blocks.c.digest).where(blocks.c.id == bindparam("b_id"))
_RECEIVED = (
    sa.select(blocks.c.received_ms)
    .where(blocks.c.id > bindparam("b_after"))
    .order_by(blocks.c.id)
    .limit(1)
)
_AFTER = (
    sa.select(blocks.c.tracker, *_ARCHIVED)
    .where(blocks.c.id > bindparam("b_after"), blocks.c.id <= bindparam("b_last"))
    .order_by(blocks.c.id)
    .limit(bindparam("b_limit"))
)
# As they stand there: what somebody has put in a column must not stop whoever looks for that.
_STORED = (
    sa.select(
        *(
            sa.type_coerce(column, sa.types.NullType()).label(column.name)
            for column in (
                blocks.c.id,
                blocks.c.tracker,
                blocks.c.digest,
                blocks.c.sealed,
                blocks.c.key_version,
                blocks.c.received_ms,
                blocks.c.chain,
                blocks.c.number,
            )
        )
    )
    .where(blocks.c.id >= bindparam("b_first"))
    .order_by(blocks.c.id)
    .limit(bindparam("b_limit"))
)


class Archive:
    """The table of blocks, and of what is kept of each chain, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(
        self, arrivals: Sequence[Authentic], now_ms: int, *, derive: bool = True
    ) -> list[bool]:
        """Keep sealed blocks that verify; tell of each whether its bytes are new.

        The same bytes again are counted, not kept twice. Without `derive` nothing but the blocks
        is written; the rest follows when it is rebuilt.

        Raises:
            DataError: the database does not take what one of them holds.
        """
        first: dict[tuple[str, bytes], Authentic] = {}
        for arrival in arrivals:
            first.setdefault((arrival.tracker, arrival.digest), arrival)
        added = self._insert(list(first.values()), now_ms)
        again = []
        new = []
        for arrival in arrivals:
            identity = (arrival.tracker, arrival.digest)
            new.append(identity in added)
            if identity not in added:
                again.append(arrival)
            added.discard(identity)
        self._count_again(again, now_ms)
        if derive:
            self._derive([a for a, is_new in zip(arrivals, new, strict=True) if is_new])
            self._see(arrivals, now_ms)
        return new

    def _insert(self, arrivals: Sequence[Authentic], now_ms: int) -> set[tuple[str, bytes]]:
        """Insert the blocks that are not there yet; return tracker and digest of these."""
        rows = [
            {
                "tracker": arrival.tracker,
                "digest": arrival.digest,
                "sealed": arrival.sealed,
                "key_version": arrival.key_version,
                "received_ms": now_ms,
                "chain": arrival.chain,
                "number": arrival.number,
            }
            for arrival in arrivals
        ]
        if not rows:
            return set()
        statement = _ADD_BLOCK[self._connection.dialect.name]
        return {(row.tracker, row.digest) for row in self._connection.execute(statement, rows)}

    def _derive(self, arrivals: Sequence[Authentic]) -> None:
        """Add block numbers to the ranges kept of their chains."""
        numbers: dict[tuple[str, bytes], set[int]] = {}
        for arrival in arrivals:
            if arrival.chain is not None and arrival.number is not None:
                numbers.setdefault((arrival.tracker, arrival.chain), set()).add(arrival.number)
        gone, added, longer = [], [], []
        for (tracker, chain), new in numbers.items():
            chained = {"b_tracker": tracker, "b_chain": chain}
            spans = ranges.join((number, number) for number in new)
            touched = {span for run in spans for span in self._touched(tracker, chain, run)}
            before = dict(touched)
            after = dict(ranges.join([*touched, *spans]))
            gone += [{**chained, "b_first": first} for first in before.keys() - after.keys()]
            for first, last in after.items():
                if first not in before:
                    row = {"tracker": tracker, "chain": chain, "first": first, "last": last}
                    added.append(row)
                elif last != before[first]:
                    longer.append({**chained, "b_first": first, "b_last": last})
        self._execute_all(_UNKEEP, gone)
        self._execute_all(_KEEP, added)
        self._execute_all(_EXTEND, longer)

    def _touched(self, tracker: str, chain: bytes, run: ranges.Range) -> list[ranges.Range]:
        """Return what is kept of a chain and overlaps or adjoins a run of numbers."""
        first, last = run
        touching = {
            "b_tracker": tracker,
            "b_chain": chain,
            "b_low": first - 1,
            "b_high": last + 1,
        }
        return [(row.first, row.last) for row in self._connection.execute(_TOUCHED, touching)]

    def _see(self, arrivals: Sequence[Authentic], now_ms: int) -> None:
        """Note of each tracker what its newest message was."""
        newest = {arrival.tracker: arrival for arrival in arrivals}.values()
        chains = {a.tracker: a.chain for a in arrivals if a.chain is not None}
        rows = [
            {
                "b_id": arrival.tracker,
                "b_now_ms": now_ms,
                "b_key_version": arrival.key_version,
                "b_chain": chains.get(arrival.tracker),
            }
            for arrival in newest
        ]
        self._execute_all(_SEEN, rows)

    def _count_again(self, arrivals: Sequence[Authentic], now_ms: int) -> None:
        rows = [
            {
                "b_tracker": arrival.tracker,
                "b_chain": arrival.chain,
                "b_number": arrival.number,
                "b_digest": arrival.digest,
                "b_now_ms": now_ms,
            }
            for arrival in arrivals
        ]
        database = self._connection.dialect.name
        self._execute_all(_AGAIN[database], [row for row in rows if row["b_chain"] is not None])
        unread = [
            {name: row[name] for name in ("b_tracker", "b_digest", "b_now_ms")}
            for row in rows
            if row["b_chain"] is None
        ]
        self._execute_all(_UNREAD_AGAIN[database], unread)

    def state(self, tracker: str, chain: bytes) -> State:
        """Return what the confirmation document says about a chain."""
        found = self._connection.execute(_KEPT, {"b_tracker": tracker, "b_chain": chain})
        rows = sorted(tuple(row) for row in found)
        digest = rows[0][2] if rows and rows[0][0] == 1 else None
        return State(chain, tuple((first, last) for first, last, _ in rows), digest)

    def of(self, tracker: str) -> Iterator[Archived]:
        """Return every block of a tracker in the order of arrival."""
        rows = self._connection.execute(_OF, {"b_tracker": tracker})
        return (Archived(*row) for row in rows)

    def repeated(self, tracker: str) -> Iterator[tuple[bytes, int, int]]:
        """Return chain and number of each block whose bytes came again, and how often they did."""
        for chain, number, count in self._connection.execute(_REPEATED, {"b_tracker": tracker}):
            if count is not None:
                yield chain, number, count

    def rows(self, numbers: Collection[int]) -> list[tuple[str, Archived]]:
        """Return the blocks with these row numbers, each with its tracker."""
        found = self._connection.execute(_ROWS, {"b_rows": list(numbers)})
        return [(row[0], Archived(*row[1:])) for row in found]

    def after(self, row: int, last: int, limit: int) -> list[tuple[str, Archived]]:
        """Return up to `limit` blocks behind a row number, up to the last, each with its tracker.

        Not all that were committed need be among them: see `feed`.
        """
        some = {"b_after": row, "b_last": last, "b_limit": limit}
        return [(row[0], Archived(*row[1:])) for row in self._connection.execute(_AFTER, some)]

    def stored(self, first: int, limit: int) -> list[dict[str, Any]]:
        """Return up to `limit` blocks from a row number on, by column, without any conversion.

        For whoever looks for what was altered: a column may hold what is never written there.
        """
        some = {"b_first": first, "b_limit": limit}
        return [found._asdict() for found in self._connection.execute(_STORED, some)]

    def digest(self, row: int) -> bytes | None:
        """Return the SHA-256 of the block with a row number; None where there is none."""
        return self._connection.scalar(_AT, {"b_id": row})

    def received_ms(self, row: int) -> int | None:
        """Return when the first block behind a row number arrived; None where there is none."""
        return self._connection.scalar(_RECEIVED, {"b_after": row})

    def newest(self) -> int:
        """Return the highest row number; 0 where there is no block."""
        return self._connection.scalar(_NEWEST) or 0

    def writers(self) -> Writers:
        """Return the transactions that may still add blocks at this moment.

        Raises:
            StoreError: this server does not know them.
        """
        return writers(self._connection, blocks)

    def rebuild(self) -> None:
        """Derive again, from the blocks that are there, which numbers of each chain are kept."""
        take_time(self._connection)
        self._connection.execute(_LOCK_ALL)
        self._connection.execute(sa.delete(kept))
        self._connection.execute(_REBUILD)

    def _execute_all(self, statement: sa.Executable, rows: Sequence[Mapping[str, Any]]) -> None:
        # SQLAlchemy takes an empty list for a statement without parameters.
        if rows:
            self._connection.execute(statement, rows)
