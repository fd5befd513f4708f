"""Attacks on a chain, and honest events: each gets its own finding, and no other."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from coldtrail_gateway.contract.block import decode, read_head
from coldtrail_gateway.contract.envelope import parse
from coldtrail_gateway.evidence import archive, findings
from coldtrail_gateway.evidence.archive import Entry
from coldtrail_gateway.evidence.findings import Name
from coldtrail_gateway.ingest import intake
from coldtrail_gateway.ingest.intake import Arrival
from coldtrail_gateway.shipments import history
from coldtrail_gateway.shipments.history import History
from coldtrail_gateway.store import schema
from coldtrail_gateway.store.archive import Archived
from coldtrail_gateway.store.database import Store
from coldtrail_gateway.store.registry import KeyPair
from tests.gateway import databases
from tests.support.blocks.blockmaker import (
    BOOT_EVENT,
    DOWNLINK,
    UPLINK,
    Maker,
    hash16,
    rows,
    sealed,
)

NOW_MS = 1_767_225_600_000


def told(store: Store, blocks: Iterable[bytes], shipment: str = "S-1") -> History:
    """Deliver blocks in this order, and return the shipment's history."""
    for block in blocks:
        intake.take(store, [Arrival("CT-1", block)], NOW_MS)
    with store.read() as tables:
        return history.load(tables, shipment)


def names(told: History) -> list[Name]:
    return [finding.name for finding in told.findings]


def spans(told: History) -> list[tuple[Name, int, int]]:
    return [(finding.name, finding.first, finding.last) for finding in told.findings]


def chain(count: int, maker: Maker | None = None) -> list[bytes]:
    maker = maker or Maker()
    return [
        maker.block(rows(3, start=900 * index), [BOOT_EVENT] if maker.number == 0 else [])
        for index in range(count)
    ]


def flaws(told: History) -> list[tuple[int, Name | None]]:
    return sorted({(placed.number, placed.flaw) for placed, _ in told.samples}, key=str)


def test_a_whole_chain_has_no_finding(store: Store) -> None:
    whole = told(store, chain(5))
    assert names(whole) == []
    assert whole.blocks == 5
    assert flaws(whole) == [(number, None) for number in range(1, 6)]


def test_order_of_arrival_does_not_matter(store: Store) -> None:
    blocks = chain(5)
    assert names(told(store, blocks[::-1])) == []


def test_dropped_blocks_are_a_gap(store: Store) -> None:
    blocks = chain(8)
    dropped = told(store, [blocks[2], *blocks[5:7]])
    assert spans(dropped) == [(Name.GAP, 1, 2), (Name.GAP, 4, 5)]


def test_a_late_block_closes_its_gap(store: Store) -> None:
    blocks = chain(3)
    assert names(told(store, blocks[::2])) == [Name.GAP]
    assert names(told(store, blocks[1:2])) == []


def test_a_block_received_again_is_counted_once(store: Store) -> None:
    blocks = chain(3)
    again = told(store, [*blocks, blocks[1], blocks[1]])
    assert spans(again) == [(Name.REPLAYED, 2, 2)]
    assert len(again.samples) == 9
    assert not any(finding.wrong for finding in again.findings)


def test_the_same_number_with_other_bytes_is_a_fork(store: Store) -> None:
    maker = Maker()
    first = chain(2, maker)
    clone = maker.copy()
    third = maker.block(rows(1))
    other = clone.block(rows(2))
    forked = told(store, [*first, third, other])
    assert spans(forked) == [(Name.FORK, 3, 3)]
    assert flaws(forked) == [(1, None), (2, None), (3, Name.FORK)]
    assert len(forked.samples) == 9


def test_a_copied_flash_in_a_second_tracker_is_a_fork(store: Store) -> None:
    maker = Maker()
    blocks = chain(3, maker)
    clone = maker.copy()
    clone.boot += 1
    for index in range(4):  # both report, turn by turn
        blocks.append(maker.block(rows(2, start=5000 + 900 * index)))
        blocks.append(
            clone.block(
                rows(3, start=900 * index), [(3, 0, clone.boot, 1, 0, "1.0")] if not index else []
            )
        )
    assert spans(told(store, blocks)) == [(Name.FORK, 4, 7)]


