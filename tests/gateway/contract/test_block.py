"""The block decoder: whatever a tracker records comes out of its blocks again."""

from __future__ import annotations

from random import Random
from typing import Any

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coldtrail_gateway.contract import block
from coldtrail_gateway.contract.block import BlockError
from tests.support.blocks import cddl, contract, strategies
from tests.support.blocks.blockmaker import Maker, Row, rows
from tests.support.blocks.histories import events, samples

syncs = strategies.fields(contract.SYNC).map(tuple)


def encoded(payload: dict[int, Any]) -> bytes:
    return cbor2.dumps(payload, canonical=True)


@given(
    rows=st.just([]) | samples(),
    records=st.lists(events, max_size=12),
    sync=st.none() | syncs,
    shipment=st.none() | strategies.value(contract.NAME),
    interval=st.integers(1, 86_400),
    urgent=st.booleans(),
)
@settings(max_examples=100, deadline=None)
def test_a_block_gives_back_what_was_recorded(
    rows: list[Row],
    records: list[tuple[Any, ...]],
    sync: tuple[int, ...] | None,
    shipment: str | None,
    interval: int,
    urgent: bool,
) -> None:
    maker = Maker(boot=7, sequence=1000, shipment=shipment, interval=interval, number=41)
    payload = maker.payload(rows, records, sync)
    if urgent:
        payload[10] = 1
    decoded = block.decode(encoded(payload))
    assert [(s.t, s.status, s.values) for s in decoded.samples] == rows
    assert [(e.type, *e.fields.values()) for e in decoded.events] == records
    assert (decoded.head.chain, decoded.head.number) == (maker.chain, 42)
    assert decoded.head.previous == bytes(16)
    assert (decoded.boot, decoded.sequence, decoded.shipment) == (7, 1000, shipment)
    assert decoded.urgent is urgent
    assert decoded.interval == (interval if rows else None)
    if sync is None:
        assert decoded.sync is None
    else:
        t, ms, unix, unix_ms, uncertainty, source = sync
        assert decoded.sync == block.Sync(
            t * 1000 + ms, unix * 1000 + unix_ms, uncertainty, source
        )
    assert cddl.is_valid("block", encoded(payload))


@pytest.mark.parametrize("seed", range(20))
def test_blocks_of_up_to_96_samples(seed: int) -> None:
    random = Random(seed)
    taken: list[Row] = []
    for t in sorted(random.choices(range(10**6), k=random.choice([1, 48, 95, 96]))):
        values = [random.choice([None, random.randint(-(2**23), 2**23 - 1)]) for _ in range(8)]
        taken.append((t, random.choice([0, 0x11111]), tuple(values)))
    decoded = block.decode(encoded(Maker().payload(taken)))
    assert [(s.t, s.status, s.values) for s in decoded.samples] == taken


COLUMNS = Maker().payload(rows(3))[8]


@pytest.mark.parametrize(
    ("samples", "complaint"),
    [
        ({**COLUMNS, 0: 2}, "not an array of 2"),
        ({**COLUMNS, 3: [0, 0]}, "says nothing"),
        ({**COLUMNS, 3: [1]}, "not an array of 2"),
        ({**COLUMNS, 3: [0, -301]}, "before the one before it"),
        ({**COLUMNS, 4: [0, 0, 0]}, "says nothing"),
        ({**COLUMNS, 8: [None, None, None]}, "no reading"),
        ({**COLUMNS, 8: [16_777_215, 1, 0]}, "out of range"),
        ({**COLUMNS, 16: [1, 2, 3]}, "unknown"),
        ({**COLUMNS, 1: 2**30 - 1}, "before the one before it"),
    ],
)
def test_columns_that_are_not_the_contracts(samples: dict[int, Any], complaint: str) -> None:
    with pytest.raises(BlockError, match=complaint):
        block.decode(encoded({**Maker().payload(), 8: samples}))


def test_the_head_is_read_whatever_follows() -> None:
    payload = Maker(number=8).payload()
    for strange in ({**payload, 0: 2, 4: "new"}, {**payload, 23: 1.5}):
        data = encoded(strange)
        head = block.read_head(data)
        assert (head.chain, head.number, head.previous) == (b"chain  1", 9, bytes(16))
        with pytest.raises(BlockError):
            block.decode(data)
    for broken in ({}, {**payload, 1: b"short"}, {**payload, 2: 0}, [1, 2]):
        with pytest.raises(BlockError):
            block.read_head(cbor2.dumps(broken))
