"""What is signed of a shipment, and that a block which arrives later supersedes a release."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

from coldtrail_gateway.audit import canonical, signatures, trail
from coldtrail_gateway.audit.signatures import KINDS, Proof, Standing
from coldtrail_gateway.audit.trail import Actor, Kind, Subject
from coldtrail_gateway.ingest import intake
from coldtrail_gateway.ingest.intake import Arrival
from coldtrail_gateway.shipments import history, signed_record
from coldtrail_gateway.store.database import Store
from coldtrail_gateway.store.registry import KeyPair, Shipment
from coldtrail_gateway.store.tower.database import Tower
from tests.support.blocks.blockmaker import BOOT_EVENT, DOWNLINK, UPLINK, Maker, rows

NOW_MS = 1_772_323_200_000
ANA = Actor(Kind.PERSON, "ana", "Ana Petrova", "192.0.2.7", "Europe/Vienna")
S1 = Subject("shipment", "S-1")
RELEASE = KINDS["release"]


def record(store: Store) -> canonical.Json:
    with store.read() as tables:
        return signed_record.of(history.load(tables, "S-1"))


def journey() -> list[bytes]:
    maker = Maker()
    return [
        maker.block(rows(3), [BOOT_EVENT]),
        maker.block(rows(3)),
        maker.block(rows(2)),
    ]


def take(store: Store, blocks: list[bytes], now_ms: int = NOW_MS) -> None:
    answers = intake.take(store, [Arrival("CT-1", block) for block in blocks], now_ms)
    assert all(isinstance(answer, intake.Kept) for answer in answers)


def test_a_late_block_supersedes_a_release(store: Store, database: str) -> None:
    blocks = journey()
    take(store, blocks[:2])
    with Tower(database, create=True) as tower:
        with tower.write() as connection:
            release = signatures.sign(
                connection,
                ANA,
                RELEASE,
                S1,
                record(store),
                "",
                Proof("ana", frozenset(["password", "totp"])),
                "s1",
                NOW_MS,
            )
        take(store, blocks[:1], NOW_MS + 1000)  # the same bytes again change nothing
        assert reviewed(tower, store, release).stands
        take(store, blocks[2:], NOW_MS + 2000)
        found = reviewed(tower, store, release)
        assert not found.stands
        with tower.read() as connection:
            entries = list(trail.find(connection))
            kept = signatures.signed_content(connection, release)
    assert [entry.action for entry in entries] == ["signature.signed", "signature.superseded"]
    assert found == Standing(stands=False, superseded=entries[1])
    signed = canonical.decode(kept)["record"]
    assert [block["number"] for block in sorted(signed["blocks"], key=lambda b: b["number"])] == [
        1, 2
    ]  # fmt: skip
    assert signed["samples"] == 6


def reviewed(tower: Tower, store: Store, signed: signatures.Signature) -> Standing:
    current = signatures.content_hash(RELEASE, S1, record(store))
    with tower.write() as connection:
        return signatures.review(connection, signed, current, NOW_MS + 5000)


def test_the_order_of_arrival_does_not_matter(tmp_path: Path) -> None:
    blocks = journey()
    found = []
    for order in permutations(range(3)):
        with Store(tmp_path / f"{order}.db", create=True) as store:
            with store.write() as tables:
                tables.registry.add_tracker("CT-1", test=True)
                tables.registry.add_key("CT-1", 1, KeyPair(UPLINK, DOWNLINK))
                tables.registry.add_shipment(Shipment("S-1", "CT-1", None))
            for index in order:
                take(store, [blocks[index]])
            found.append(record(store))
    first = found[0]
    assert isinstance(first, dict)
    assert (first["samples"], first["vouched_for"], first["findings"]) == (8, 8, [])
    assert {canonical.encode(one) for one in found} == {canonical.encode(first)}
