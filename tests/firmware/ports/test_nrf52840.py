"""The nRF52840's port layer against the product specification's registers."""

import importlib
import itertools
import sys
import types
from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coldtrail.log import records
from coldtrail_simulator.board import file as boards
from tests.firmware.support.nrf52840_chip import (
    RC,
    XTAL,
    Bitten,
    Chip,
    ResetBySoftware,
    SystemOff,
    pin_class,
)

WIRING = types.SimpleNamespace(**boards.named("nrf52840dk_bg95"))
# In the order of their imports.
MODULES = ["nrf52840_registers", "nrf52840_uart", "nrf52840_adc", "wired", "parts", "nrf52840"]
FLASH = ("drivers.w25q64", "drivers.w25q64_start")
PERIOD_US = 16384 * 1_000_000
BITS = {"RESETPIN": 0, "DOG": 1, "SREQ": 2, "LOCKUP": 3, "OFF": 16, "DIF": 18, "VBUS": 20}


class Bus:
    """An I2C or SPI bus of the interpreter's. Writing alone lets EasyDMA receive at address 0."""

    def __init__(self, *arguments, **settings):
        self.sent = []
        self.open = True

    def readinto(self, buffer, write=0):
        buffer[:] = bytes(len(buffer))

    def write_readinto(self, out, buffer):
        assert not memoryview(out).readonly, "a constant, in flash"
        self.sent.append(bytes(out))
        # The flash's identity, and its status: write enabled, nothing protected.
        said = {0x9F: b"\xff\xef\x40\x17", 0x05: b"\xff\x02"}.get(out[0], b"\xff")
        buffer[:] = (said + bytes(len(buffer)))[: len(buffer)]

    def deinit(self):
        self.open = False


class Wire:
    """``machine.UART`` of the port: 64 bytes, no poll, a handler in the interrupt of each byte."""

    IRQ_RX = 1

    def __init__(self, number, baudrate, timeout=1, timeout_char=1):
        self.baudrate = baudrate
        self.ring: deque[int] = deque(maxlen=63)
        self.sent = b""
        self.open = True

    def irq(self, handler, trigger, hard):
        assert trigger == self.IRQ_RX
        assert hard, "what runs meanwhile may take longer than 64 bytes last"
        self.handler = handler

    def receive(self, data):
        for byte in data:
            self.ring.append(byte)
            self.handler(self)

    def any(self):
        return len(self.ring)

    def readchar(self):
        return self.ring.popleft()

    def write(self, data):
        self.sent += bytes(data)
        return len(data)

    def deinit(self):
        self.open = False


def modules(monkeypatch, chip):
    """Import the port afresh onto a chip."""
    machine = types.SimpleNamespace(
        mem32=chip, Pin=pin_class(chip), I2C=Bus, SPI=Bus, UART=Wire, reset=chip.reset,
        lightsleep=chip.lightsleep, reset_cause=lambda: chip.cause,
        unique_id=lambda: b"",
    )  # fmt: skip
    time = types.SimpleNamespace(
        ticks_ms=chip.ticks_ms,
        ticks_add=lambda a, b: (a + b) & (1 << 30) - 1,
        ticks_diff=lambda a, b: (a - b + (1 << 29)) % (1 << 30) - (1 << 29),
        sleep_ms=lambda ms: chip.pass_us(1000 * ms),
        sleep_us=chip.pass_us,
    )
    monkeypatch.setitem(sys.modules, "machine", machine)
    monkeypatch.setitem(sys.modules, "uctypes", types.SimpleNamespace(addressof=chip.addressof))
    for name in [*(f"coldtrail.ports.{name}" for name in MODULES), *FLASH]:
        monkeypatch.delitem(sys.modules, name, raising=False)
    found = {name: importlib.import_module(f"coldtrail.ports.{name}") for name in MODULES}
    for module in [*found.values(), *map(importlib.import_module, FLASH)]:
        if hasattr(module, "time"):
            monkeypatch.setattr(module, "time", time)
    return types.SimpleNamespace(**found)


@pytest.fixture
def chip():
    made = Chip()
    made.levels[WIRING.SENSORS["light"]["int"]] = 1  # its resistor
    return made