def test_an_old_image_of_the_flash_restored(store: Store) -> None:
    maker = Maker()
    blocks = chain(3, maker)
    image = maker.copy()
    blocks += [maker.block(rows(2, start=3000 + 900 * index)) for index in range(3)]
    image.boot += 1
    blocks.append(image.block(rows(1), [(3, 0, image.boot, 1, 0, "1.0")]))
    blocks += [image.block(rows(2, start=900 * index)) for index in range(1, 4)]
    restored = told(store, blocks)
    assert spans(restored) == [(Name.FORK, 4, 6), (Name.RESTORED_FLASH, 4, 6)]


def test_a_block_that_does_not_follow_is_a_splice(store: Store) -> None:
    maker = Maker()
    blocks = chain(2, maker)
    maker.previous = hash16(b"something else")
    spliced = told(store, [*blocks, maker.block(rows(2)), maker.block(rows(2))])
    assert spans(spliced) == [(Name.SPLICE, 3, 3)]
    assert flaws(spliced) == [(1, None), (2, None), (3, Name.SPLICE), (4, None)]


def test_swapped_numbers_are_splices(store: Store) -> None:
    maker = Maker()
    blocks = chain(2, maker)
    maker.number += 1
    blocks.append(maker.block(rows(1)))  # 4
    maker.number -= 2
    blocks.append(maker.block(rows(1)))  # 3, follows from 4
    assert spans(told(store, blocks)) == [(Name.SPLICE, 3, 3), (Name.SPLICE, 4, 4)]


def test_a_first_block_that_follows_from_something_is_a_splice(store: Store) -> None:
    assert spans(told(store, [Maker(previous=b"x" * 16).block(rows(1))])) == [(Name.SPLICE, 1, 1)]


def test_a_block_of_another_shipment_is_a_splice(store: Store) -> None:
    """Taken from a chain of the same tracker's, renumbered and sealed by who has the key."""
    elsewhere = Maker(chain=b"chain  0", shipment="S-0")
    chain(2, elsewhere)
    maker = Maker()
    blocks = chain(2, maker)
    spliced = elsewhere.payload(rows(2), k1=maker.chain, k7="S-1")
    assert spliced[2] == 3
    assert spans(told(store, [*blocks, maker.copy().seal(spliced)])) == [(Name.SPLICE, 3, 3)]


def test_a_block_of_another_tracker_is_not_even_archived(store: Store) -> None:
    """The tracker is part of what the MAC covers; also where both have the same key."""
    maker = Maker()
    blocks = chain(2, maker)
    foreign = Maker(**{**maker.__dict__, "tracker": "CT-2"}).block(rows(2))
    with store.write() as tables:
        tables.registry.add_tracker("CT-2", test=True)
        tables.registry.add_key("CT-2", 1, KeyPair(UPLINK, DOWNLINK))
    whole = told(store, [*blocks, foreign])
    assert names(whole) == []
    assert whole.blocks == 2
    with store.read() as tables:
        assert tables.quarantine.refused() == {"MAC does not verify": 1}


def test_a_new_key_is_an_honest_event(store: Store) -> None:
    maker = Maker()
    blocks = chain(2, maker)
    maker.key, maker.version = bytes(range(64, 96)), 2
    with store.write() as tables:
        tables.registry.add_key("CT-1", 2, KeyPair(maker.key, DOWNLINK))
    blocks += [maker.block(rows(2, start=1800)), maker.block(rows(2, start=2400))]
    whole = told(store, blocks)
    assert names(whole) == []
    assert whole.blocks == 4


def test_a_battery_change_is_an_honest_event(store: Store) -> None:
    maker = Maker()
    blocks = chain(2, maker)
    maker.boot += 1
    blocks.append(maker.block(rows(2), [(3, 0, maker.boot, 1, 0, "1.0")]))
    assert names(told(store, blocks)) == []


def test_a_new_chain_that_begins_with_a_boot_is_announced(store: Store) -> None:
    changed = told(store, [*chain(2), *chain(2, Maker(chain=b"chain  2"))])
    assert names(changed) == [Name.NEW_CHAIN_ANNOUNCED]
    assert not any(finding.wrong for finding in changed.findings)
    assert len(changed.samples) == 12


def test_a_new_chain_without_its_beginning_is_unannounced(store: Store) -> None:
    changed = told(store, [*chain(2), *chain(3, Maker(chain=b"chain  2"))[1:]])
    assert spans(changed) == [(Name.GAP, 1, 1), (Name.NEW_CHAIN_UNANNOUNCED, 1, 1)]


