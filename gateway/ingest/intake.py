"""Judges what arrives: archive what verifies, quarantine what does not, all in one commit."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from coldtrail_gateway.contract import block, confirmation, envelope
from coldtrail_gateway.contract.block import BlockError
from coldtrail_gateway.contract.envelope import MAX_SIZE, TRACKER_ID, Kind, Reason, Refused
from coldtrail_gateway.contract.events import EventType
from coldtrail_gateway.store.archive import Authentic
from coldtrail_gateway.store.database import Store
from coldtrail_gateway.store.quarantine import Quarantined
from coldtrail_gateway.store.registry import KeyPair
from coldtrail_gateway.store.tables import Tables

_TOPIC_KEPT: Final = 120

Keys = Mapping[str, Mapping[int, KeyPair]]


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message: what its topic names as the tracker, and its bytes."""

    tracker: str
    sealed: bytes


@dataclass(frozen=True, slots=True)
class Kept:
    """A message that verifies; these bytes are on disk.

    `number` is None where the payload does not even begin as a block; `document`, the tracker's
    confirmation, where no chain of it is known; `told`: whether it says what became of a command.
    """

    number: int | None
    new: bool
    document: bytes | None
    told: bool


def verified(store: Store, arrivals: Sequence[Arrival]) -> list[bool]:
    """Tell of each message whether it verifies now; nothing is written.

    Raises:
        StoreError: the database does not answer.
    """
    with store.read() as tables:
        keys = tables.registry.keys(
            {a.tracker for a in arrivals if TRACKER_ID.fullmatch(a.tracker)}
        )
    return [isinstance(_judge(arrival, keys), Authentic) for arrival in arrivals]


def take(store: Store, arrivals: Sequence[Arrival], now_ms: int) -> list[Kept | Refused]:
    """Commit messages, and say in their order what became of each.

    Raises:
        StoreError: nothing was committed; none of them may be confirmed or acknowledged.
    """
    with store.write() as tables:
        named = {a.tracker for a in arrivals if TRACKER_ID.fullmatch(a.tracker)}
        tables.registry.lock(named)
        keys = tables.registry.keys(named)
        judged = [_judge(arrival, keys) for arrival in arrivals]
        authentic = [item for item in judged if isinstance(item, Authentic)]
        new = iter(tables.archive.add(authentic, now_ms))
        tables.quarantine.add(_junk(arrivals, judged), now_ms)
        told = _outcomes(tables, authentic, now_ms)
        documents = _Documents(tables, keys, now_ms)
        return [
            item
            if isinstance(item, Refused)
            else Kept(
                item.number,
                next(new),
                documents.of(item.tracker, item.chain),
                item.digest in told,
            )
            for item in judged
        ]


def documents(store: Store, trackers: Collection[str], now_ms: int) -> dict[str, bytes]:
    """Return the current confirmation of each of the registered trackers that has a chain."""
    with store.read() as tables:
        made = _Documents(tables, tables.registry.keys(trackers), now_ms)
        current = {tracker: made.of(tracker, None) for tracker in trackers}
    return {tracker: document for tracker, document in current.items() if document is not None}


def _judge(arrival: Arrival, keys: Keys) -> Authentic | Refused:
    try:
        opened = _open(arrival, keys)
    except Refused as refused:
        return refused
    try:
        head = block.read_head(opened.payload)
        chain, number = head.chain, head.number
    except BlockError:
        chain, number = None, None
    digest = hashlib.sha256(arrival.sealed).digest()
    return Authentic(arrival.tracker, arrival.sealed, digest, opened.key_version, chain, number)


def _open(arrival: Arrival, keys: Keys) -> envelope.Envelope:
    if not TRACKER_ID.fullmatch(arrival.tracker):
        raise Refused(Reason.TOPIC)
    if len(arrival.sealed) > MAX_SIZE:
        raise Refused(Reason.TOO_LONG, f"{len(arrival.sealed)} bytes, at most {MAX_SIZE}")
    if arrival.tracker not in keys:
        raise Refused(Reason.UNKNOWN_TRACKER)
    uplink = {version: pair.uplink for version, pair in keys[arrival.tracker].items()}
    return envelope.open_sealed(arrival.sealed, Kind.BLOCK, arrival.tracker, uplink)


def _outcomes(tables: Tables, arrivals: Sequence[Authentic], now_ms: int) -> set[bytes]:
    """Note outcomes of commands in blocks; return the digests of the blocks that have one."""
    told = set()
    awaited = tables.commands.awaited({arrival.tracker for arrival in arrivals})
    for arrival in arrivals:
        if arrival.tracker not in awaited:
            continue
        try:
            events = block.decode(envelope.parse(arrival.sealed).payload).events
        except BlockError:
            continue  # kept all the same
        for event in events:
            if event.type is EventType.COMMAND_OUTCOME:
                told.add(arrival.digest)
                fields = event.fields
                reason = fields.get("reason")
                tables.commands.tell(
                    arrival.tracker,
                    event.number("counter"),
                    event.number("outcome"),
                    reason if isinstance(reason, str) else None,
                    now_ms,
                )
    return told


def _junk(arrivals: Sequence[Arrival], judged: Sequence[Authentic | Refused]) -> list[Quarantined]:
    return [
        Quarantined(
            topic=ascii(arrival.tracker)[1:-1][:_TOPIC_KEPT],
            reason=item.reason.value,
            detail=str(item),
            message=arrival.sealed,
        )
        for arrival, item in zip(arrivals, judged, strict=True)
        if isinstance(item, Refused)
    ]


class _Documents:
    """The confirmations as the tables stand now; each is made once."""

    def __init__(self, tables: Tables, keys: Keys, now_ms: int) -> None:
        self._tables = tables
        self._keys = keys
        self._now_ms = now_ms
        self._made: dict[tuple[str, bytes], bytes] = {}

    def of(self, tracker: str, chain: bytes | None) -> bytes | None:
        """Return the document of a chain; for None, that of the chain heard of last."""
        known = self._tables.registry.tracker(tracker)
        chain = chain or known.chain
        if chain is None or known.key_version is None:
            return None
        if (tracker, chain) not in self._made:
            state = self._tables.archive.state(tracker, chain)
            payload = confirmation.payload(state, self._now_ms)
            # The version the tracker used last: it need not know another.
            version = known.key_version
            downlink = self._keys[tracker][version].downlink
            self._made[tracker, chain] = envelope.seal(
                payload, Kind.CONFIRMATION, tracker, version, downlink
            )
        return self._made[tracker, chain]