@pytest.fixture
def port(monkeypatch, chip):
    made = modules(monkeypatch, chip).nrf52840.Port(WIRING)
    made.watchdog()
    return made


@pytest.fixture
def registers(monkeypatch, chip):
    return modules(monkeypatch, chip).nrf52840_registers


# ---- the clock ----

# Often just about a whole period, so that the overflow falls between any two of the accesses.
GAPS = st.one_of(
    st.integers(0, PERIOD_US - 200),
    st.integers(1, 3).flatmap(lambda n: st.integers(-40, 40).map(lambda d: PERIOD_US // n + d)),
    st.sampled_from([0, 1, 976, 977, 1000]),
).map(lambda us: min(us, PERIOD_US - 200))


@settings(deadline=None, max_examples=150)
@given(st.lists(GAPS, min_size=1, max_size=12), st.integers(1, 20), st.data())
def test_the_clock_never_goes_back_and_loses_no_overflow(gaps, access_us, data):
    chip = Chip()
    chip.access_us = access_us
    with pytest.MonkeyPatch.context() as patch:
        registers = modules(patch, chip).nrf52840_registers
        clock = registers.Seconds()
        began, last = chip.began_us, 0
        to_wrap = data.draw(st.integers(-200, 200))
        for gap in [*gaps, max(0, -(chip.us - began) % PERIOD_US + to_wrap)]:
            chip.pass_us(min(gap, PERIOD_US - 200))
            seconds, ms = clock.now()
            assert 0 <= ms < 1000
            assert last <= seconds * 1000 + ms
            last = seconds * 1000 + ms
            assert last == pytest.approx((chip.us - began) / 1000, abs=2)


def test_the_crystal_makes_the_clock(registers, chip):
    assert (chip.source, chip.clock_runs) == (RC, True)
    registers.start_crystal()
    assert (chip.source, chip.clock_runs) == (XTAL, True)
    registers.start_crystal()  # the model refuses to change a clock that runs
    assert (chip.source, chip.clock_runs, chip.stopping_us) == (XTAL, True, None)


# ---- causes of a boot ----

CAUSES = [
    ([], 0, records.POWER_ON),  # power-on, brown-out
    (["RESETPIN"], 0, records.POWER_ON),  # cannot be told from these
    (["DOG"], 0, records.WATCHDOG),
    (["RESETPIN", "DOG"], 0, records.WATCHDOG),
    (["SREQ"], 0x43, records.COMMANDED),
    (["SREQ"], 0x57, records.OTHER),  # what a bootloader left
    (["SREQ"], 0, records.OTHER),
    (["LOCKUP"], 0, records.OTHER),
    (["DIF"], 0, records.OTHER),
    (["OFF"], 0, records.POWER_ON),
    (["VBUS"], 0, records.POWER_ON),
]


@pytest.mark.parametrize(("reasons", "retained", "cause"), CAUSES)
def test_why_it_booted(monkeypatch, reasons, retained, cause):
    chip = Chip(sum(1 << BITS[name] for name in reasons), retained)
    port = modules(monkeypatch, chip).nrf52840.Port(WIRING)
    assert port.boot_cause == cause
    assert port.woken_by_button() == (reasons == ["OFF"])
    # The next boot is judged by its own reason.
    assert (chip.reasons, chip.retained) == (0, 0)


def test_a_restart_that_was_asked_for_is_known_after_it(monkeypatch, port, chip):
    with pytest.raises(ResetBySoftware):
        port.restart()
    after = Chip(1 << BITS["SREQ"], chip.retained)
    assert modules(monkeypatch, after).nrf52840.Port(WIRING).boot_cause == records.COMMANDED


# ---- watchdog and sleep ----


def test_the_watchdog_is_fed_through_a_sleep_and_bites_without(port, chip):
    began, chip.tick_us = chip.us, 10_000
    port.deep_sleep(600_000)
    assert chip.us - began == pytest.approx(600_000_000, abs=101_000)
    assert chip.longest_us < 2_000_000
    assert port.boot_cause is None
    with pytest.raises(Bitten):
        chip.pass_us(30_100_000)


def test_a_watchdog_that_runs_is_left_as_it_is(monkeypatch, chip):
    chip.wdt_runs, chip.fed_us = True, chip.us
    chip.wdt[0x504], chip.tick_us = 99 * 32768 - 1, 10_000
    port = modules(monkeypatch, chip).nrf52840.Port(WIRING)
    port.watchdog()
    assert chip.wdt[0x504] == 99 * 32768 - 1
    port.deep_sleep(200_000)


def test_the_clock_runs_on_through_a_sleep(port, chip):
    before, chip.tick_us = port.counter(), 90_000
    port.deep_sleep(40_000_000)  # 11 hours
    seconds, ms = port.counter()
    passed = (seconds - before[0]) * 1000 + ms - before[1]
    assert passed == pytest.approx(40_000_000, abs=1000)


SOURCES = [
    ("button", WIRING.BUTTON, 1),
    ("light", WIRING.SENSORS["light"]["int"], 0),
    ("accelerometer", WIRING.SENSORS["accelerometer"]["int1"], 1),
    ("cable", None, 1),
]


@pytest.mark.parametrize(("source", "pin", "level"), SOURCES)
@pytest.mark.parametrize("masked", [[], ["light", "accelerometer"]])
def test_what_ends_a_sleep(port, chip, source, pin, level, masked):
    def act():
        if pin is None:
            chip.vbus = True
        else:
            chip.levels[pin] = level

    began = chip.us
    chip.at.append((began + 5_000_000, act))
    port.deep_sleep(20_000, masked)
    wakes = source not in masked
    assert chip.us - began == pytest.approx(5_000_000 if wakes else 20_000_000, abs=15_000)
    assert port.woken_by_button() == (source == "button")
    assert port.cable() == (source == "cable")


def test_while_it_sleeps_nothing_is_driven_into_what_has_no_supply(port, chip):
    probe = WIRING.SENSORS["probe"]
    port.flash()
    spi, uart = port.bus("SPI", 2), port.bus("UART", 0)
    assert chip.out[probe["supply"]] == 1
    assert chip.cnf[probe["supply"]] & 0x700 == 0x300, "H0H1"
    seen = []
    chip.at.append((chip.us + 1_000_000, lambda: seen.append(list(chip.out))))
    chip.at.append((chip.us + 1_000_000, lambda: seen.append(list(chip.cnf))))
    port.deep_sleep(3000)
    out, cnf = seen
    assert out[probe["supply"]] == 0
    assert cnf[probe["cs"]] & 1 == 0, "its select is no output"
    assert not spi._spi.open
    assert not uart._uart.open
    assert chip.out[probe["supply"]] == 1
    assert port.bus("SPI", 2) is not spi


def test_ship_mode_is_ended_by_button_and_cable_alone(port, chip):
    port.flash()
    spi = port.bus("SPI", 2)._spi
    port.led(1, 0)
    with pytest.raises(SystemOff):
        port.deep_sleep(None, ["light"])
    # VBUS ends it always (5.3.3).
    assert chip.off_with == [WIRING.BUTTON]
    assert chip.cnf[WIRING.BUTTON] == 0x20000, "input, connected, SENSE high"
    assert not any(chip.out[n] for n in (WIRING.LED_GREEN, WIRING.LED_RED, WIRING.MODEM["supply"]))
    assert spi.sent[-1] == b"\xb9", "the flash is in power-down"


@pytest.mark.parametrize("source", ["button", "cable"])
def test_what_would_end_ship_mode_keeps_the_chip_from_it(port, chip, source):
    chip.vbus = source == "cable"
    chip.levels[WIRING.BUTTON] = int(source == "button")
    port.deep_sleep(None)
    assert port.woken_by_button() == (source == "button")


def test_what_is_kept_is_kept_through_sleeps(port):
    port.retain(b"hint")
    port.deep_sleep(10)
    assert port.retained() == b"hint"


# ---- chip and parts ----


def test_the_chip_has_a_number(monkeypatch, chip):
    number = bytes.fromhex("0011223344556677")
    assert modules(monkeypatch, chip).parts.unique_id() == number


@given(st.floats(0, 3.59), st.sampled_from([2, 3, 4, 5, 28, 29, 30, 31]))
@settings(deadline=None, max_examples=30)
def test_a_voltage_is_measured_to_a_millivolt(volts, pin):
    chip = Chip()
    chip.volts[[2, 3, 4, 5, 28, 29, 30, 31].index(pin)] = volts
    with pytest.MonkeyPatch.context() as patch:
        read = modules(patch, chip).nrf52840_adc.reader(pin)()
        assert read == pytest.approx(volts * 1e6, abs=1000)
    assert chip.adc[0x500] == 0, "left on"


def test_a_voltage_below_ground_is_none_and_a_dead_converter_is_an_error(registers, chip):
    chip.volts[4] = -0.01
    assert registers.microvolts(28) == 0
    chip.at = deque(maxlen=0)
    with pytest.raises(OSError, match="does not change"):
        registers.microvolts(28)
    assert chip.adc[0x500] == 0, "left on"


@given(st.binary(max_size=1000))
@settings(deadline=None, max_examples=30)
def test_what_is_sent_is_sent_from_ram_and_its_answer_goes_there(data):
    """EasyDMA can do neither with the flash; ``Bus`` takes nothing from there."""
    with pytest.MonkeyPatch.context() as patch:
        bus = modules(patch, Chip()).nrf52840.Port(WIRING).bus("SPI", 2)
        bus.write(data)
        assert b"".join(bus._spi.sent) == data


@pytest.mark.parametrize("held", range(10))
def test_a_part_is_clocked_off_the_bus(monkeypatch, chip, held):
    """Lines are only ever driven low, and the last that happens is a stop."""
    parts = modules(monkeypatch, chip).parts
    scl, sda = 27, 26
    lines, trace = [1, 1], []

    class Pin:
        IN, OUT = 0, 1

        def __init__(self, number, mode, value=None):
            nonlocal held
            if mode:
                assert value == 0, "driven high against the part"
            before = tuple(lines)
            lines[number == sda] = int(not mode)
            held -= before[0] > lines[0]
            trace.append((lines[0], lines[1] if held <= 0 else 0))

    monkeypatch.setattr(parts, "Pin", Pin)
    parts.free({"scl": scl, "sda": sda})
    assert trace[-2:] == [(1, 0), (1, 1)], "no stop"


# ---- UART ----

ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("come"), st.binary(max_size=900)),
        st.tuples(st.just("read"), st.integers(1, 1500)),
    ),
    max_size=30,
)


