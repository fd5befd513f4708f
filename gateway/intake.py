"""Judges what arrives: archive what verifies, quarantine what does not, all in one commit."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gateway import block, confirmation, envelope
from gateway.block import BlockError, Head
from gateway.envelope import MAX_SIZE, TRACKER_ID, Envelope, Kind, Reason, Refused
from gateway.store import KeyPair, Store, Tables

_TOPIC_KEPT: Final = 120


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message: what its topic names as the tracker, and its bytes."""

    tracker: str
    sealed: bytes


@dataclass(frozen=True, slots=True)
class Kept:
    """A message that verifies; these bytes are on disk.

    `document` is the tracker's confirmation; None where no chain of it is known.
    """

    head: Head | None
    new: bool
    document: bytes | None


def take(store: Store, arrivals: Sequence[Arrival], now_ms: int) -> list[Kept | Refused]:
    """Commit messages, and say in their order what became of each.

    Raises:
        StoreError: nothing was committed; none of them may be confirmed or acknowledged.
    """
    with store.write() as tables:
        named = {a.tracker for a in arrivals if TRACKER_ID.fullmatch(a.tracker)}
        tables.lock(named)
        keys = tables.keys(named)
        return [_take(tables, arrival, keys, now_ms) for arrival in arrivals]


def documents(store: Store, now_ms: int) -> dict[str, bytes]:
    """Return the current confirmation of every tracker that has a chain."""
    with store.read() as tables:
        current: dict[str, bytes] = {}
        for tracker in tables.trackers():
            if tracker.key_version is not None:
                keys = tables.keys([tracker.id])[tracker.id]
                document = _document(tables, tracker.id, tracker.key_version, keys, now_ms)
                if document is not None:
                    current[tracker.id] = document
        return current


def _take(
    tables: Tables, arrival: Arrival, keys: Mapping[str, Mapping[int, KeyPair]], now_ms: int
) -> Kept | Refused:
    try:
        opened = _open(arrival, keys)
    except Refused as refused:
        topic = ascii(arrival.tracker)[1:-1][:_TOPIC_KEPT]
        tables.quarantine(topic, arrival.sealed, str(refused), refused.reason.value, now_ms)
        return refused
    try:
        head = block.read_head(opened.payload)
    except BlockError:
        head = None
    digest = hashlib.sha256(arrival.sealed).digest()
    version = opened.key_version
    new = tables.archive(arrival.tracker, arrival.sealed, digest, version, head, now_ms)
    document = _document(tables, arrival.tracker, version, keys[arrival.tracker], now_ms)
    return Kept(head, new, document)


def _document(
    tables: Tables, tracker: str, version: int, keys: Mapping[int, KeyPair], now_ms: int
) -> bytes | None:
    """Return the confirmation of the chain that the tracker spoke of last."""
    chain = tables.chain(tracker)
    if chain is None:
        return None
    state = tables.state(tracker, chain, version)
    return confirmation.document(state, keys[version].downlink, now_ms)


def _open(arrival: Arrival, keys: Mapping[str, Mapping[int, KeyPair]]) -> Envelope:
    if not TRACKER_ID.fullmatch(arrival.tracker):
        raise Refused(Reason.TOPIC)
    if len(arrival.sealed) > MAX_SIZE:
        raise Refused(Reason.TOO_LONG, f"{len(arrival.sealed)} bytes, at most {MAX_SIZE}")
    if arrival.tracker not in keys:
        raise Refused(Reason.UNKNOWN_TRACKER)
    uplink = {version: pair.uplink for version, pair in keys[arrival.tracker].items()}
    return envelope.open_sealed(arrival.sealed, Kind.BLOCK, arrival.tracker, uplink)
