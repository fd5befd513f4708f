"""What is archived, confirmed and quarantined, on SQLite and PostgreSQL."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

import cbor2
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from coldtrail_gateway.contract.envelope import Reason, Refused
from coldtrail_gateway.ingest import intake
from coldtrail_gateway.ingest.intake import Arrival, Kept
from coldtrail_gateway.store import quarantine, schema
from coldtrail_gateway.store.database import Store
from coldtrail_gateway.store.registry import KeyPair
from tests.gateway import databases
from tests.support.blocks import cddl
from tests.support.blocks.blockmaker import DOWNLINK, UPLINK, Maker, hash16, opened, rows, sealed

NOW_MS = 1_767_225_600_123


def take(store: Store, *blocks: bytes, tracker: str = "CT-1") -> list[Kept | Refused]:
    return intake.take(store, [Arrival(tracker, block) for block in blocks], NOW_MS)


def confirmation(outcome: Kept | Refused, key: bytes = DOWNLINK) -> dict[int, Any]:
    assert isinstance(outcome, Kept)
    assert outcome.document is not None
    document = opened(outcome.document, key=key)
    assert cddl.is_valid("sealed", outcome.document)
    assert cddl.is_valid("confirmation", cbor2.dumps(document, canonical=True))
    return document


def documents(store: Store) -> dict[str, bytes]:
    with store.read() as t:
        trackers = [tracker.id for tracker in t.registry.trackers()]
    return intake.documents(store, trackers, NOW_MS)


def archived(store: Store) -> list[bytes]:
    with store.read() as t:
        return [row.sealed for row in t.archive.of("CT-1")]


def quarantined(url: str) -> list[sa.Row[Any]]:
    own = databases.engine(url)
    with own.connect() as connection:
        rows = list(connection.execute(sa.select(schema.quarantine).order_by("id")))
    own.dispose()
    return rows


def test_a_block_is_kept_and_confirmed(store: Store) -> None:
    maker = Maker()
    block = maker.block(rows(12))
    (outcome,) = take(store, block)
    assert confirmation(outcome) == {
        0: 1,
        1: maker.chain,
        2: 1,
        3: hash16(block),
        4: [],
        5: NOW_MS // 1000,
        6: 123,
    }
    assert archived(store) == [block]


def test_every_message_is_confirmed_also_the_same_again(store: Store) -> None:
    block = Maker().block()
    first, second = take(store, block, block)
    (third,) = take(store, block)
    assert [o.new for o in (first, second, third) if isinstance(o, Kept)] == [True, False, False]
    assert confirmation(first) == confirmation(second) == confirmation(third)
    assert archived(store) == [block]
    with store.read() as t:
        assert [row.repeats for row in t.archive.of("CT-1")] == [2]


def test_out_of_order_blocks_are_confirmed_as_ranges(store: Store) -> None:
    maker = Maker()
    blocks = [maker.block() for _ in range(9)]
    documents = [confirmation(take(store, blocks[n - 1])[0]) for n in (5, 2, 9, 1, 6)]
    assert [(d[2], d[4]) for d in documents] == [
        (0, [[5, 5]]),
        (0, [[2, 2], [5, 5]]),
        (0, [[2, 2], [5, 5], [9, 9]]),
        (2, [[5, 5], [9, 9]]),
        (2, [[5, 6], [9, 9]]),
    ]
    assert [d[3] for d in documents[2:4]] == [bytes(16), hash16(blocks[1])]


def test_at_most_sixteen_ranges_the_newest(store: Store) -> None:
    """Holes that nobody can fill any more must not hide what came after them."""
    maker = Maker()
    blocks = [maker.block() for _ in range(60)]
    document = confirmation(take(store, *blocks[1::2])[-1])
    assert document[2] == 0
    assert document[4] == [[n, n] for n in range(30, 62, 2)]
    document = confirmation(take(store, blocks[0])[-1])
    assert document[2] == 2
    assert document[3] == hash16(blocks[1])
    assert document[4] == [[n, n] for n in range(30, 62, 2)]


def test_a_fork_is_kept_and_confirmed_but_the_first_is_named(store: Store) -> None:
    maker = Maker()
    first = maker.block(rows(1))
    other = Maker().block(rows(2))
    documents = [confirmation(outcome) for outcome in take(store, first, other)]
    assert [document[3] for document in documents] == [hash16(first)] * 2
    assert archived(store) == [first, other]


def test_each_chain_has_its_own_confirmation(store: Store) -> None:
    old, new = Maker(), Maker(chain=b"chain  2")
    first, second = old.block(), new.block()
    assert confirmation(take(store, first)[0])[1] == old.chain
    assert confirmation(take(store, second)[0])[1] == new.chain
    assert opened(documents(store)["CT-1"])[1] == new.chain
    # A tracker that sends a block again wants to hear of that block's chain.
    assert confirmation(take(store, first)[0])[1] == old.chain
    assert opened(documents(store)["CT-1"])[1] == old.chain


def test_an_authentic_block_that_is_not_understood_is_kept_and_confirmed(store: Store) -> None:
    maker = Maker()
    strange = maker.block(rows(3), k0=2, k11=[1.5, True])
    broken = maker.block(k8="?")
    assert confirmation(take(store, strange, broken)[1])[2] == 2
    assert archived(store) == [strange, broken]


def test_authentic_bytes_without_a_number_are_kept_and_the_state_told(store: Store) -> None:
    strange = sealed(b"not even CBOR \xff")
    (before,) = take(store, strange)
    assert isinstance(before, Kept)
    assert before.document is None
    take(store, Maker().block())
    assert confirmation(take(store, strange)[0])[2] == 1
    assert len(archived(store)) == 2


def test_before_the_first_block_there_is_no_confirmation(store: Store) -> None:
    assert documents(store) == {}


def test_the_confirmation_is_under_the_key_version_used_last(store: Store) -> None:
    new_up, new_down = bytes(32), b"\x01" * 32
    with store.write() as t:
        t.registry.add_key("CT-1", 2, KeyPair(new_up, new_down))
    maker = Maker()
    assert confirmation(take(store, maker.block())[0])[2] == 1
    maker.key, maker.version = new_up, 2
    assert confirmation(take(store, maker.block())[0], new_down)[2] == 2


BLOCK = Maker().block(rows(12))


@pytest.mark.parametrize(
    ("tracker", "message", "reason"),
    [
        ("CT-1", BLOCK[:-1] + bytes((BLOCK[-1] ^ 1,)), Reason.WRONG_MAC),
        ("CT-1", Maker(key=DOWNLINK).block(), Reason.WRONG_MAC),
        ("CT-1", Maker(tracker="CT-2").block(), Reason.WRONG_MAC),
        ("CT-1", Maker(version=9).block(), Reason.UNKNOWN_KEY),
        ("CT-1", b"hello", Reason.NOT_COSE),
        ("CT-1", b"", Reason.NOT_COSE),
        ("CT-1", sealed(b"\xa0", content_type=65002), Reason.CONTENT_TYPE),
        ("CT-1", bytes(4097), Reason.TOO_LONG),
        ("CT-9", BLOCK, Reason.UNKNOWN_TRACKER),
        ("ct-1", BLOCK, Reason.TOPIC),
        ("\x00'\ud800\n" * 900, BLOCK, Reason.TOPIC),
    ],
    ids=[
        "flipped bit",
        "downlink key",
        "other tracker's block",
        "unknown key version",
        "no CBOR",
        "nothing",
        "confirmation",
        "too long",
        "unknown tracker",
        "small letters",
        "hostile topic",
    ],
)
def test_what_is_not_believed_is_quarantined(
    store: Store, database: str, tracker: str, message: bytes, reason: Reason
) -> None:
    good = Maker().block()
    refused, kept = intake.take(store, [Arrival(tracker, message), Arrival("CT-1", good)], NOW_MS)
    assert isinstance(refused, Refused)
    assert refused.reason is reason
    assert confirmation(kept)[2] == 1
    assert archived(store) == [good]
    (row,) = quarantined(database)
    assert row.reason.startswith(reason)
    assert (row.message, row.size) == (message[:4096], len(message))
    with store.read() as t:
        assert t.quarantine.refused() == {reason: 1}


def test_the_quarantine_drops_the_oldest_and_keeps_the_count(store: Store, database: str) -> None:
    junk = [b"junk %d" % number for number in range(quarantine.MAX_ROWS + 250)]
    take(store, *junk[:900])
    take(store, *junk[900:])
    kept = [row.message for row in quarantined(database)]
    assert kept == junk[250:]
    with store.read() as t:
        assert t.quarantine.refused() == {Reason.NOT_COSE: len(junk)}


@given(
    arrivals=st.lists(st.lists(st.integers(1, 40), min_size=1, max_size=12), max_size=12),
)
@settings(max_examples=40, deadline=None)  # a real disk
def test_the_confirmation_is_the_set_of_what_arrived(
    tmp_path_factory: pytest.TempPathFactory, arrivals: list[list[int]]
) -> None:
    maker = Maker()
    blocks = [maker.block() for _ in range(40)]
    folder = tmp_path_factory.mktemp("any-order")
    store = _sqlite(folder)
    seen: set[int] = set()
    for batch in arrivals:
        outcomes = take(store, *(blocks[number - 1] for number in batch))
        seen |= set(batch)
        mark = next(n for n in itertools.count() if n + 1 not in seen)
        for document in map(confirmation, outcomes):
            assert document[2] == mark
            beyond = {n for first, last in document[4] for n in range(first, last + 1)}
            # More than sixteen ranges are cut, never wrong.
            assert beyond <= seen
            assert beyond == {n for n in seen if n > mark} or len(document[4]) == 16
            assert document[3] == (hash16(blocks[mark - 1]) if mark else bytes(16))
    store.close()


def _sqlite(folder: Path) -> Store:
    store = Store(f"{folder}/gateway.db", create=True)
    with store.write() as t:
        t.registry.add_tracker("CT-1", test=True)
        t.registry.add_key("CT-1", 1, KeyPair(UPLINK, DOWNLINK))
    return store


def test_what_is_derived_is_rebuilt_from_the_archive(store: Store, database: str) -> None:
    maker, other = Maker(), Maker(chain=b"chain  2")
    blocks = [maker.block() for _ in range(9)]
    fork = Maker().block(rows(1))
    take(
        store, other.block(), other.block(), blocks[0], fork, *blocks[1:3], *blocks[5:7], blocks[8]
    )
    before = documents(store)
    assert opened(before["CT-1"])[4] == [[6, 7], [9, 9]]
    databases.tamper(database, sa.update(schema.kept).values(last=schema.kept.c.last + 90))
    assert documents(store) != before
    with store.write() as t:
        t.archive.rebuild()
    assert documents(store) == before
    with store.read() as t:
        assert t.archive.state("CT-1", other.chain).kept == ((1, 2),)


def test_two_gateways_at_one_database(store: Store, database: str) -> None:
    """Both get every block, in orders of their own, at the same time."""
    makers = {name: Maker(tracker=name) for name in ("CT-1", "CT-2", "CT-3")}
    with store.write() as t:
        for name in makers:
            t.registry.add_tracker(name, test=True)
            if name != "CT-1":
                t.registry.add_key(name, 1, KeyPair(UPLINK, DOWNLINK))
    arrivals = [Arrival(name, maker.block()) for name, maker in makers.items() for _ in range(80)]

    def serve(seed: int) -> list[Kept | Refused]:
        own = Store(database, create=False)
        order = Random(seed).sample(arrivals, len(arrivals))
        outcomes = [
            outcome
            for at in range(0, len(order), 7)
            for outcome in intake.take(own, order[at : at + 7], NOW_MS)
        ]
        own.close()
        return outcomes

    with ThreadPoolExecutor(2) as pool:
        outcomes = [outcome for result in pool.map(serve, (1, 2)) for outcome in result]
    assert sum(isinstance(outcome, Kept) and outcome.new for outcome in outcomes) == len(arrivals)
    for name, document in documents(store).items():
        assert opened(document, name)[2] == 80


def test_many_trackers_in_one_commit(store: Store) -> None:
    makers = {}
    with store.write() as t:
        for number in range(200):
            name = f"FLEET-{number}"
            t.registry.add_tracker(name, test=True)
            t.registry.add_key(name, 1, KeyPair(UPLINK, DOWNLINK))
            makers[name] = Maker(tracker=name)
    arrivals = [Arrival(name, maker.block()) for name, maker in makers.items() for _ in range(3)]
    Random(1).shuffle(arrivals)
    outcomes = intake.take(store, arrivals, NOW_MS)
    for arrival, outcome in zip(arrivals, outcomes, strict=True):
        assert isinstance(outcome, Kept)
        assert outcome.document is not None
        assert opened(outcome.document, arrival.tracker)[2] == 3
    assert len(documents(store)) == 200