@settings(deadline=None, max_examples=50)
@given(ACTIONS)
def test_the_uart_loses_nothing_that_fits_and_keeps_the_order(actions):
    with pytest.MonkeyPatch.context() as patch:
        uart = modules(patch, Chip()).nrf52840_uart.UART(0, 38400)
        waiting: deque[int] = deque()
        lost = 0
        for action, argument in actions:
            if action == "come":
                room = 2047 - len(waiting)
                waiting.extend(argument[:room])
                lost += len(argument[room:])
                uart._uart.receive(argument)
            else:
                buffer = bytearray(argument)
                count = uart.readinto(buffer)
                assert (count is None) == (not waiting)
                # What wraps round the buffer's end comes with the next look.
                assert buffer[: count or 0] == bytes(waiting.popleft() for _ in range(count or 0))
            assert uart.ioctl(3, 1) == (1 if waiting else 0)
            assert uart.ioctl(3, 4) == 4
            assert uart.lost == lost


def test_the_uart_writes_in_pieces_and_turns_to_another_rate(port):
    uart = port.bus("UART", 0)
    first = uart._uart
    assert first.baudrate == 38400
    data = bytes(itertools.islice(itertools.cycle(range(256)), 1500))
    sent = 0
    while sent < len(data):
        count = uart.write(data[sent:])
        assert 0 < count <= 64, "others wait until it is out"
        sent += count
    assert first.sent == data
    first.receive(b"noise")
    uart.init(baudrate=115200, rxbuf=2048)
    assert uart._uart.baudrate == 115200
    assert uart.readinto(bytearray(10)) is None
