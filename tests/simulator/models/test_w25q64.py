"""The W25Q64 model against its datasheet (W25Q64JV, revision J), instruction by instruction."""

import pytest

from coldtrail_simulator.models.nor import Mood
from coldtrail_simulator.models.w25q64 import PAGE, SECTOR, SIZE
from tests.support.flash.flash_rig import Rig

WRITE_ENABLE, WRITE_DISABLE, STATUS = 0x06, 0x04, 0x05
READ, PROGRAM, ERASE = 0x03, 0x02, 0x20
BUSY, WEL = 1, 2


@pytest.fixture(params=[0, 3])
def rig(request, monkeypatch):
    return Rig(monkeypatch, mode=request.param)


def status(rig):
    return rig.send(STATUS, answer=1)[0]


def until_ready(rig, us=500_000):
    rig.after(us)
    assert not status(rig) & BUSY


def program(rig, address, data):
    rig.send(WRITE_ENABLE)
    rig.send(PROGRAM, *address.to_bytes(3, "big"), *data)


def erase(rig, address, instruction=ERASE):
    rig.send(WRITE_ENABLE)
    rig.send(instruction, *address.to_bytes(3, "big"))


def read(rig, address, n):
    return rig.send(READ, *address.to_bytes(3, "big"), answer=n)


def test_it_says_who_it_is(rig):
    assert rig.send(0x9F, answer=3) == bytes((0xEF, 0x40, 0x17))
    assert rig.send(0x90, 0, 0, 0, answer=2) == bytes((0xEF, 0x16))
    assert rig.send(0xAB, 0, 0, 0, answer=1) == bytes((0x16,))
    assert rig.send(0x4B, 0, 0, 0, 0, answer=8) == rig.part.unique_id


@pytest.mark.parametrize("mode", [1, 2])
def test_other_spi_modes_get_nothing(monkeypatch, mode):
    assert Rig(monkeypatch, mode=mode).send(0x9F, answer=3) == b"\xff\xff\xff"


def test_programming_needs_the_write_enable_latch_and_clears_it(rig):
    rig.send(PROGRAM, 0, 0, 0, 0x12)
    assert status(rig) == 0
    assert read(rig, 0, 1) == b"\xff"
    rig.send(WRITE_ENABLE)
    assert status(rig) == WEL
    rig.send(WRITE_DISABLE)
    assert status(rig) == 0
    program(rig, 0, b"\x12")
    assert status(rig) == BUSY
    until_ready(rig)
    assert status(rig) == 0
    assert read(rig, 0, 1) == b"\x12"


def test_programming_only_clears_bits(rig):
    program(rig, 5, b"\xf0")
    until_ready(rig)
    program(rig, 5, b"\x3c")
    until_ready(rig)
    assert read(rig, 4, 3) == b"\xff\x30\xff"


def test_programming_wraps_within_the_page(rig):
    program(rig, 0x1FE, b"abcd")
    until_ready(rig)
    assert read(rig, 0x1FE, 4) == b"ab\xff\xff"
    assert read(rig, 0x100, 2) == b"cd"


def test_of_more_than_a_page_the_last_256_bytes_count(rig):
    program(rig, 0x300, bytes(range(256)) + b"wrap")
    until_ready(rig)
    assert read(rig, 0x300, PAGE) == b"wrap" + bytes(range(4, 256))


def test_erasing_sets_a_sector_and_no_more(rig):
    for address in (SECTOR - 1, SECTOR, 2 * SECTOR - 1, 2 * SECTOR):
        program(rig, address, b"\x00")
        until_ready(rig)
    erase(rig, SECTOR + 77)
    assert status(rig) == BUSY
    until_ready(rig)
    assert [read(rig, n, 1) for n in (SECTOR - 1, SECTOR, 2 * SECTOR - 1, 2 * SECTOR)] == [
        b"\x00",
        b"\xff",
        b"\xff",
        b"\x00",
    ]
    assert rig.part.array.wear[:3] == [0, 1, 0]


@pytest.mark.parametrize(("instruction", "size"), [(0x52, 32768), (0xD8, 65536)])
def test_block_erase(rig, instruction, size):
    for address in (size - 1, size, 2 * size - 1, 2 * size):
        program(rig, address, b"\x00")
        until_ready(rig)
    erase(rig, size + 1, instruction)
    until_ready(rig, 2_000_000)
    assert read(rig, size - 1, 2) == b"\x00\xff"
    assert read(rig, 2 * size - 1, 2) == b"\xff\x00"


