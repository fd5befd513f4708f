"""The RTC domain keeps what deep sleep and resets leave, and loses it with the supply."""

from coldtrail_simulator.clock import US_PER_S, Clock
from coldtrail_simulator.esp32.rtc import RtcDomain
from coldtrail_simulator.wires import Net


def domain(ppb: int = 0) -> tuple[Clock, RtcDomain]:
    clock = Clock()
    return clock, RtcDomain(clock, ppb, {n: Net(f"gpio{n}") for n in range(40)})


def test_the_memory_holds_2048_bytes_until_the_supply_goes():
    _, rtc = domain()
    assert rtc.do_rtc_write(0, 0, bytes(2049)) == 1
    assert rtc.do_rtc_read(0, 0, b"") == b""
    assert rtc.do_rtc_write(0, 0, bytes(2048)) == 0
    assert rtc.do_rtc_read(0, 0, b"") == bytes(2048)
    rtc.power_off()
    assert rtc.do_rtc_read(0, 0, b"") == b""


def test_a_fast_counter_gains_what_its_error_says():
    clock, rtc = domain(ppb=100_000)
    rtc.counter.start()
    clock.advance_to(100_000 * US_PER_S)
    assert rtc.do_time(0, 0, b"") == 100_010


def test_only_pins_of_the_domain_can_wake_the_chip():
    _, rtc = domain()
    assert rtc.do_ext0(5, 1, b"") == 1
    assert rtc.do_ext1(1, 1, bytes((33, 5))) == 1
    assert not rtc.wakes.armed
    assert rtc.do_ext0(33, 1, b"") == 0
    assert rtc.do_ext1(1, 1, bytes((32, 35))) == 0
    assert rtc.wakes.ext0 == (33, 1)
    assert rtc.wakes.ext1 == (frozenset({32, 35}), 1)
    assert rtc.do_ext0(255, 0, b"") == 0
    assert rtc.wakes.ext0 is None
