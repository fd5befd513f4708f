"""Blocks made by MicroPython from any history, read by others, are that history."""

from __future__ import annotations

import hashlib
import itertools
import random
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coldtrail.contract import block, cbor, cose
from coldtrail_gateway.contract import block as gateway_block
from coldtrail_gateway.contract import envelope
from coldtrail_gateway.shipments.history import assemble
from coldtrail_simulator.services import tools
from tests.support.blocks import cddl, contract, strategies
from tests.support.blocks.journey import entries
from tests.support.trackers import interpreters
from tests.support.trackers.interpreters import Interpreter

KEY: Final = bytes(range(32))
KID: Final = 7
TRACKER: Final = "CT-0001"
LARGEST_PAYLOAD: Final = contract.LARGEST_SEALED - 51
LONGEST_SYNC: Final = [2**30 - 1, 999, 2**32 - 1, 999, 2**32 - 1, 3]

Record = tuple[int, list[Any]]


@dataclass(frozen=True)
class History:
    """What a tracker remembers of one boot and shipment, at one sampling interval."""

    chain: bytes
    number: int
    previous: bytes
    boot: int
    sequence: int
    interval: int
    shipment: str | None
    records: list[Record]
    sync: list[int] | None = None
    urgent: bool = False

    def seal(self, interpreter: Interpreter) -> list[bytes]:
        """Return the blocks that the firmware makes of it."""
        first = (self.chain, self.number, self.previous, self.boot, self.sequence)
        sealed: list[bytes] = interpreter.call(
            "seal_all",
            [*first, self.interval, self.shipment],
            [[kind, cbor2.dumps(fields, canonical=True)] for kind, fields in self.records],
            [self.sync, self.urgent],
            KEY,
            KID,
            TRACKER,
        )
        return sealed


def column(values: list[int | None]) -> list[int | None]:
    entries: list[int | None] = []
    last = 0
    for value in values:
        entries.append(None if value is None else value - last)
        last = last if value is None else value
    return entries


def payload(history: History) -> dict[int, Any]:
    """Return the one block of a history, written down from the contract, limits not applied."""
    made = {
        0: 1,
        1: history.chain,
        2: history.number,
        3: history.previous,
        4: history.boot,
        5: history.sequence,
    }
    known = [fields for kind, fields in history.records if kind == 4]
    if history.sync and history.sync != (known[-1] if known else None):
        made[6] = history.sync
    if history.shipment:
        made[7] = history.shipment
    samples = [fields for kind, fields in history.records if kind == 1]
    events = [[kind, *fields] for kind, fields in history.records if kind != 1]
    if samples:
        times, status, *channels = map(list, zip(*samples, strict=True))
        table = {0: len(samples), 1: times[0], 2: history.interval}
        steps = [
            later - earlier - history.interval for earlier, later in itertools.pairwise(times)
        ]
        if any(steps):
            table[3] = steps
        if any(status):
            table[4] = status
        for channel, values in enumerate(channels):
            if any(value is not None for value in values):
                table[8 + channel] = column(values)
        made[8] = table
    if events:
        made[9] = events
    if history.urgent:
        made[10] = 1
    return made


def would_fit(history: History) -> bool:
    """Return whether the contract lets the history be one block, whatever is set until sealing."""
    largest = {**payload(history), 6: LONGEST_SYNC, 10: 1}
    table = largest.get(8, {})
    entries = [entry for key in range(8, 16) for entry in table.get(key, [])]
    return (
        len(cbor2.dumps(largest)) <= LARGEST_PAYLOAD
        and table.get(0, 0) <= contract.MOST_SAMPLES
        and len(largest.get(9, [])) <= contract.MOST_EVENTS
        and all(entry is None or abs(entry) < 2**24 for entry in entries)
    )


def check(history: History, blocks: list[bytes]) -> None:
    """Read blocks with other people's code: they are the history, and no block ends too early."""
    read: list[Record] = []
    expected = replace(history)
    for sealed in blocks:
        assert len(sealed) <= contract.LARGEST_SEALED
        opened = envelope.open_sealed(sealed, envelope.Kind.BLOCK, TRACKER, {KID: KEY})
        decoded = gateway_block.decode(opened.payload)
        count = len(decoded.samples) + len(decoded.events)
        mine = replace(expected, records=expected.records[:count])
        assert opened.payload == cbor2.dumps(payload(mine), canonical=True)
        assert cddl.is_valid("sealed", sealed)
        assert cddl.is_valid("block", opened.payload)
        assert would_fit(mine)
        rest = expected.records[count:]
        assert not rest or not would_fit(replace(mine, records=expected.records[: count + 1]))
        samples: list[Record] = [(1, [s.t, s.status, *s.values]) for s in decoded.samples]
        events: list[Record] = [(e.type, list(e.fields.values())) for e in decoded.events]
        # A block keeps the order of its samples and that of its events, not which came between.
        read += [(samples if kind == 1 else events).pop(0) for kind, _ in mine.records]
        expected = replace(
            expected,
            records=rest,
            number=expected.number + 1,
            previous=hashlib.sha256(sealed).digest()[:16],
            sequence=expected.sequence + count,
        )
    assert read == history.records
    check_tables(history, blocks)


