"""Takes a batch of blocks into the tables: their records, and what changes around them.

In order: each block gets its place in its chain; flaws are found among the numbers next to it; it
is judged in the context of the block before; the ones after it are judged again as far as their
context changes. For a block that continues a chain this reads and writes a fixed number of rows.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from coldtrail_gateway.evidence.archive import Entry
from coldtrail_gateway.readings import bulk, context, profile, rows, tables
from coldtrail_gateway.readings.context import Context
from coldtrail_gateway.readings.line import Line, Node, heads
from coldtrail_gateway.readings.register import Register, Row
from coldtrail_gateway.readings.step import Step, step
from coldtrail_gateway.readings.summary import Summaries
from coldtrail_gateway.readings.tables import NOBODY
from coldtrail_gateway.store.archive import Archived

Again = Callable[[Collection[int]], Mapping[int, Entry]]
"""Reads blocks once more from the archive, by row number."""


class Batch:
    """The blocks of one transaction.

    `registered`: the profile of a tracker's shipment as the registry has it now.
    """

    def __init__(
        self,
        connection: Connection,
        again: Again,
        registered: Callable[[str, str], str | None],
    ) -> None:
        self._connection = connection
        self._again = again
        self._registered = registered
        self._chains = Register(connection, tables.chains, ("tracker", "chain"), {"numbers": 0})
        self._boots = Register(
            connection,
            tables.boots,
            ("chain", "number"),
            {"syncs": 0, "doubt": 0},
        )
        self._shipments = Register(
            connection,
            tables.shipments,
            ("tracker", "shipment"),
            {
                "blocks": 0,
                "samples": 0,
                "received_ms": 0,
                "alarms": 0,
                "standing": 0,
                "acknowledged": 0,
                "faults": "[]",
                "flight": 0,
            },
        )
        self._trackers = Register(
            connection,
            tables.trackers,
            ("id",),
            {
                "received_ms": 0,
                "blocks": 0,
                "samples": 0,
                "missing": 0,
                "chains": 0,
                "findings": "[]",
            },
        )
        self._lines: dict[int, Line] = {}
        self._dirty: dict[int, list[Node]] = defaultdict(list)
        self._summaries = Summaries(
            connection, self._trackers, self._chains, self._boots, self._shipments
        )

    def take(self, entries: Sequence[tuple[str, Entry]]) -> None:
        """Take in blocks that are not in the tables yet."""
        into: rows.Rows = defaultdict(list)
        self._load(entries)
        placed: list[tuple[str, Entry, Node | None, int | None]] = []
        for tracker, entry in entries:
            node, chain = self._place(tracker, entry)
            placed.append((tracker, entry, node, chain))
        self._find_flaws([(chain, node) for _, _, node, chain in placed if node and chain])
        self._take_profiles()
        self._judge(into)
        for tracker, entry, node, chain in placed:
            into[tables.blocks].append(rows.of_block(tracker, entry, node, chain))
            if node is not None and node.boot is not None and entry.block is not None:
                rows.records(entry.row.id, node.boot, entry.block, into)
        self._write(into)

    @staticmethod
    def without_profile(connection: Connection) -> dict[int, tuple[str, str]]:
        """Return by number the shipments whose profile is not known, each with its tracker."""
        ships = tables.shipments
        found = sa.select(ships.c.id, ships.c.tracker, ships.c.shipment).where(
            ships.c.profile.is_(None), ships.c.shipment != NOBODY
        )
        return {row.id: (row.tracker, row.shipment) for row in connection.execute(found)}

    def leave_unread(self, tracker: str, row: Archived, reason: str) -> None:
        """Note a block that nothing could be made of."""
        owner, _ = self._trackers.get((tracker,))
        self._trackers.change(
            owner,
            blocks=owner["blocks"] + 1,
            received_ms=max(owner["received_ms"], row.received_ms),
        )
        unread = rows.unread(tracker, row.id, row.digest, row.received_ms, reason)
        self._summaries.found(tracker)
        self._write({tables.blocks: [unread]})

    def judge_again(self, shipment: int) -> None:
        """Judge all blocks of a shipment again, because more is known of its profile."""
        into: rows.Rows = defaultdict(list)
        self._renew(self._shipments.one(shipment))
        self._judge(into)
        self._write(into)

    def _write(self, into: rows.Rows) -> None:
        for table, new in into.items():
            bulk.insert(self._connection, table, new)
        # Each is asked for what was written before it.
        self._chains.write()
        self._summaries.refresh()
        self._boots.write()
        self._shipments.write()
        self._summaries.refresh_trackers()
        self._trackers.write()

    def _load(self, entries: Sequence[tuple[str, Entry]]) -> None:
        self._trackers.load({(tracker,) for tracker, _ in entries})
        self._chains.load(
            {(t, entry.head.chain) for t, entry in entries if entry.head and not entry.damage}
        )
        read = [(tracker, entry.block) for tracker, entry in entries if entry.block]
        self._shipments.load({(tracker, block.shipment or NOBODY) for tracker, block in read})
        chains = {
            (tracker, block.head.chain): self._chain(tracker, block.head.chain)["id"]
            for tracker, block in read
        }
        self._boots.load({(chains[t, block.head.chain], block.boot) for t, block in read})
        highest = {
            row["id"]: row["last_number"]
            for tracker, entry in entries
            if entry.head and not entry.damage
            for row in [self._chain(tracker, entry.head.chain)]
        }
        stored = heads(self._connection, {c: number for c, number in highest.items() if number})
        for chain, number in highest.items():
            self._lines[chain] = Line(self._connection, chain, number)
            if number:
                self._lines[chain].known(number, stored[chain])

    def _chain(self, tracker: str, chain: bytes) -> Row:
        row, new = self._chains.get((tracker, chain))
        if new:
            row |= {"last_number": 0, "last_block": 0, "first_block": 2**62}
        return row

    def _line(self, chain: int) -> Line:
        if chain not in self._lines:
            row = self._chains.one(chain)
            self._lines[chain] = Line(self._connection, chain, row["last_number"])
        return self._lines[chain]

    def _place(self, tracker: str, entry: Entry) -> tuple[Node | None, int | None]:
        """Return a block's place in its chain, and the chain; count it."""
        row, head, block = entry.row, entry.head, entry.block
        owner, _ = self._trackers.get((tracker,))
        self._trackers.change(
            owner,
            blocks=owner["blocks"] + 1,
            samples=owner["samples"] + (len(block.samples) if block else 0),
            received_ms=max(owner["received_ms"], row.received_ms),
        )
        if head is None or entry.damage:
            self._summaries.found(tracker)
            return None, None
        if entry.undecoded:
            self._summaries.found(tracker)
        chain = self._chain(tracker, head.chain)
        node = Node(row.id, head.number, row.digest[:16], head.previous, None, None, entry=entry)
        node.new = True
        if block is not None:
            boot, _ = self._boots.get((chain["id"], block.boot))
            self._boots.change(boot)
            shipment, _ = self._shipments.get((tracker, block.shipment or NOBODY))
            self._shipments.change(
                shipment,
                blocks=shipment["blocks"] + 1,
                samples=shipment["samples"] + len(block.samples),
                received_ms=max(shipment["received_ms"], row.received_ms),
            )
            node.boot, node.shipment = boot["id"], shipment["id"]
        line = self._lines[chain["id"]]
        self._count(owner, chain, node, new_number=not line.at(node.number))
        line.add(node)
        self._dirty[chain["id"]].append(node)
        return node, chain["id"]

    def _count(self, owner: Row, chain: Row, node: Node, *, new_number: bool) -> None:
        """Keep what is known of a chain as a whole."""
        missing = chain["last_number"] - chain["numbers"]
        if not chain["numbers"]:
            self._trackers.change(owner, chains=owner["chains"] + 1)
            if owner["chains"] > 1:
                self._summaries.found(owner["id"])
        elif node.id < chain["first_block"] and owner["chains"] > 1:
            self._summaries.reordered(owner["id"])
        chain["first_block"] = min(chain["first_block"], node.id)
        if (node.number, node.id) > (chain["last_number"], chain["last_block"]):
            chain |= {"last_number": node.number, "last_block": node.id}
        self._chains.change(chain, numbers=chain["numbers"] + new_number)
        more = chain["last_number"] - chain["numbers"] - missing
        self._trackers.change(owner, missing=owner["missing"] + more)

    def _find_flaws(self, new: Sequence[tuple[int, Node]]) -> None:
        for chain, node in new:
            line = self._lines[chain]
            for near in (*line.at(node.number), *line.at(node.number + 1)):
                flaw = line.flaw(near)
                if near.flaw != flaw:
                    near.flaw = flaw
                    self._dirty[chain].append(near)

    def _take_profiles(self) -> None:
        """Judge a whole shipment again where its profile has become known."""
        ships = {n.shipment for nodes in self._dirty.values() for n in nodes if n.shipment}
        for shipment in ships:
            self._renew(self._shipments.one(shipment))

    def _renew(self, shipment: Row) -> None:
        if shipment["profile"] is not None or not shipment["shipment"]:
            return
        registered = self._registered(shipment["tracker"], shipment["shipment"])
        if registered is None:
            return
        self._shipments.change(shipment, profile=registered)
        if profile.read(registered) is None:
            return
        stored = sa.select(tables.blocks.c.chain, tables.blocks.c.number).where(
            tables.blocks.c.shipment == shipment["id"]
        )
        for chain, number in self._connection.execute(stored):
            self._dirty[chain] += self._line(chain).at(number)

    def _judge(self, into: rows.Rows) -> None:
        again: list[Node] = []
        for chain, dirty in self._dirty.items():
            self._judge_chain(chain, dirty, again, into)
        self._write_again(again)
        self._dirty.clear()

    def _judge_chain(
        self, chain: int, dirty: list[Node], again: list[Node], into: rows.Rows
    ) -> None:
        """Judge blocks in their order, and those after them until nothing changes."""
        line = self._line(chain)
        tracker = self._chains.one(chain)["tracker"]
        waiting = list(dirty)
        heapq.heapify(waiting)
        unread = {node.id: node for node in dirty if node.entry is None}
        for ids in bulk.parts(unread):
            for row, entry in self._again(ids).items():
                unread[row].entry = entry
        last: Node | None = None
        left: tuple[Node, Context] | None = None
        while waiting:
            node = heapq.heappop(waiting)
            if node is last:
                continue
            last = node
            before = line.before(node)
            if before is None:
                given = Context()
            elif left is not None and before is left[0]:
                given = left[1]
            else:
                given = context.read(before.context or "")
            made = self._step(given, node)
            text = made.context.text()
            changed = text != node.context
            missing = line.missing(node)
            if missing or node.missing or node.flaw or made.abandoned:
                self._summaries.found(tracker)
            node.missing, node.context, node.done = missing, text, made
            left = node, made.context
            following = line.after(node)
            # A new block changes what is missing before the next one, too.
            if changed and following is not None:
                heapq.heappush(waiting, following)
            if not node.new:
                again.append(node)
            if node.boot is not None and node.shipment is not None:
                rows.owned(node.id, node.boot, node.shipment, made, into)
                while following is not None and following.boot is None:
                    following = line.after(following)
                self._summaries.judged(chain, node, made, following)

    def _step(self, given: Context, node: Node) -> Step:
        if node.entry is None:
            node.entry = self._again([node.id])[node.id]
        block = node.entry.block
        if block is None or node.shipment is None:
            return Step(given, None, (), (), None, doubt=False)
        registered = self._shipments.one(node.shipment)["profile"]
        return step(
            given,
            node.id,
            block,
            node.entry.row.received_ms,
            vouched=node.flaw is None,
            profile=profile.read(registered),
        )

    def _write_again(self, again: Sequence[Node]) -> None:
        """Take away what blocks that are judged again had said, and note what they leave."""
        judged = {node.id: node for node in again}
        for ids in bulk.parts(judged):
            self._summaries.forget(ids)
            for table in tables.OWNED:
                self._connection.execute(sa.delete(table).where(table.c.block.in_(ids)))
        changes = [
            {
                "b_id": node.id,
                "flaw": node.flaw,
                "missing": node.missing,
                "abandoned": node.done.abandoned if node.done else None,
                "doubt": int(node.done is not None and node.done.doubt),
                "context": node.context,
            }
            for node in judged.values()
        ]
        if changes:
            update = sa.update(tables.blocks).where(tables.blocks.c.id == sa.bindparam("b_id"))
            self._connection.execute(update, changes)
