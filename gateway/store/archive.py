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
from coldtrail_gateway.store.schema import blocks, kept, trackers


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
_KNOWN = sa.select(blocks.c.tracker, blocks.c.digest).where(
    blocks.c.digest.in_(bindparam("digests", expanding=True))
)
_AGAIN = (
    sa.update(blocks)
    .where(blocks.c.tracker == bindparam("b_tracker"), blocks.c.digest == bindparam("b_digest"))
    .values(repeats=blocks.c.repeats + 1, repeated_ms=bindparam("b_now_ms"))
)
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
_TOUCHING = sa.and_(
    _IN_CHAIN, kept.c.first <= bindparam("b_high"), kept.c.last >= bindparam("b_low")
)
_TOUCHED = sa.select(kept.c.first, kept.c.last).where(_TOUCHING)
_UNKEEP = sa.delete(kept).where(_TOUCHING)
_KEEP = sa.insert(kept)
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
_ADD_BLOCK = sa.insert(blocks)
_BEYOND = (
    sa.select(kept.c.first, kept.c.last)
    .where(_IN_CHAIN, kept.c.first > 1)
    .order_by(kept.c.first.desc())
    .limit(MAX_RANGES)
    .subquery()
)
_KEPT = sa.union_all(
    sa.select(kept.c.first, kept.c.last).where(_IN_CHAIN, kept.c.first == 1), sa.select(_BEYOND)
)
# For a fork, the block received first.
_DIGEST = (
    sa.select(blocks.c.digest)
    .where(
        blocks.c.tracker == bindparam("tracker"),
        blocks.c.chain == bindparam("chain"),
        blocks.c.number == bindparam("number"),
    )
    .order_by(blocks.c.id)
    .limit(1)
)
_ARCHIVED: Final = tuple(blocks.c[field.name] for field in fields(Archived))


class Archive:
    """The table of blocks, and of what is kept of each chain, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, arrivals: Sequence[Authentic], now_ms: int) -> list[bool]:
        """Keep sealed blocks that verify; tell of each whether its bytes are new.

        The same bytes again are counted, not kept twice.
        """
        digests = [arrival.digest for arrival in arrivals]
        rows = self._connection.execute(_KNOWN, {"digests": digests}) if digests else ()
        known = {(row.tracker, row.digest) for row in rows}
        new: list[bool] = []
        for arrival in arrivals:
            identity = (arrival.tracker, arrival.digest)
            new.append(identity not in known)
            known.add(identity)
        self._insert_blocks([a for a, is_new in zip(arrivals, new, strict=True) if is_new], now_ms)
        self._count_again(
            [a for a, is_new in zip(arrivals, new, strict=True) if not is_new], now_ms
        )
        newest = {arrival.tracker: arrival for arrival in arrivals}.values()
        chains = {a.tracker: a.chain for a in arrivals if a.chain is not None}
        self._execute_all(
            _SEEN,
            [
                {
                    "b_id": arrival.tracker,
                    "b_now_ms": now_ms,
                    "b_key_version": arrival.key_version,
                    "b_chain": chains.get(arrival.tracker),
                }
                for arrival in newest
            ],
        )
        return new

    def _insert_blocks(self, arrivals: Sequence[Authentic], now_ms: int) -> None:
        rows = [
            {
                "tracker": arrival.tracker,
                "digest": arrival.digest,
                "sealed": arrival.sealed,
                "key_version": arrival.key_version,
                "received_ms": now_ms,
                "chain": arrival.chain,
                "number": arrival.number,
                "repeats": 0,
            }
            for arrival in arrivals
        ]
        self._execute_all(_ADD_BLOCK, rows)
        numbers: dict[tuple[str, bytes], set[int]] = {}
        for arrival in arrivals:
            if arrival.chain is not None and arrival.number is not None:
                numbers.setdefault((arrival.tracker, arrival.chain), set()).add(arrival.number)
        for (tracker, chain), added in numbers.items():
            self._keep(tracker, chain, added)

    def _count_again(self, arrivals: Sequence[Authentic], now_ms: int) -> None:
        rows = [
            {"b_tracker": arrival.tracker, "b_digest": arrival.digest, "b_now_ms": now_ms}
            for arrival in arrivals
        ]
        self._execute_all(_AGAIN, rows)

    def _keep(self, tracker: str, chain: bytes, numbers: Collection[int]) -> None:
        """Add block numbers to the ranges kept of a chain."""
        touching = {
            "b_tracker": tracker,
            "b_chain": chain,
            "b_low": min(numbers) - 1,
            "b_high": max(numbers) + 1,
        }
        spans = [(row.first, row.last) for row in self._connection.execute(_TOUCHED, touching)]
        joined = ranges.join([*spans, *((number, number) for number in numbers)])
        self._connection.execute(_UNKEEP, touching)
        self._execute_all(
            _KEEP,
            [
                {"tracker": tracker, "chain": chain, "first": first, "last": last}
                for first, last in joined
            ],
        )

    def state(self, tracker: str, chain: bytes) -> State:
        """Return what the confirmation document says about a chain."""
        rows = self._connection.execute(_KEPT, {"b_tracker": tracker, "b_chain": chain})
        spans = tuple(sorted((first, last) for first, last in rows))
        watermark = ranges.watermark(spans)
        digest = None
        if watermark:
            digest = self._connection.scalar(
                _DIGEST, {"tracker": tracker, "chain": chain, "number": watermark}
            )
        return State(chain, spans, digest)

    def of(self, tracker: str) -> Iterator[Archived]:
        """Return every block of a tracker in the order of arrival."""
        rows = self._connection.execute(
            sa.select(*_ARCHIVED).where(blocks.c.tracker == tracker).order_by(blocks.c.id)
        )
        return (Archived(*row) for row in rows)

    def rebuild(self) -> None:
        """Derive again, from the blocks that are there, which numbers of each chain are kept."""
        self._connection.execute(_LOCK_ALL)
        self._connection.execute(sa.delete(kept))
        self._connection.execute(_REBUILD)

    def _execute_all(self, statement: sa.Executable, rows: Sequence[Mapping[str, Any]]) -> None:
        # SQLAlchemy takes an empty list for a statement without parameters.
        if rows:
            self._connection.execute(statement, rows)