def check_tables(history: History, blocks: list[bytes]) -> None:
    """What the gateway tells of these blocks is the history, in the order of time."""
    told = assemble(entries(*blocks), TRACKER, history.shipment or "")
    if history.shipment is None:
        assert not told.samples
        return
    samples = [[s.t, s.status, *s.values] for _, s in told.samples]
    events = [[e.type, *e.fields.values()] for _, e in told.events]
    assert samples == [fields for kind, fields in history.records if kind == 1]
    recorded = [[kind, *fields] for kind, fields in history.records if kind != 1]
    assert events == sorted(recorded, key=lambda event: event[1])
    assert {placed.boot for placed, _ in (*told.samples, *told.events)} <= {history.boot}


# A sample's first field is here the time since the sample before it, less the interval.
STEP: Final = st.just(0) | st.integers(-2, 2) | st.integers(-86400, 10**6)
SAMPLE: Final = st.tuples(
    st.just(1), st.tuples(STEP, *map(strategies.value, contract.SAMPLE[1:])).map(list)
)


@st.composite
def histories(draw: st.DrawFn) -> History:
    interval = draw(strategies.value(contract.INTERVAL))
    drawn = draw(st.lists(SAMPLE | strategies.EVENT, max_size=12)) * draw(st.integers(1, 12))
    t = draw(st.integers(0, 2**30 - 1) | st.integers(0, 10**6))
    records: list[Record] = []
    for kind, taken in drawn:
        if kind == 1:
            t = min(max(t, t + interval + taken[0]), 2**30 - 1)
            records.append((1, [t, *taken[1:]]))
        else:
            records.append((kind, taken))
    return History(
        chain=draw(strategies.value(contract.BEGINNING["chain"])),
        number=draw(st.integers(1, 2**32 - 1 - len(records))),
        previous=draw(strategies.value(contract.BEGINNING["previous"])),
        boot=draw(strategies.value(contract.COUNTER)),
        sequence=draw(st.integers(0, 2**32 - 1 - len(records))),
        interval=interval,
        shipment=draw(st.none() | strategies.value(contract.NAME)),
        records=records,
        sync=draw(
            st.sampled_from([None, *(fields for kind, fields in records if kind == 4)])
            | strategies.fields(contract.SYNC)
        ),
        urgent=draw(st.booleans()),
    )


@pytest.fixture(scope="module")
def all_interpreters() -> Iterator[list[Interpreter]]:
    with ExitStack() as stack:
        yield [stack.enter_context(interpreters.start(name)) for name in interpreters.NAMES]


@settings(max_examples=120, deadline=None)
@given(histories())
def test_any_history_comes_back(all_interpreters: list[Interpreter], history: History) -> None:
    made = [history.seal(interpreter) for interpreter in all_interpreters]
    assert made[0] == made[1] == made[2]
    check(history, made[0])


@pytest.mark.parametrize("spread", [0, 3, 30, 300, 3000, 300000])
@pytest.mark.parametrize("absent", [0.0, 0.1, 0.9])
def test_long_histories_come_back(
    all_interpreters: list[Interpreter], spread: int, absent: float
) -> None:
    chance = random.Random(f"{spread}/{absent}")
    records: list[Record] = []
    for n in range(400):
        readings = [
            None if chance.random() < absent else 500 + chance.randint(-spread, spread)
            for _ in range(8)
        ]
        records.append((1, [300 * n + chance.choice([0, 0, 1]), None in readings, *readings]))
        records[-1][1][1] = int(records[-1][1][1])
        if chance.random() < 0.02:
            records.append((4, [300 * n, 0, 1700000000 + 300 * n, 5, 900, 1]))
    history = History(bytes(8), 1, bytes(16), 1, 0, 300, "SHIPMENT-1", records)
    made = [history.seal(interpreter) for interpreter in all_interpreters]
    assert made[0] == made[1] == made[2]
    check(history, made[0])


def test_counts_end_a_block(all_interpreters: list[Interpreter]) -> None:
    quiet: list[Record] = [(1, [60 * n, 0, 1, *[None] * 7]) for n in range(200)]
    history = History(bytes(8), 1, bytes(16), 1, 0, 60, None, quiet)
    made = history.seal(all_interpreters[0])
    check(history, made)
    assert [count(sealed, 8) for sealed in made] == [96, 96, 8]
    history = replace(history, records=[(10, [0, "x"])] * 130)
    made = history.seal(all_interpreters[0])
    check(history, made)
    assert [count(sealed, 9) for sealed in made] == [64, 64, 2]


