"""The flash log against a plain list, and against parts that fail."""

import random
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from coldtrail.log.flashlog import Log, LogFull
from coldtrail_simulator.models.nor import NorArray
from coldtrail_simulator.services import tools
from tests.support.flash.norflash import NorFlash

ROOT = Path(__file__).parents[3]
SECTOR = 4096
CHECKPOINT = 30


def flash(sectors=8, sector_size=SECTOR, page=256, unit=1, programs=0, seed=0):
    return NorFlash(
        NorArray(random.Random(seed), sectors * sector_size, sector_size, page, unit, programs)
    )


def mounted(nor, size=24, hint=None, **options):
    log = Log(nor, lambda: bytes(size), **options)
    log.mount(hint)
    return log


def contents(log, first=0):
    return [(s, k, bytes(p)) for s, k, p in log.records(first)]


class AgainstAList(RuleBasedStateMachine):
    """Whatever is done, the log holds what a list would."""

    def __init__(self):
        super().__init__()
        self.nor = flash(6, 512, 64)
        self.list = []
        self.released = 0
        self.hints = [b"", b"nonsense"]
        self.start(None)

    def start(self, hint):
        self.log: Any = Log(self.nor, lambda: struct.pack("<I", self.log.next))
        self.log.mount(hint)
        self.log.release(self.released)

    @rule(kind=st.integers(1, 29), payload=st.binary(max_size=208))
    def append(self, kind, payload):
        payload = payload[: self.log.max_payload]
        before, first = self.log.next, self.log.first
        try:
            sequence = self.log.append(kind, payload)
        except LogFull:
            # Nothing was released that could have made room: the second sector's first record.
            assert self.log.next == before
            assert self.released < before
            return
        if sequence > before:
            self.list.append((before, CHECKPOINT, struct.pack("<I", before)))
        self.list.append((sequence, kind, payload))
        assert self.log.first <= max(first, self.released)

    @rule(back=st.integers(0, 40))
    def release(self, back):
        self.released = max(self.released, self.log.next - back)
        self.log.release(self.released)

    @rule()
    def take_hint(self):
        self.hints.append(self.log.hint())

    @rule(data=st.data())
    def remount(self, data):
        """With any hint ever given out: it may say the truth or what was true once."""
        before = (self.log.first, self.log.next)
        self.start(data.draw(st.sampled_from(self.hints)))
        assert self.log.next == before[1]
        assert self.log.first <= before[0]

    @rule()
    def remount_after_sleep(self):
        before = (self.log.first, self.log.next)
        reads = self.nor.reads
        hint = self.log.hint()
        self.start(hint)
        assert (self.log.first, self.log.next) == before
        if hint:
            assert self.nor.reads - reads <= 4

    @rule(data=st.data())
    def read_one(self, data):
        sequence = data.draw(st.integers(0, self.log.next + 1))
        kept = {s: (k, p) for s, k, p in self.list if s >= self.log.first}
        if sequence in kept:
            kind, payload = self.log.read(sequence)
            assert (kind, bytes(payload)) == kept[sequence]
        else:
            with pytest.raises(LookupError):
                self.log.read(sequence)

    @rule(data=st.data())
    def read_range(self, data):
        first = data.draw(st.integers(0, self.log.next))
        last = data.draw(st.integers(first, self.log.next))
        found = [(s, k, bytes(p)) for s, k, p in self.log.records(first, last)]
        assert found == [r for r in self.list if max(first, self.log.first) <= r[0] <= last]

    @precondition(lambda self: self.list)
    @rule()
    def checkpoint(self):
        assert self.log.checkpoint == struct.pack("<I", self.log.checkpoint_sequence)
        newest = max(s for s, k, _ in self.list if k == CHECKPOINT)
        assert self.log.checkpoint_sequence == newest

    @invariant()
    def holds_the_list(self):
        assert contents(self.log) == [r for r in self.list if r[0] >= self.log.first]
        assert self.log.damaged == []
        assert self.log.first <= max(1, self.released)


