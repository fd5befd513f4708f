"""A tracker that sends what breaks something is named, and is in nobody's way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cbor2
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from coldtrail_gateway.evidence.findings import Name
from coldtrail_gateway.ingest import intake
from coldtrail_gateway.ingest.intake import Arrival
from coldtrail_gateway.readings import bulk, findings, overview, records, tables
from coldtrail_gateway.readings.projection import Projection
from coldtrail_gateway.store.database import Store
from coldtrail_gateway.store.registry import KeyPair
from coldtrail_gateway.store.tower.database import Tower
from tests.support.blocks import histories
from tests.support.blocks.blockmaker import BOOT_EVENT, Maker, downlink, rows, sealed, uplink
from tests.support.blocks.read_model import Model, archived

NOW_MS = 1_767_225_600_000
HOSTILE = "a\x00\x10\u202e'\"%s"


@pytest.fixture
def tower(database: str, store: Store) -> Iterator[Tower]:
    """The tower of a store that knows a second tracker."""
    with store.write() as registered:
        registered.registry.add_tracker("CT-2", test=True)
        registered.registry.add_key("CT-2", 1, KeyPair(uplink("CT-2"), downlink("CT-2")))
    with Tower(database, create=True) as opened:
        yield opened


def found(tower: Tower, tracker: str) -> list[tuple[Name, int]]:
    with tower.read() as connection:
        return [(finding.name, finding.first) for finding in findings.of(connection, tracker)]


def samples(tower: Tower, tracker: str, shipment: str = "S-1") -> int:
    with tower.read() as connection:
        number = records.number_of(connection, tracker, shipment)
        return len(list(records.samples(connection, number or 0)))


def test_texts_that_a_database_may_refuse_come_back_as_they_were(
    store: Store, tower: Tower
) -> None:
    maker = Maker(shipment=HOSTILE)
    outcome = (17, 60, 1_767_225_700_000, 2, 2, HOSTILE)
    calibration = (16, 0, 0, HOSTILE, HOSTILE, 1_767_225_600, 1_767_225_601, ())
    block = maker.block(rows(2), [BOOT_EVENT, calibration, outcome, (10, 0, HOSTILE)])
    maker.shipment = None
    intake.take(store, [Arrival("CT-1", block)], NOW_MS)
    intake.take(store, [Arrival("CT-1", maker.block(rows(2, start=600)))], NOW_MS)
    Projection(store, tower).run()
    with tower.read() as connection:
        number = records.number_of(connection, "CT-1", HOSTILE)
        events = list(records.events(connection, number or 0))
        assert [event.fields.get("reason") for event in events if event.type == 17] == [HOSTILE]
        assert [event.fields.get("instrument") for event in events if event.type == 16] == [
            HOSTILE
        ]
        (row,) = overview.of_all(connection)
    assert row.shipment == HOSTILE
    assert found(tower, "CT-1") == [(Name.TRUNCATED, 1)]


def test_a_million_samples_are_not_understood(store: Store, tower: Tower) -> None:
    maker = Maker()
    many = maker.payload(rows(1))
    many[8] |= {0: 1_000_000}
    intake.take(store, [Arrival("CT-1", maker.seal(many))], NOW_MS)
    intake.take(store, [Arrival("CT-1", maker.block(rows(2)))], NOW_MS)
    intake.take(store, [Arrival("CT-1", sealed(cbor2.dumps("no block")))], NOW_MS)
    Projection(store, tower).run()
    assert found(tower, "CT-1") == [(Name.UNDECODED, 1), (Name.UNDECODED, 0)]
    assert samples(tower, "CT-1") == 2


def test_a_block_that_cannot_be_written_is_named_and_the_others_are_taken_in(
    store: Store, tower: Tower
) -> None:
    """A row is in its way: any reason for which a database refuses one row is as good."""
    makers = Maker(), Maker("CT-2")
    arrivals = [
        Arrival(maker.tracker, maker.block(rows(2, start=600 * number)))
        for number in range(3)
        for maker in makers
    ]
    intake.take(store, arrivals, NOW_MS)
    with store.read() as kept:
        rows_of = [row.id for row in kept.archive.of("CT-1")]
    in_the_way = (1, 600, rows_of[1], 0, 0, *[None] * 8)
    with tower.write() as connection:
        bulk.insert(connection, tables.samples, [in_the_way])
    Projection(store, tower).run()
    assert found(tower, "CT-2") == []
    assert samples(tower, "CT-2") == 6
    # Its number is missing in its chain, and it is named.
    assert found(tower, "CT-1") == [(Name.UNREAD, 0), (Name.GAP, 2)]
    assert samples(tower, "CT-1") == 4
    with tower.read() as connection:
        reason = sa.select(tables.blocks.c.reason).where(tables.blocks.c.id == rows_of[1])
        assert "IntegrityError" in (connection.scalar(reason) or "")
    assert Projection(store, tower).behind().at_most == 0


@given(
    st.lists(st.tuples(histories.samples() | st.just([]), st.lists(histories.events, max_size=5)))
)
@settings(max_examples=60)
def test_whatever_the_contract_allows_is_taken_in(model: Model, said: Any) -> None:
    taken_in(model, said)


@given(
    st.lists(st.tuples(histories.samples() | st.just([]), st.lists(histories.events, max_size=5)))
)
@settings(max_examples=10)
def test_whatever_the_contract_allows_is_taken_in_by_postgresql(
    postgresql_model: Model, said: Any
) -> None:
    taken_in(postgresql_model, said)


def taken_in(model: Model, said: Any) -> None:
    maker = Maker()
    blocks = [maker.block(samples, events) for samples, events in said if samples or events]
    entries = archived([("CT-1", block, NOW_MS) for block in blocks])
    assert all(entry.block is not None for _, entry in entries)
    model.clear()
    model.fill([entries])
    with model.tower.read() as connection:
        shown = overview.of_all(connection)
    assert [row.samples for row in shown] == [
        sum(len(entry.block.samples) for _, entry in entries if entry.block)
    ] * bool(entries)