def count(sealed: bytes, key: int) -> int:
    value = cbor2.loads(cbor2.loads(sealed).value[2])[key]
    return value[0] if key == 8 else len(value)


def test_an_empty_block_is_a_block() -> None:
    history = History(bytes(8), 1, bytes(16), 1, 0, 60, None, [])
    sealed = bytes(new_builder().seal(KEY, KID, TRACKER))
    check(history, [sealed])


def test_an_absent_value_costs_no_more_than_a_byte() -> None:
    samples = [[60 * n, 0, *range(n, n + 8)] for n in range(24)]

    def size() -> int:
        builder = new_builder()
        for sample in samples:
            assert builder.add(1, cbor.encode(sample))
        return len(builder.seal(KEY, KID, TRACKER))

    whole = size()
    for sample in samples[4:20]:
        sample[2:] = [None] * 8
    assert size() == whole
    for sample in samples:
        sample[2:] = [None] * 8
    assert size() < whole - 8 * 24


def new_builder(**changes: Any) -> block.Builder:
    first = {
        "chain": bytes(8),
        "number": 1,
        "previous": bytes(16),
        "boot": 1,
        "first_sequence": 0,
        "interval": 60,
        "shipment": None,
    }
    return block.Builder(**{**first, **changes})


@settings(max_examples=200, deadline=None)
@given(
    st.integers(0, 31),
    st.binary(max_size=40) | st.lists(st.integers() | st.none()).map(cbor2.dumps),
    st.lists(st.tuples(st.integers(0, 5), st.integers(-9, 9)), min_size=1, max_size=9),
)
def test_a_refused_record_leaves_no_trace(
    kind: int, junk: bytes, samples: list[tuple[int, int]]
) -> None:
    builder, untouched = new_builder(), new_builder()
    for n, (status, value) in enumerate(samples):
        record = cbor.encode([60 * n, status, *[value] * 8])
        assert builder.add(1, record)
        assert untouched.add(1, record)
    try:
        taken = builder.add(kind, junk)
    except ValueError:
        taken = False
    if not taken:
        assert builder.seal(KEY, KID, TRACKER) == untouched.seal(KEY, KID, TRACKER)


def test_time_does_not_go_back_within_a_block() -> None:
    builder = new_builder()
    assert builder.add(1, cbor.encode([100, 0, *[1] * 8]))
    with pytest.raises(ValueError, match="99 s after one at 100 s"):
        builder.add(1, cbor.encode([99, 0, *[1] * 8]))
    assert builder.add(1, cbor.encode([100, 0, *[1] * 8]))


def test_a_difference_out_of_range_begins_a_new_block() -> None:
    builder = new_builder()
    assert builder.add(1, cbor.encode([0, 0, -1, *[None] * 7]))
    assert builder.add(1, cbor.encode([60, 0, 2**24 - 2, *[None] * 7]))
    assert builder.add(1, cbor.encode([120, 0, -1, *[None] * 7]))
    assert not builder.add(1, cbor.encode([180, 0, 2**24 - 1, *[None] * 7]))
    assert builder.add(1, cbor.encode([180, 0, 0, *[None] * 7]))


@pytest.mark.parametrize("data", [b"", b"a", bytes(1400)])
def test_digest(data: bytes) -> None:
    assert cose.digest(data) == hashlib.sha256(data).digest()[:16]


# ---- memory, on the 32-bit reference interpreter --------------------------------------------


def run_in(heap: int, mode: str, volume: Path) -> bool:
    """Return whether the program finishes in a heap of so many bytes."""
    (volume / "uplink_memory_setting.py").write_text(f"MODE = {mode!r}\n")
    done = subprocess.run(
        [*tools.micropython32(), "-X", f"heapsize={heap}", "-c", "import uplink_memory"],
        env={"MICROPYPATH": str(volume)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        assert "MemoryError" in done.stderr + done.stdout or "memory allocation" in done.stderr
        return False
    assert mode == "IDLE" or 1350 <= int(done.stdout) <= contract.LARGEST_SEALED
    return True


def smallest_heap(mode: str, volume: Path) -> int:
    low, high = 4096, 262144
    assert run_in(high, mode, volume)
    while high - low > 128:
        middle = (low + high) // 2
        low, high = (low, middle) if run_in(middle, mode, volume) else (middle, high)
    return high


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    interpreters.install(tmp_path, "uplink_memory.py")
    return tmp_path


def test_a_full_block_needs_little_heap(volume: Path) -> None:
    idle, sealing = smallest_heap("IDLE", volume), smallest_heap("SEAL", volume)
    print(f"smallest heap: {idle} B idle, {sealing} B with a full block sealed")
    assert sealing - idle <= 8192


def test_no_allocation_is_above_4_kib(volume: Path) -> None:
    assert run_in(65536, "FRAGMENTS", volume)