AgainstAList.TestCase.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
test_against_a_list = AgainstAList.TestCase


# ---- cost ----


def test_bytes_and_erases_of_a_32_byte_record():
    nor = flash(16)
    log = mounted(nor, 32)
    records = 5000
    for n in range(records):
        log.release(log.append(1, n.to_bytes(32, "little")))
    assert nor.array.programmed_bytes <= 1.27 * 32 * records
    assert nor.erases <= 0.0100 * records


@pytest.mark.parametrize("records", [4000, 12000])
def test_a_cold_mount_reads_every_header_and_little_else(records):
    nor = flash(64)
    log = mounted(nor)
    for n in range(records):
        log.release(log.append(1, n.to_bytes(32, "little")))
    reads = nor.reads
    mounted(nor)
    # Every header; the head's records in pieces, and what follows them twice; on a flash that was
    # never used the next sector too, whether it is blank.
    pages = SECTOR // 256
    assert nor.reads - reads <= 64 + 2 * pages + 12 + (pages if records < 6000 else 0)


def test_locating_a_record_takes_a_binary_search():
    nor = flash(64)
    log = mounted(nor)
    for n in range(6000):
        log.append(1, n.to_bytes(32, "little"))
    for sequence in random.Random(1).sample(range(log.first, log.next), 50):
        reads = nor.reads
        log.read(sequence)
        # Six headers or so, the neighbour's, and the sector up to the record in pieces.
        assert nor.reads - reads <= 10 + 17


def test_300_days_at_five_minutes():
    """8 MiB: a sample of 33 bytes each, a block an hour of 260, checkpoints of 300."""
    nor = flash(2048)
    log = mounted(nor, 300)
    sample, block = bytes(33), bytes(260)
    days = 0
    while True:
        try:
            for _ in range(24):
                for _ in range(12):
                    log.append(1, sample)
                log.append(28, block)
        except LogFull:
            break
        days += 1
    assert days >= 300


# ---- policy ----


