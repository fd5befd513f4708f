"""Judges what arrives: archive what verifies, quarantine what does not, all in one commit."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from coldtrail_gateway.contract import block, confirmation, envelope
from coldtrail_gateway.contract.block import BlockError, Event
from coldtrail_gateway.contract.envelope import MAX_SIZE, TRACKER_ID, Kind, Reason, Refused
from coldtrail_gateway.contract.events import EventType
from coldtrail_gateway.store.archive import Authentic
from coldtrail_gateway.store.database import Store
from coldtrail_gateway.store.errors import DataError
from coldtrail_gateway.store.quarantine import Quarantined
from coldtrail_gateway.store.registry import KeyPair
from coldtrail_gateway.store.tables import Tables

log = logging.getLogger("coldtrail.gateway")

_TOPIC_KEPT: Final = 120

Keys = Mapping[str, Mapping[int, KeyPair]]


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message: what its topic names as the tracker, and its bytes."""

    tracker: str
    sealed: bytes


@dataclass(frozen=True, slots=True)
class Judged:
    """A message, and whether it verifies."""

    arrival: Arrival
    verdict: Authentic | Refused


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


def judge(store: Store, arrivals: Sequence[Arrival]) -> list[Judged]:
    """Find out which messages verify, by the keys that are registered now; nothing is written.

    Raises:
        StoreError: the database does not answer.
    """
    with store.read() as tables:
        keys = tables.registry.keys(
            {a.tracker for a in arrivals if TRACKER_ID.fullmatch(a.tracker)}
        )
    return [Judged(arrival, _verdict(arrival, keys)) for arrival in arrivals]


def keep(store: Store, judged: Sequence[Judged], now_ms: int) -> list[Kept | Refused]:
    """Commit messages that have been judged, and say in their order what became of each.

    What verified then verifies now: a key that is registered is never changed or taken back.
    Where the database does not take what one of them holds, the others do not wait for it: the
    batch is divided until that one stands alone, and then only its bytes are archived. What cannot
    even be archived is refused, so that its tracker keeps it.

    Raises:
        StoreError: none of them may be confirmed or acknowledged; what was committed before that
            is recognised when it comes again.
    """
    try:
        return _commit(store, judged, now_ms)
    except DataError as error:
        if len(judged) > 1:
            middle = len(judged) // 2
            first = keep(store, judged[:middle], now_ms)
            return first + keep(store, judged[middle:], now_ms)
        log.critical("%.40a: a message is archived alone: %s", judged[0].arrival.tracker, error)
    try:
        return _commit(store, judged, now_ms, derive=False)
    except DataError as error:
        return [Refused(Reason.NOT_STORED, str(error))]


def take(store: Store, arrivals: Sequence[Arrival], now_ms: int) -> list[Kept | Refused]:
    """Judge and keep messages in one go; see `judge` and `keep`."""
    return keep(store, judge(store, arrivals), now_ms)


def _commit(
    store: Store, judged: Sequence[Judged], now_ms: int, *, derive: bool = True
) -> list[Kept | Refused]:
    with store.write() as tables:
        named = {j.arrival.tracker for j in judged if TRACKER_ID.fullmatch(j.arrival.tracker)}
        tables.registry.lock(named)
        keys = tables.registry.keys(named)
        authentic = [each.verdict for each in judged if isinstance(each.verdict, Authentic)]
        new = iter(tables.archive.add(authentic, now_ms, derive=derive))
        told: set[bytes] = set()
        if derive:
            tables.quarantine.add(_junk(judged, keys), now_ms)
            told = _outcomes(tables, authentic, now_ms)
        documents = _Documents(tables, keys, now_ms)
        return [
            verdict
            if isinstance(verdict, Refused)
            else Kept(
                verdict.number,
                next(new),
                documents.of(verdict.tracker, verdict.chain),
                verdict.digest in told,
            )
            for verdict in (each.verdict for each in judged)
        ]


def documents(store: Store, trackers: Collection[str], now_ms: int) -> dict[str, bytes]:
    """Return the current confirmation of each of the registered trackers that has a chain."""
    with store.read() as tables:
        made = _Documents(tables, tables.registry.keys(trackers), now_ms)
        current = {tracker: made.of(tracker, None) for tracker in trackers}
    return {tracker: document for tracker, document in current.items() if document is not None}


def _verdict(arrival: Arrival, keys: Keys) -> Authentic | Refused:
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
        outcomes = [event for event in events if event.type is EventType.COMMAND_OUTCOME]
        if not outcomes:
            continue
        try:
            # Whatever a tracker says of a command never decides over what is archived.
            with tables.savepoint():
                for event in outcomes:
                    _tell(tables, arrival.tracker, event, now_ms)
        except DataError as error:
            log.critical("%s: what it says of a command is left out: %s", arrival.tracker, error)
            continue
        told.add(arrival.digest)
    return told


def _tell(tables: Tables, tracker: str, event: Event, now_ms: int) -> None:
    reason = event.fields.get("reason")
    tables.commands.tell(
        tracker,
        event.number("counter"),
        event.number("outcome"),
        reason if isinstance(reason, str) else None,
        now_ms,
    )


def _junk(judged: Sequence[Judged], keys: Keys) -> list[Quarantined]:
    return [
        Quarantined(
            known=arrival.tracker in keys,
            topic=ascii(arrival.tracker)[1:-1][:_TOPIC_KEPT],
            reason=verdict.reason.value,
            detail=str(verdict),
            message=arrival.sealed,
        )
        for arrival, verdict in ((each.arrival, each.verdict) for each in judged)
        if isinstance(verdict, Refused)
    ]


class _Documents:
    """The confirmations as the tables stand now; each is made once."""

    def __init__(self, tables: Tables, keys: Keys, now_ms: int) -> None:
        self._tables = tables
        self._keys = keys
        self._now_ms = now_ms
        self._known = tables.registry.named(keys.keys())
        self._made: dict[tuple[str, bytes], bytes] = {}

    def of(self, tracker: str, chain: bytes | None) -> bytes | None:
        """Return the document of a chain; for None, that of the chain heard of last."""
        known = self._known[tracker]
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
