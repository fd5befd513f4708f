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
    nor.release_power_down()
    nor.read(0, buffer)
    assert buffer == b"\x42"
    nor.power_down()
    again = rig.driver()
    again.read(0, buffer)
    assert buffer == b"\x42"


def test_no_part_is_an_error_within_a_second(rig):
    rig.part.power_off()
    start = rig.clock.now_us
    with pytest.raises(OSError, match="no W25Q64"):
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
