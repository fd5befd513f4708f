"""The judge sees to it that no signature of a shipment is superseded silently."""

from __future__ import annotations

from coldtrail_gateway.audit import signatures, trail
from coldtrail_gateway.audit.signatures import KINDS, Proof, Signature
from coldtrail_gateway.audit.trail import Actor, Kind, Subject, Wanted
from coldtrail_gateway.ingest import intake
from coldtrail_gateway.ingest.intake import Arrival
from coldtrail_gateway.readings.projection import Projection
from coldtrail_gateway.shipments import history, signed_record
from coldtrail_gateway.shipments.signed import Signed
from coldtrail_gateway.store.database import Store
from coldtrail_gateway.store.tower.database import Tower
from tests.support.blocks.blockmaker import BOOT_EVENT, Maker, rows

NOW_MS = 1_772_323_200_000
ANA = Actor(Kind.PERSON, "ana", "Ana Petrova", "192.0.2.7", "Europe/Vienna")
S1 = Subject("shipment", "S-1")


def read(store: Store, tower: Tower, *blocks: bytes) -> None:
    """Let blocks arrive, and the read model know them."""
    answers = intake.take(store, [Arrival("CT-1", block) for block in blocks], NOW_MS)
    assert all(isinstance(answer, intake.Kept) for answer in answers)
    Projection(store, tower).run()


def sign(store: Store, tower: Tower) -> Signature:
    with store.read() as tables:
        record = signed_record.of(history.load(tables, "S-1"))
    proof = Proof("ana", frozenset(["password", "totp"]))
    with tower.write() as connection:
        return signatures.sign(
            connection, ANA, KINDS["release"], S1, record, "", proof, "s1", NOW_MS
        )


def superseded(tower: Tower) -> list[int | None]:
    """Return which entries of the trail are said to be superseded."""
    with tower.read() as connection:
        found = trail.find(connection, Wanted(action=signatures.SUPERSEDED.name))
        return [entry.answers for entry in found]


def test_a_late_block_supersedes_once_and_what_is_signed_afterwards_stands(
    store: Store, database: str
) -> None:
    maker = Maker()
    first, second, third = (
        maker.block(rows(3), [BOOT_EVENT]),
        maker.block(rows(3)),
        maker.block(rows(2)),
    )
    with Tower(database, create=True) as tower:
        read(store, tower, first, third)
        release = sign(store, tower)
        judge = Signed(store, tower, lambda: NOW_MS)
        judge.review()
        read(store, tower, third)  # the same bytes again change nothing
        judge.review()
        assert superseded(tower) == []
        read(store, tower, second)
        judge.review()
        judge.review()
        assert superseded(tower) == [release.number]
        again = sign(store, tower)
        judge.review()
        Signed(store, tower, lambda: NOW_MS).review()
        assert superseded(tower) == [release.number]
        with tower.read() as connection:
            assert signatures.standing(connection, again, again.digest).stands


def test_what_came_while_no_judge_ran_is_noticed_at_its_start(store: Store, database: str) -> None:
    maker = Maker()
    with Tower(database, create=True) as tower:
        read(store, tower, maker.block(rows(3), [BOOT_EVENT]))
        release = sign(store, tower)
        read(store, tower, maker.block(rows(3)))
        Signed(store, tower, lambda: NOW_MS).review()
        assert superseded(tower) == [release.number]


def test_a_block_that_nobody_can_read_supersedes_as_well(store: Store, database: str) -> None:
    """It may belong to the shipment."""
    maker = Maker()
    with Tower(database, create=True) as tower:
        read(store, tower, maker.block(rows(3), [BOOT_EVENT]))
        judge = Signed(store, tower, lambda: NOW_MS)
        for _ in range(2):
            release = sign(store, tower)
            judge.review()
            assert release.number not in superseded(tower)
            read(store, tower, maker.seal(maker.payload(k0=99)))
            judge.review()
            assert superseded(tower)[-1] == release.number
