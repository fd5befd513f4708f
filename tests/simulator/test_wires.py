"""Nets and buses, with plain devices on them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldtrail_simulator.clock import Clock
from coldtrail_simulator.wires import ENODEV, ETIMEDOUT, UART, I2CBus, Nak, Net, SPIBus

levels = st.sampled_from([0, 1, None])


@given(st.lists(st.tuples(levels, levels), min_size=1, max_size=4))
def test_an_output_beats_a_pull_low_beats_high_and_without_either_a_net_floats(ends):
    net = Net("wire")
    for n, (output, pull) in enumerate(ends):
        terminal = net.attach(str(n))
        terminal.drive(output)
        terminal.pull(pull)
    outputs = {output for output, _ in ends} - {None}
    pulls = {pull for _, pull in ends} - {None}
    strongest = outputs or pulls
    assert net.level == (None if not strongest else 0 if 0 in strongest else 1)


@given(st.lists(levels))
def test_a_listener_hears_every_change_of_level_once(driven):
    net, last = Net("wire"), None
    heard: list[int | None] = []
    net.attach("listener").listener = heard.append
    driver, wanted = net.attach("driver"), []
    for level in driven:
        driver.drive(level)
        if level != last:
            wanted.append(level)
            last = level
    assert heard == wanted


class Echo:
    """Answers with what was written to it last; busy, it acknowledges nothing."""

    address = 0x20
    holds_bus = False
    busy = False

    def __init__(self):
        self.data = b""

    def write(self, data):
        if self.busy:
            raise Nak
        self.data = data

    def read(self, n):
        return self.write(self.data) or self.data[:n]


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def i2c(clock):
    bus = I2CBus(clock)
    bus.attach(Echo())
    return bus


def test_i2c_carries_bytes_both_ways_at_nine_bits_each(i2c, clock):
    i2c.freq = 100_000
    assert i2c.write(0x20, b"abcd") == 0
    # Start, address, four bytes, stop: 47 bits at 10 us.
    assert 450 <= clock.now_us <= 480
    before = clock.now_us
    assert i2c.read(0x20, 4) == b"abcd"
    assert 450 <= clock.now_us - before <= 580


def test_i2c_nobody_there_and_busy_are_enodev(i2c):
    assert i2c.write(0x21, b"a") == -ENODEV
    assert i2c.read(0x21, 1) == -ENODEV
    i2c.devices[0x20].busy = True
    assert i2c.write(0x20, b"a") == -ENODEV
    assert i2c.read(0x20, 1) == -ENODEV


def test_i2c_a_part_that_holds_the_bus_times_out_everybody(i2c, clock):
    i2c.devices[0x20].holds_bus = True
    for call in (lambda: i2c.write(0x21, b"a"), lambda: i2c.read(0x20, 1)):
        before = clock.now_us
        assert call() == -ETIMEDOUT
        assert clock.now_us - before == 50_000


class Register:
    """Answers with the bytes it was sent one transaction ago."""

    modes = (1, 3)
    max_hz = 2_000_000

    def __init__(self):
        self.log = []

    def select(self):
        self.log.append("select")

    def transfer(self, out):
        self.log.append(out)
        return bytes(byte ^ 0xFF for byte in out)

    def deselect(self):
        self.log.append("deselect")


@pytest.fixture
def spi(clock):
    bus = SPIBus(clock)
    bus.mode, bus.hz = 1, 1_000_000
    return bus


def attach(bus):
    device, net = Register(), Net("cs")
    net.attach("resistor").pull(1)
    bus.attach(device, net.attach("device"))
    return device, net.attach("chip")


def test_spi_reaches_the_part_that_is_selected(spi, clock):
    (one, one_cs), (two, two_cs) = attach(spi), attach(spi)
    one_cs.drive(0)
    assert spi.transfer(b"\x01\x02") == b"\xfe\xfd"
    one_cs.drive(1)
    two_cs.drive(0)
    spi.transfer(b"\x03")
    two_cs.drive(None)
    assert one.log == ["select", b"\x01\x02", "deselect"]
    assert two.log == ["select", b"\x03", "deselect"]
    assert 24 <= clock.now_us <= 26


def test_spi_line_floats_high_with_nobody_selected_or_in_a_wrong_mode_or_too_fast(spi):
    device, cs = attach(spi)
    assert spi.transfer(b"\0\0") == b"\xff\xff"
    cs.drive(0)
    spi.mode = 0
    assert spi.transfer(b"\0\0") == b"\xff\xff"
    spi.mode, spi.hz = 1, 2_000_001
    assert spi.transfer(b"\0\0") == b"\xff\xff"
    assert device.log == ["select"]


def test_spi_two_selected_parts_pull_each_other_low(spi):
    (_, one_cs), (_, two_cs) = attach(spi), attach(spi)
    one_cs.drive(0)
    two_cs.drive(0)
    assert spi.transfer(b"\x0f") == b"\xf0"


@given(st.binary(min_size=1, max_size=40), st.lists(st.integers(0, 400), max_size=5))
def test_spi_an_event_in_mid_transfer_finds_the_bytes_clocked_by_then(out, moments):
    clock = Clock()
    bus = SPIBus(clock)
    bus.mode, bus.hz = 1, 1_000_000
    device, cs = attach(bus)
    cs.drive(0)
    seen = []
    for us in moments:
        clock.call_at(us, lambda: seen.append((clock.now_us, b"".join(device.log[1:]))))
    assert bus.transfer(out) == bytes(byte ^ 0xFF for byte in out)
    end = clock.now_us
    assert end == len(out) * 8 + 1
    wanted = [(us, out[: us // 8]) for us in sorted(moments) if us <= end]
    assert seen == wanted


class Line:
    """Keeps what it receives, and when."""

    def __init__(self, clock):
        self.clock, self.got = clock, []

    def receive(self, data):
        self.got.append((self.clock.now_us, data))


@pytest.fixture
def uart(clock):
    uart = UART(clock)
    uart.device = Line(clock)
    uart.open(115_200, 256, 256, 0)
    return uart


def test_uart_bytes_take_ten_bits_each_in_both_directions(uart, clock):
    uart.write(b"x" * 100)
    assert clock.now_us == 0
    uart.send(b"y" * 100)
    clock.advance_to(8_600)
    assert uart.device.got == []
    assert not uart.received
    clock.advance_to(8_700)
    assert uart.device.got == [(8_681, b"x" * 100)]
    assert uart.take(1000) == b"y" * 100


@given(st.lists(st.binary(max_size=300), max_size=6))
def test_uart_keeps_the_order_of_what_was_sent(chunks):
    clock = Clock()
    uart = UART(clock)
    uart.open(115_200, 256, 10_000, 0)
    for chunk in chunks:
        uart.send(chunk)
    clock.advance_to(1_000_000)
    assert uart.take(100_000) == b"".join(chunks)
    assert uart.lost == 0


def test_uart_a_writer_waits_for_room(uart, clock):
    uart.write(b"x" * 1000)
    # All but the 384 bytes that the buffers hold have left.
    assert clock.now_us == pytest.approx(616 * 86.8, rel=0.01)
    assert uart.sending_us == pytest.approx(384 * 86.8, rel=0.01)


def test_uart_what_finds_the_buffer_full_or_the_line_closed_is_lost(uart, clock):
    uart.send(b"z" * 500)
    clock.advance_to(100_000)
    assert len(uart.received) == 384
    assert uart.lost == 116
    uart.send(b"z" * 50)
    uart.close()
    uart.send(b"z")
    clock.advance_to(200_000)
    assert not uart.received