def test_busy_it_ignores_everything_but_the_status(rig):
    program(rig, 0, b"\x55")
    until_ready(rig)
    erase(rig, SECTOR)
    assert read(rig, 0, 1) == b"\xff"
    rig.send(WRITE_ENABLE)
    assert status(rig) == BUSY
    assert rig.send(0x9F, answer=3) == b"\xff\xff\xff"
    until_ready(rig)
    assert read(rig, 0, 1) == b"\x55"


def test_how_long_operations_take(rig):
    """Between typical (0.4 ms, 45 ms) and longest (3 ms, 400 ms), section 9.6."""
    for act, low, high in (
        (lambda: program(rig, 0, b"\x00"), 400, 3_000),
        (lambda: erase(rig, 0), 45_000, 400_000),
    ):
        for worn in (False, True):
            rig.part.worn = worn
            act()
            start = rig.clock.now_us
            while status(rig) & BUSY:
                rig.after(10)
            took = rig.clock.now_us - start
            assert low - 50 <= took <= high + 50
            assert not worn or took > high - 50


def test_reading_wraps_at_the_end_and_streams_the_status(rig):
    program(rig, 0, b"\x01\x02")
    until_ready(rig)
    assert read(rig, SIZE - 1, 3) == b"\xff\x01\x02"
    assert rig.send(0x0B, 0, 0, 0, 0, answer=2) == b"\x01\x02"
    rig.send(WRITE_ENABLE)
    assert rig.send(STATUS, answer=4) == bytes((WEL,)) * 4


def test_power_down_hears_only_its_release(rig):
    rig.send(0xB9)
    rig.after(10)
    assert rig.send(0x9F, answer=3) == b"\xff\xff\xff"
    assert rig.send(STATUS, answer=1) == b"\xff"
    rig.send(0xAB)
    assert rig.send(0x9F, answer=1) == b"\xff", "3 us have not passed"
    rig.after(3)
    assert rig.send(0x9F, answer=1) == b"\xef"


def test_reset_clears_the_latch(rig):
    rig.send(WRITE_ENABLE)
    rig.send(0x99)
    assert status(rig) == WEL, "not without enabling it first"
    rig.send(0x66)
    rig.send(0x99)
    rig.after(30)
    assert status(rig) == 0


