"""The blocks of one chain in the order of their numbers, as far as a change touches them.

Of two blocks with one number the one that arrived first stands first. What is asked for is read
from the tables once, and what is new is put in between.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.engine import Connection

from coldtrail_gateway.contract.block import HASH_SIZE
from coldtrail_gateway.evidence.archive import Entry
from coldtrail_gateway.evidence.findings import Name
from coldtrail_gateway.readings.step import Step
from coldtrail_gateway.readings.tables import blocks


@dataclass(slots=True)
class Node:
    """A block in its chain. `entry` is there where it is new, or was read again.

    `flaw`, `missing` and `context` are what is in the table until `done` says what is to be.
    """

    id: int
    number: int
    digest16: bytes
    previous: bytes
    boot: int | None
    shipment: int | None
    flaw: str | None = None
    missing: int | None = None
    context: str | None = None
    entry: Entry | None = None
    new: bool = False
    done: Step | None = None

    def __lt__(self, other: Node) -> bool:
        return (self.number, self.id) < (other.number, other.id)


_COLUMNS: Final = (
    blocks.c.id,
    blocks.c.number,
    blocks.c.digest,
    blocks.c.previous,
    blocks.c.boot,
    blocks.c.shipment,
    blocks.c.flaw,
    blocks.c.missing,
    blocks.c.context,
)
_IN_CHAIN: Final = blocks.c.chain == bindparam("chain")
_AT: Final = (
    sa.select(*_COLUMNS)
    .where(_IN_CHAIN, blocks.c.number == bindparam("number"))
    .order_by(blocks.c.id)
)
_BELOW: Final = (
    sa.select(blocks.c.number)
    .where(_IN_CHAIN, blocks.c.number < bindparam("number"))
    .order_by(blocks.c.number.desc())
    .limit(1)
)
_ABOVE: Final = (
    sa.select(blocks.c.number)
    .where(_IN_CHAIN, blocks.c.number > bindparam("number"))
    .order_by(blocks.c.number)
    .limit(1)
)
_HEADS: Final = sa.select(blocks.c.chain, *_COLUMNS).where(
    sa.tuple_(blocks.c.chain, blocks.c.number).in_(bindparam("heads", expanding=True))
)


class Line:
    """The blocks of a chain; `highest` is the highest number in the tables, 0 where none is."""

    def __init__(self, connection: Connection, chain: int, highest: int) -> None:
        self._connection = connection
        self._chain = chain
        self._stored = highest
        self._nodes: dict[int, list[Node]] = {}
        self._new: list[int] = []

    def add(self, node: Node) -> None:
        """Put a new block into its place."""
        insort(self.at(node.number), node)
        if node.number not in self._new:
            insort(self._new, node.number)

    def known(self, number: int, nodes: Iterable[Node]) -> None:
        """Take on all stored blocks of a number that were read already."""
        self._nodes[number] = sorted(nodes)

    def at(self, number: int) -> list[Node]:
        """Return all blocks with a number."""
        if number not in self._nodes:
            found: list[Node] = []
            if 1 <= number <= self._stored:
                named = {"chain": self._chain, "number": number}
                found = [_node(tuple(row)) for row in self._connection.execute(_AT, named)]
            self._nodes[number] = found
        return self._nodes[number]

    def before(self, node: Node) -> Node | None:
        """Return the block before one."""
        same = self.at(node.number)
        at = same.index(node)
        if at:
            return same[at - 1]
        near = self.at(node.number - 1)
        if near:
            return near[-1]
        below = [number for number in self._new if number < node.number]
        if self._stored < node.number:
            below.append(self._stored)
        else:
            below.append(self._number(_BELOW, node.number))
        highest = max(below)
        return self.at(highest)[-1] if highest else None

    def after(self, node: Node) -> Node | None:
        """Return the block after one."""
        same = self.at(node.number)
        at = same.index(node) + 1
        if at < len(same):
            return same[at]
        near = self.at(node.number + 1)
        if near:
            return near[0]
        above = [number for number in self._new if number > node.number]
        if self._stored > node.number and (found := self._number(_ABOVE, node.number)):
            above.append(found)
        return self.at(min(above))[0] if above else None

    def flaw(self, node: Node) -> Name | None:
        """Return why a block is not vouched for."""
        before = {other.digest16 for other in self.at(node.number - 1)}
        if node.number == 1:
            before = {bytes(HASH_SIZE)}
        if before and node.previous not in before:
            return Name.SPLICE
        return Name.FORK if len(self.at(node.number)) > 1 else None

    def missing(self, node: Node) -> int:
        """Return how many numbers are not here between a block and the one before it."""
        before = self.before(node)
        return max(node.number - (before.number if before else 0) - 1, 0)

    def _number(self, statement: sa.Select[tuple[int | None]], number: int) -> int:
        named = {"chain": self._chain, "number": number}
        return self._connection.scalar(statement, named) or 0


def heads(connection: Connection, highest: dict[int, int]) -> dict[int, list[Node]]:
    """Return by chain the blocks with its highest number."""
    found: dict[int, list[Node]] = {}
    if highest:
        for row in connection.execute(_HEADS, {"heads": list(highest.items())}):
            found.setdefault(row[0], []).append(_node(tuple(row[1:])))
    return found


def _node(row: tuple[int, int, bytes, bytes, int, int, str | None, int, str | None]) -> Node:
    row_id, number, digest, previous, boot, shipment, flaw, missing, context = row
    return Node(
        row_id,
        number,
        digest[:HASH_SIZE],
        previous,
        boot,
        shipment,
        flaw=flaw,
        missing=missing,
        context=context,
    )