def test_full_means_full_and_nothing_is_lost():
    log = mounted(flash(5))
    accepted = []
    full = False
    while not full:
        try:
            accepted.append(log.append(1, bytes(100)))
        except LogFull:
            full = True
    assert [s for s, k, _ in contents(log) if k == 1] == accepted
    log.release(accepted[len(accepted) // 2])
    assert log.append(1, b"again") > accepted[-1]


def test_space_is_reused_only_when_needed():
    log = mounted(flash(8))
    for _ in range(150):
        log.release(log.append(1, bytes(100)) + 1)
    assert log.first == 1


def test_overwriting_gives_up_the_oldest_and_nothing_else():
    log = mounted(flash(5))
    log.overwrite = True
    last = [log.append(1, bytes(32)) for _ in range(500)][-1]
    assert log.first > 1
    assert [s for s, _, _ in contents(log)] == list(range(log.first, last + 1))


@pytest.mark.parametrize("kind", [0, 30, 31])
def test_types_of_its_own_are_refused(kind):
    with pytest.raises(ValueError, match="type 1 to 29"):
        mounted(flash()).append(kind, b"")


def test_records_that_are_too_long_are_refused():
    log = mounted(flash())
    log.append(1, bytes(log.max_payload))
    with pytest.raises(ValueError, match="2000 bytes"):
        log.append(1, bytes(log.max_payload + 1))


def test_a_ring_within_a_larger_flash():
    nor = flash(16)
    log = mounted(nor, first=4, sectors=6)
    for _ in range(1000):
        log.release(log.append(1, bytes(32)))
    assert all(nor.array.wear[4:10])
    assert not any(nor.array.wear[:4] + nor.array.wear[10:])
    assert mounted(nor, first=4, sectors=6).next == log.next


@pytest.mark.parametrize(("first", "sectors"), [(0, 4), (4, None), (4, 5), (0, 9)])
def test_a_ring_that_does_not_fit(first, sectors):
    with pytest.raises(ValueError, match="sectors"):
        Log(flash(8), bytes, first, sectors)


@pytest.mark.parametrize(("size", "page"), [(16384, 256), (4096, 32)])
def test_geometries_it_is_not_for(size, page):
    with pytest.raises(ValueError, match="8 KiB"):
        Log(flash(8, size, page), bytes)


# ---- wear and failure ----


@pytest.mark.parametrize("remounts", [False, True])
def test_wear_is_even(remounts):
    nor = flash(8)
    log = mounted(nor)
    rng = random.Random(5)
    for _ in range(12000):
        log.release(log.append(1, bytes(rng.randrange(60))))
        if remounts and rng.random() < 0.02:
            released = log.next
            log = mounted(nor, hint=log.hint() if rng.random() < 0.5 else None)
            log.release(released)
    assert max(nor.array.wear) > 5
    assert max(nor.array.wear) - min(nor.array.wear) <= 1


@pytest.mark.parametrize("seed", range(6))
def test_two_percent_of_bad_sectors_cost_only_capacity(seed):
    """Sectors fail while they are in use; every record stays, in order and unchanged."""
    rng = random.Random(seed)
    nor = flash(100, 1024, 64, seed=seed)
    log = mounted(nor)
    model = []
    bad = rng.sample(range(100), 2)
    for n in range(12000):
        if n == 1500:
            nor.array.fail_erase(bad[0])
            nor.array.fail_program(bad[1])
        payload = rng.randbytes(rng.randrange(50))
        before = log.next
        sequence = log.append(5, payload)
        if sequence > before:
            model.append((before, CHECKPOINT, bytes(24)))
        model.append((sequence, 5, payload))
        log.release(sequence - 300)
        if rng.random() < 0.003:
            log = mounted(nor)
            log.release(sequence - 300)
    assert contents(log) == [r for r in model if r[0] >= log.first]
    assert log.damaged == []
    assert mounted(nor).retired == 2
    in_service = [wear for sector, wear in enumerate(nor.array.wear) if sector not in bad]
    assert max(in_service) - min(in_service) <= 3
    # All sectors but the bad ones, the head's rest and those kept free.
    assert len(model) > 1000


def test_records_of_a_failing_sector_are_moved():
    nor = flash(8)
    log = mounted(nor)
    accepted = [log.append(1, bytes((n,)) * 40) for n in range(20)]
    nor.array.fail_program(0)
    accepted += [log.append(1, bytes((n,)) * 40) for n in range(20, 50)]
    assert log.retired == 1
    for view in (log, mounted(nor)):
        assert view.retired == 1
        assert [(s, bytes(p)) for s, k, p in view.records(0) if k == 1] == [
            (s, bytes((n,)) * 40) for n, s in enumerate(accepted)
        ]


def find(nor, payload):
    return nor.array.cells.index(payload)


@pytest.mark.parametrize("offset", range(-8, 32, 3))
@pytest.mark.parametrize("bit", [0, 7])
def test_a_flipped_bit_is_reported_by_number_and_the_neighbours_are_read(offset, bit):
    nor = flash(8)
    log = mounted(nor)
    rng = random.Random(3)
    payloads = {}
    for _ in range(300):
        payload = rng.randbytes(32)
        payloads[log.append(1, payload)] = payload
    victim = 120
    nor.array.flip(find(nor, payloads[victim]) + offset, bit)
    for view in (log, mounted(nor)):
        found = {s: bytes(p) for s, k, p in view.records(1) if k == 1}
        assert found == {s: p for s, p in payloads.items() if s != victim}
        assert view.damaged == [(victim, victim)]
        with pytest.raises(OSError, match="record 120 is damaged"):
            view.read(victim)
        assert bytes(view.read(victim + 1)[1]) == payloads[victim + 1]
        assert view.next == max(payloads) + 1


@pytest.mark.parametrize("bit", range(0, 160, 7))
def test_a_flipped_bit_in_a_header_hides_nothing(bit):
    nor = flash(8)
    log = mounted(nor)
    accepted = [log.append(1, bytes(32)) for _ in range(400)]
    nor.array.flip(2 * SECTOR + bit // 8, bit % 8)
    log = mounted(nor)
    assert [s for s, k, _ in log.records(0) if k == 1] == accepted
    assert log.damaged == []


def test_a_header_beyond_repair_is_reported_and_the_rest_is_read():
    nor = flash(8)
    log = mounted(nor)
    accepted = [log.append(1, bytes(32)) for _ in range(400)]
    nor.array.flip(SECTOR + 9, 1)
    nor.array.flip(SECTOR + 14, 6)
    log = mounted(nor)
    found = [s for s, k, _ in log.records(0) if k == 1]
    (gap,) = log.damaged
    assert found == [s for s in accepted if not gap[0] <= s <= gap[1]]
    assert 90 < gap[1] - gap[0] < 110


def test_a_damaged_checkpoint_costs_one_sector_back():
    nor = flash(8)
    log: Any = Log(nor, lambda: b"state before %d" % log.next)
    log.mount()
    while nor.erases < 3:
        log.append(1, bytes(32))
    for _ in range(5):
        log.append(1, bytes(32))
    newest = log.checkpoint_sequence
    assert log.checkpoint == b"state before %d" % newest
    nor.array.flip(find(nor, b"state before %d" % newest), 2)
    again = mounted(nor)
    assert again.checkpoint_sequence < newest
    assert again.checkpoint == b"state before %d" % again.checkpoint_sequence


def test_a_layout_of_another_version_is_left_alone_and_reported():
    nor = flash(8)
    log = mounted(nor)
    for _ in range(150):
        log.append(1, bytes(32))
    # Sectors 4 and 5 hold another version: same magic, and a CRC over the same 16 bytes.
    import binascii

    header = bytearray(nor.array.cells[:16])
    header[2] = 2
    header += binascii.crc32(header).to_bytes(4, "little")
    for sector in (4, 5):
        nor.array.program(sector * SECTOR, bytes(header))
        nor.array.program(sector * SECTOR + 40, b"of another time")
    before = bytes(nor.array.cells[4 * SECTOR : 6 * SECTOR])
    log = mounted(nor)
    assert log.unknown == 2
    for _ in range(3000):
        log.release(log.append(1, bytes(32)))
    assert bytes(nor.array.cells[4 * SECTOR : 6 * SECTOR]) == before
    assert mounted(nor).unknown == 2


def test_garbage_of_a_former_use_is_overwritten():
    nor = flash(8)
    nor.array.cells[:] = random.Random(2).randbytes(len(nor.array.cells))
    log = mounted(nor)
    assert (log.first, log.next) == (1, 1)
    for _ in range(3000):
        log.release(log.append(1, bytes(32)))
    assert mounted(nor).next == log.next


def test_the_flash_that_stops_answering_is_an_error_and_the_log_goes_on_after():
    nor = flash(8)
    log = mounted(nor)
    accepted = [log.append(1, bytes(32)) for _ in range(10)]

    def timeout(address, data):
        raise OSError(110)

    nor.before = timeout
    with pytest.raises(OSError, match="110"):
        log.append(1, bytes(32))
    nor.before = None
    accepted.append(log.append(1, bytes(32)))
    for view in (log, mounted(nor)):
        assert [s for s, k, _ in view.records(0) if k == 1] == accepted


RAM = """
import gc, sys
sys.path[:] = ["{firmware}"]
from coldtrail.log.flashlog import Log

class Nor:
    size, sector_size, program_size, write_unit, programs_per_unit = 20480, 4096, 256, 1, 0
    cells = bytearray(size)

    def read(self, address, buffer):
        buffer[:] = memoryview(self.cells)[address : address + len(buffer)]

    def program(self, address, data):
        for i in range(len(data)):
            self.cells[address + i] &= data[i]

    def erase(self, address):
        for i in range(address, address + 4096):
            self.cells[i] = 255

def used():
    gc.collect()
    return gc.mem_alloc()

nor = Nor()
for start in range(0, Nor.size, 4096):
    nor.erase(start)
snapshot = lambda: b"state"
Log(nor, snapshot).mount()
before = used()
log = Log(nor, snapshot)
log.mount()
print(used() - before)
for n in range(700):
    log.release(log.append(1, bytes(32)))
for _ in log.records(0):
    pass
print(used() - before)
"""


def test_its_state_and_buffers_stay_below_one_kib():
    """On the 32-bit interpreter, buffers included; they grow for longer records than these."""
    script = RAM.format(firmware=ROOT / "firmware")
    done = subprocess.run(
        [*tools.micropython32(), "-X", "heapsize=96k", "-c", script],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    mounted_bytes, used_bytes = map(int, done.stdout.split())
    assert mounted_bytes <= 1024
    assert used_bytes <= 1024 + 64, "nothing grows but the numbers"


# ---- the hint ----


def _appended(nor, log):
    log.append(1, b"since then")


def _opened(nor, log):
    for _ in range(120):
        log.append(1, bytes(32))


def _went_round(nor, log):
    for _ in range(1200):
        log.release(log.append(1, bytes(32)))


def _mounted(nor, log):
    mounted(nor)


def _rotted(nor, log):
    """Flip a bit of the last record."""
    nor.array.flip(log.head * SECTOR + log.last + 12, 3)


def _torn(nor, log):
    """Leave an append that was cut short."""
    nor.array.program(log.head * SECTOR + log.end, b"\x20\x08\xff")


def _erased(nor, log):
    nor.array.erase(log.head)


def _exchanged(nor, log):
    """Put another part in its place."""
    nor.array.cells[:] = flash(8).array.cells


@pytest.mark.parametrize(
    "happened",
    [_appended, _opened, _went_round, _mounted, _rotted, _torn, _erased, _exchanged],
    ids=lambda happened: happened.__name__[1:],
)
def test_a_hint_is_believed_only_when_the_flash_agrees(happened):
    """What RTC memory says is checked against the flash before anything is done by it."""
    nor = flash(8)
    log = mounted(nor, size=32)
    for n in range(250):
        log.append(1, n.to_bytes(32, "little"))
    hint = log.hint()
    happened(nor, log)
    twin = NorFlash(nor.array.copy(random.Random(0)))
    after, cold = Log(nor, lambda: bytes(32)), Log(twin, lambda: bytes(32))
    assert not after.mount(hint)
    cold.mount()
    assert (after.first, after.next) == (cold.first, cold.next)
    assert contents(after) == contents(cold)
    assert nor.array.cells == twin.array.cells


def test_a_hint_with_a_flipped_bit_is_not_believed():
    nor = flash(8)
    log = mounted(nor)
    for _ in range(250):
        log.append(1, bytes(32))
    for bit in range(8 * len(log.hint())):
        hint = bytearray(log.hint())
        hint[bit >> 3] ^= 1 << (bit & 7)
        copy = NorFlash(nor.array.copy(random.Random(0)))
        assert not Log(copy, lambda: bytes(24)).mount(hint)


def test_a_true_hint_is_believed_and_costs_few_reads():
    nor = flash(512)
    log = mounted(nor)
    for _ in range(250):
        log.append(1, bytes(32))
    before, reads = contents(log), nor.reads
    after = Log(nor, lambda: bytes(24))
    assert after.mount(log.hint())
    assert nor.reads - reads <= 4
    assert contents(after) == before