@pytest.mark.parametrize(
    ("bits", "first", "end"),
    [
        (0b000001, SIZE - 128 * 1024, SIZE),  # upper 1/64
        (0b001001, 0, 128 * 1024),  # lower 1/64
        (0b000110, SIZE // 2, SIZE),  # upper half
        (0b000111, 0, SIZE),
        (0b010001, SIZE - 4096, SIZE),  # sectors
        (0b011011, 0, 16384),
    ],
)
def test_block_protection(rig, bits, first, end):
    """Table 7.1.4: TB and SEC with BP2 to BP0; ``bits`` from BP0 upwards."""
    value = (bits & 7) << 2 | (bits & 8) << 2 | (bits & 16) << 2
    rig.send(WRITE_ENABLE)
    rig.send(0x01, value)
    until_ready(rig)
    assert status(rig) == value
    for address in {first, end - 1, first - 1, end} & set(range(SIZE)):
        program(rig, address, b"\x00")
        until_ready(rig)
        assert (read(rig, address, 1) == b"\xff") == (first <= address < end)


def test_the_complement_of_a_range_and_single_locks(rig):
    rig.part.registers[0x31] = 0x40  # CMP, with no block protected: all are
    program(rig, 0, b"\x00")
    until_ready(rig)
    assert read(rig, 0, 1) == b"\xff"
    rig.part.registers[0x01] = 0x04  # all but the upper 64th
    for address in (SIZE - 128 * 1024 - 1, SIZE - 1):
        program(rig, address, b"\x00")
        until_ready(rig)
    assert read(rig, SIZE - 128 * 1024 - 1, 1) == b"\xff"
    assert read(rig, SIZE - 1, 1) == b"\x00"
    rig.part.registers.update({0x01: 0, 0x31: 0, 0x11: 0x04})  # WPS
    program(rig, 0, b"\x00")
    until_ready(rig)
    assert read(rig, 0, 1) == b"\xff"


def test_what_is_written_into_the_status_registers_outlasts_the_power(rig):
    for write, read_back, value in ((0x01, 0x05, 0x9C), (0x31, 0x35, 0x7A), (0x11, 0x15, 0x64)):
        rig.send(WRITE_ENABLE)
        rig.send(write, value)
        until_ready(rig)
        assert rig.send(read_back, answer=1)[0] == value
    rig.part.power_off()
    rig.part.power_on()
    rig.after(10_000)
    assert status(rig) == 0x9C
    rig.send(WRITE_ENABLE)
    rig.send(0x31, 0)
    until_ready(rig)
    assert rig.send(0x35, answer=1)[0] == 0x38, "lock bits are set once"


@pytest.mark.parametrize("lock", ["pin", "SRL"])
def test_locked_status_registers_refuse(rig, lock):
    rig.part.registers[0x01] = 0x9C
    if lock == "pin":
        rig.part.wp_low = True
    else:
        rig.part.registers[0x31] = 0x01
    rig.send(WRITE_ENABLE)
    rig.send(0x01, 0)
    until_ready(rig)
    assert status(rig) & 0xFC == 0x9C
    rig.part.power_off()
    rig.part.power_on()
    rig.after(10_000)
    rig.send(WRITE_ENABLE)
    rig.send(0x01, 0)
    until_ready(rig)
    assert status(rig) & 0xFC == (0x9C if lock == "pin" else 0)


def test_after_power_up_it_answers_soon_and_writes_later(rig):
    rig.part.power_off()
    assert rig.send(0x9F, answer=1) == b"\xff"
    rig.part.power_on()
    assert rig.send(0x9F, answer=1) == b"\xff"
    rig.after(20)
    assert rig.send(0x9F, answer=1) == b"\xef"
    rig.send(WRITE_ENABLE)
    assert status(rig) == 0, "tPUW has not passed"
    rig.after(5_000)
    rig.send(WRITE_ENABLE)
    assert status(rig) == WEL


@pytest.mark.parametrize("at", [0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
def test_a_power_cut_in_mid_program_tears_only_what_was_to_change(monkeypatch, at):
    seen = set()
    for seed in range(30):
        rig = Rig(monkeypatch, seed)
        program(rig, 0x100, b"\x0f" * 16)
        until_ready(rig)
        program(rig, 0x200, b"\x00" * 16)
        rig.after(int(400 * at))
        rig.part.power_off()
        rig.part.power_on()
        rig.after(10_000)
        for mood in Mood:
            rig.part.array.mood = mood
            assert read(rig, 0x100, 16) == b"\x0f" * 16
            assert read(rig, 0x210, 16) == b"\xff" * 16
            seen.add(read(rig, 0x200, 16))
    assert len(seen) > (5 if 0.2 < at < 0.8 else 1)
    assert rig.journal.notes[-1]["kind"] == "flash_torn"


def test_cells_at_the_threshold_change_their_mind_until_programmed_again(monkeypatch):
    for seed in range(60):
        rig = Rig(monkeypatch, seed)
        program(rig, 0, b"\x00" * 32)
        rig.after(200)
        rig.part.power_off()
        rig.part.power_on()
        rig.after(10_000)
        rig.part.array.mood = Mood.ONES
        ones = read(rig, 0, 32)
        rig.part.array.mood = Mood.ZEROS
        if ones != read(rig, 0, 32):
            break
    else:
        pytest.fail("no cell at the threshold in 60 cuts")
    program(rig, 0, b"\x00" * 32)
    until_ready(rig)
    for mood in Mood:
        rig.part.array.mood = mood
        assert read(rig, 0, 32) == bytes(32)


def test_faults(rig):
    rig.part.array.stick(10, 0x81, 1)
    program(rig, 10, b"\x00")
    until_ready(rig)
    assert read(rig, 10, 1) == b"\x81"
    rig.part.array.fail_program(1)
    program(rig, SECTOR, b"\x00" * 8)
    until_ready(rig)
    assert status(rig) == 0, "no flag says so"
    assert read(rig, SECTOR, 8) != bytes(8)
    rig.part.array.fail_erase(1)
    erase(rig, SECTOR)
    until_ready(rig)
    assert read(rig, SECTOR, SECTOR) != b"\xff" * SECTOR
    rig.part.array.flip(20, 3)
    assert read(rig, 20, 1) == b"\xf7"