def test_a_shipment_left_without_its_stop_is_truncated(store: Store) -> None:
    maker = Maker()
    blocks = [
        maker.block(rows(2), [BOOT_EVENT, (10, 0, "S-1")]),
        maker.block(rows(2, start=600)),
    ]
    assert names(told(store, blocks)) == []  # still on its way
    maker.shipment = "S-2"
    following = maker.block(rows(2, start=1200), [(10, 1200, "S-2")])
    assert spans(told(store, [following])) == [(Name.TRUNCATED, 2, 2)]


def test_a_shipment_with_its_stop_is_whole(store: Store) -> None:
    maker = Maker()
    blocks = [
        maker.block(rows(2), [BOOT_EVENT, (10, 0, "S-1")]),
        maker.block(rows(2, start=600), [(11, 900, "S-1", 1)]),
    ]
    maker.shipment = None
    assert names(told(store, [*blocks, maker.block(rows(2, start=1200))])) == []


def test_what_is_not_understood_is_named_and_not_vouched_for(store: Store) -> None:
    maker = Maker()
    blocks = [*chain(2, maker), maker.block(k0=2), maker.block(k8="?"), *chain(1, maker)]
    strange = told(store, [*blocks, sealed(b"\xff")])
    assert sorted(spans(strange)) == [
        (Name.UNDECODED, 0, 0),
        (Name.UNDECODED, 3, 3),
        (Name.UNDECODED, 4, 4),
    ]


def test_a_chain_of_which_nothing_is_understood_concerns_the_shipment(store: Store) -> None:
    assert names(told(store, [Maker().block(k0=2)])) == [Name.UNDECODED]


def test_findings_of_another_shipment_are_not_this_ones(store: Store) -> None:
    maker = Maker(shipment="S-0")
    blocks = [maker.block(rows(1), [BOOT_EVENT]) for _ in range(4)]
    del blocks[1]
    maker.shipment = "S-1"
    blocks += [maker.block(rows(2)), maker.block(rows(2))]
    assert names(told(store, blocks)) == []


def test_tampering_with_the_archive_is_noticed(store: Store, database: str) -> None:
    blocks = chain(4)
    told(store, blocks)
    table = schema.blocks
    changed = bytearray(blocks[1])
    changed[40] ^= 1
    databases.unprotect(database)
    databases.tamper(
        database,
        sa.update(table).where(table.c.number == 2).values(sealed=bytes(changed)),
        sa.update(table).where(table.c.number == 4).values(number=5),
        sa.delete(table).where(table.c.number == 3),
    )
    tampered = told(store, [])
    assert Name.DAMAGED in names(tampered)
    assert {finding.first for finding in tampered.findings if finding.name is Name.DAMAGED} == {
        2,
        4,
    }


@given(st.data())
def test_honest_chains_lose_nothing_but_what_is_missing(data: st.DataObject) -> None:
    """Any part of an honest chain, in any order, is judged to have gaps and nothing else."""
    maker = Maker()
    blocks = []
    for _ in range(data.draw(st.integers(1, 12))):
        if data.draw(st.booleans()):
            maker.boot += 1
        blocks.append(maker.block(rows(1), [(3, 0, maker.boot, 1, 0, "1")]))
    order = data.draw(st.permutations(range(len(blocks))))
    kept = order[: data.draw(st.integers(1, len(blocks)))]
    entries = [_entry(index, blocks[number]) for index, number in enumerate(kept)]
    judged = findings.judge(entries)
    missing = {
        number for finding in judged.findings for number in range(finding.first, finding.last + 1)
    }
    assert {finding.name for finding in judged.findings} <= {Name.GAP}
    assert missing == set(range(1, max(kept) + 2)) - {number + 1 for number in kept}
    assert not judged.flawed


def _entry(index: int, block: bytes) -> Entry:
    payload = parse(block).payload
    head = read_head(payload)
    digest = hash16(block) + bytes(16)
    row = Archived(index, block, digest, 1, NOW_MS, head.chain, head.number, 0, None)
    return Entry(row, head, decode(payload))


def test_evidence_is_reopened_from_the_archive(store: Store) -> None:
    told(store, chain(3))
    with store.read() as tables:
        entries = archive.load(tables, "CT-1")
    assert [entry.head.number for entry in entries if entry.head] == [1, 2, 3]
    assert all(entry.block and not entry.damage for entry in entries)
