"""Opens the archive again: it re-checks and decodes every block as it is on disk now."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from coldtrail_gateway.contract import block, envelope
from coldtrail_gateway.contract.block import Block, BlockError, Head
from coldtrail_gateway.contract.envelope import Kind, Reason, Refused
from coldtrail_gateway.store.archive import Archived
from coldtrail_gateway.store.tables import Tables


@dataclass(frozen=True, slots=True)
class Entry:
    """An archived block, and the result of checking it now.

    `damage` is the reason why these bytes are no evidence, `undecoded` the reason why an authentic
    block cannot be decoded. Only a block without both has a `block`. `head` is read from the
    payload. `unverified` is the reason why the block's MAC cannot be checked here.
    """

    row: Archived
    head: Head | None
    block: Block | None
    damage: str = ""
    undecoded: str = ""
    unverified: str = ""

    @property
    def digest16(self) -> bytes:
        """The hash by which the next block of the chain names this one."""
        return self.row.digest[: block.HASH_SIZE]


def load(tables: Tables, tracker: str) -> list[Entry]:
    """Return every archived block of a tracker in the order of arrival."""
    keys = tables.registry.keys([tracker]).get(tracker, {})
    uplink = {version: pair.uplink for version, pair in keys.items()}
    return [reopen(row, tracker, uplink) for row in tables.archive.of(tracker)]


def reopen(
    row: Archived, tracker: str, uplink: Mapping[int, bytes], *, filed: bool = True
) -> Entry:
    """Re-check and decode a block.

    With `filed` it must also stand under its own chain and number. Without, it may come from a
    read-out, and its key may be unknown here.
    """
    if hashlib.sha256(row.sealed).digest() != row.digest:
        return Entry(row, None, None, damage="its hash is another than on arrival")
    unverified = ""
    try:
        payload = envelope.open_sealed(row.sealed, Kind.BLOCK, tracker, uplink).payload
    except Refused as refused:
        if filed or refused.reason is not Reason.UNKNOWN_KEY:
            return Entry(row, None, None, damage=str(refused))
        payload = envelope.parse(row.sealed).payload
        unverified = str(refused)
    try:
        head = block.read_head(payload)
    except BlockError as error:
        return Entry(row, None, None, undecoded=str(error))
    if filed and (row.chain, row.number) != (head.chain, head.number):
        return Entry(row, head, None, damage="it is filed under another chain or number")
    try:
        return Entry(row, head, block.decode(payload), unverified=unverified)
    except BlockError as error:
        return Entry(row, head, None, undecoded=str(error))
