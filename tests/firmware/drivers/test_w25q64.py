"""The W25Q64 driver against the model of the part."""

import pytest

from coldtrail.log.flashlog import Log
from tests.support.flash.flash_rig import Rig


@pytest.fixture
def rig(monkeypatch):
    return Rig(monkeypatch)


def test_read_program_erase(rig):
    nor = rig.driver()
    assert nor.size == 8 * 1024 * 1024
    nor.program(0x12345, b"hello")
    buffer = bytearray(7)
    nor.read(0x12344, buffer)
    assert buffer == b"\xffhello\xff"
    nor.erase(0x12000)
    nor.read(0x12344, buffer)
    assert buffer == b"\xff" * 7


def test_bus_calls(rig):
    """Each is a slow call on the chip: what the driver's docstring says of them."""
    nor = rig.driver()
    for act, calls in (
        (lambda: nor.read(0, bytearray(256)), 4),
        (lambda: nor.program(0, bytes(256)), 7),
        (lambda: nor.erase(0), 6),
    ):
        rig.calls = 0
        act()
        assert (rig.calls - calls) % 3 == 0
        assert calls <= rig.calls <= calls + 18


def test_it_waits_for_what_a_reset_left_running(rig):
    rig.driver().program(0, b"\x00")
    rig.part.worn = True
    rig.send(0x06)
    rig.send(0x20, 0, 0, 0)
    nor = rig.driver()
    buffer = bytearray(1)
    nor.read(0, buffer)
    assert buffer == b"\xff"


def test_deep_power_down(rig):
    nor = rig.driver()
    nor.program(0, b"\x42")
    nor.power_down()
    buffer = bytearray(1)
    nor.read(0, buffer)
    assert buffer == b"\xff", "it does not hear"
    rig.send(0xAB)
    rig.after(10)
    nor.read(0, buffer)
    assert buffer == b"\x42"
    nor.power_down()
    again = rig.driver()
    again.read(0, buffer)
    assert buffer == b"\x42"


def test_no_part_is_an_error_within_a_second(rig):
    rig.part.power_off()
    start = rig.clock.now_us
    with pytest.raises(OSError, match="does not answer"):
        rig.driver()
    assert rig.clock.now_us - start < 1_000_000


@pytest.mark.parametrize("act", ["program", "erase"])
def test_a_part_that_stays_busy_is_an_error_within_a_second(rig, act):
    nor = rig.driver()
    rig.part.hangs = True
    start = rig.clock.now_us
    with pytest.raises(OSError, match="busy"):
        nor.program(0, b"\x00") if act == "program" else nor.erase(0)
    assert rig.clock.now_us - start < 1_000_000


SRP, SEC, TB, BP, CMP, WPS = 0x80, 0x40, 0x20, 0x1C, 0x40, 0x04
QE, LOCKED_FOR_EVER = 0x02, 0x38
STATUS_1, STATUS_2, STATUS_3 = 0x01, 0x31, 0x11


@pytest.mark.parametrize(
    ("registers", "protected"),
    [
        ((BP, 0, 0), 0),
        ((SRP | SEC | TB | 0x04, 0, 0), 0),
        ((0x04, 0, 0), 8 * 1024 * 1024 - 1),
        ((0, CMP, 0), 0),
        ((BP | TB, CMP, 0), None),  # the complement of all is nothing: it works as it is
        ((0, QE | LOCKED_FOR_EVER, WPS | 0x60), 0),
        ((SRP | BP, CMP | QE, WPS), 0),
    ],
)
def test_a_write_protection_is_taken_away(rig, registers, protected):
    rig.part.registers.update(zip((STATUS_1, STATUS_2, STATUS_3), registers, strict=True))
    if protected is not None:
        rig.send(0x06)
        rig.send(0x02, *protected.to_bytes(3, "big"), 0)
        rig.after(10_000)
        assert rig.part.array.cells[protected] == 0xFF, "the model protects it"
    nor = rig.driver()
    for address in (0, 0x123456, nor.size - 1):
        nor.program(address, b"\x42")
        assert rig.part.array.cells[address] == 0x42
        nor.erase(address)
        assert rig.part.array.cells[address] == 0xFF
    # What is set for ever, or drives pins, is as it was.
    assert rig.part.registers[STATUS_2] & ~CMP == registers[1] & ~CMP
    assert rig.part.registers[STATUS_3] == registers[2] & ~WPS
    rig.part.power_off()
    rig.part.power_on()
    rig.after(10_000)
    rig.calls = 0
    rig.driver()
    assert rig.calls < 30, "once and for all"


@pytest.mark.parametrize("lock", ["pin", "until the power goes"])
def test_one_that_is_locked_is_an_error(rig, lock):
    rig.part.wp_low = lock == "pin"
    rig.part.registers[STATUS_1] = SRP | BP
    rig.part.registers[STATUS_2] = 0 if lock == "pin" else 0x01
    start = rig.clock.now_us
    with pytest.raises(OSError, match="write-protected"):
        rig.driver()
    assert rig.clock.now_us - start < 1_000_000
    rig.part.wp_low = False
    rig.part.power_off()
    rig.part.power_on()
    rig.driver().program(0, b"\x42")
    assert rig.part.array.cells[0] == 0x42


def test_a_latch_that_does_not_set_is_an_error(rig):
    rig.part.latches = False
    start = rig.clock.now_us
    with pytest.raises(OSError, match="write enable"):
        rig.driver()
    assert rig.clock.now_us - start < 1_000_000


def test_a_part_just_powered_up_is_waited_for(rig):
    rig.part.power_off()
    rig.part.power_on()
    rig.driver().program(0, b"\x42")
    assert rig.part.array.cells[0] == 0x42


@pytest.mark.parametrize(
    ("jedec", "size"), [((0xC8, 0x40, 0x17), 1 << 23), ((0xC2, 0x20, 0x18), 1 << 24)]
)
def test_another_makers_part_is_taken_by_its_size(rig, jedec, size):
    rig.part.jedec = bytes(jedec)
    rig.part.registers[STATUS_1] = BP
    nor = rig.driver()
    assert (nor.size, nor.jedec) == (size, bytes(jedec))
    nor.program(0, b"\x42")
    assert rig.part.array.cells[0] == 0x42


@pytest.mark.parametrize("jedec", [(0xEF, 0x40, 0x13), (0xEF, 0x40, 0x19), (0x7F, 0x7F, 0x7F)])
def test_a_part_of_another_size_is_an_error_that_names_it(rig, jedec):
    rig.part.jedec = bytes(jedec)
    with pytest.raises(OSError, match=bytes(jedec).hex(" ")):
        rig.driver()


def test_the_log_on_the_part(rig):
    log = Log(rig.driver(), lambda: bytes(24), sectors=8)
    log.mount()
    accepted = []
    for n in range(1500):
        accepted.append(log.append(1, n.to_bytes(32, "little")))
        log.release(accepted[-1] - 100)
    hint = log.hint()
    log = Log(rig.driver(), lambda: bytes(24), sectors=8)
    rig.calls = 0
    log.mount(hint)
    assert rig.calls <= 16, "four reads"
    found = [(s, int.from_bytes(p, "little")) for s, k, p in log.records(0) if k == 1]
    assert found == [(s, n) for n, s in enumerate(accepted) if s >= log.first]
    log.release(log.next)
    log.append(1, bytes(32))
    rig.calls = 0
    log.append(1, bytes(32))
    assert rig.calls <= 2 * (7 + 12) + 4, "two pages at most, and one read back"
