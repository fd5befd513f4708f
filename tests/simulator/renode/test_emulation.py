"""The board around an emulated chip, over the socket that the emulator uses."""

import re
import socket
import struct

import pytest

from coldtrail_simulator.board import file as boards
from coldtrail_simulator.clock import RunInvalidError
from coldtrail_simulator.models.sht45 import crc8
from coldtrail_simulator.paths import BOARDS
from coldtrail_simulator.renode.bench import (
    POWERED,
    REPLY,
    REQUEST,
    TICK_US,
    VBUS,
    VERSION,
    BenchOp,
)
from coldtrail_simulator.renode.edge import ACK, NAK, STUCK
from coldtrail_simulator.renode.emulation import Emulation
from tests.support.host import PATIENCE_S
from tests.support.trackers.rig import Still

BOARD = boards.named("nrf52840dk_bg95")
I2C = bytes(BOARD["BUSES"]["I2C", 0]["pins"][role] for role in ("scl", "sda"))
SPI = bytes(BOARD["BUSES"]["SPI", 2]["pins"][role] for role in ("sck", "mosi", "miso"))
HZ = 4_000_000
CS = BOARD["FLASH"]["cs"]


class Chip:
    """An emulator's end of the connection."""

    def __init__(self, emulation):
        self.socket = socket.create_connection(("127.0.0.1", emulation.port), PATIENCE_S)
        self.now_us = 0
        self.flags = self.outages = self.due_us = self.levels = 0

    def send(self, op, unit=0, argument=0, data=b""):
        self.socket.sendall(REQUEST.pack(op, unit, len(data), argument, self.now_us) + data)

    def ask(self, op, unit=0, argument=0, data=b""):
        self.send(op, unit, argument, data)
        return self.hear()

    def hear(self):
        head = self._receive(REPLY.size)
        status, self.flags, self.outages, length, self.due_us, self.levels = REPLY.unpack(head)
        return status, self._receive(length)

    def _receive(self, n):
        data = b""
        while len(data) < n:
            more = self.socket.recv(n - len(data))
            if not more:
                raise ConnectionError
            data += more
        return data

    def level(self, pin):
        return self.levels >> pin & 1

    def drive(self, pin, level):
        """Drive one pin of P1, and let go of all others; the select pins are pulled up."""
        bit = 1 << pin - 32
        masks = (0, bit, 0, 0) if level else (bit, 0, 0, 0)
        return self.ask(BenchOp.PINS, 1, 0, struct.pack("<4I", *masks))

    def spi(self, out, select=CS, mode=3):
        self.drive(select, 0)
        status, answer = self.ask(BenchOp.SPI, mode, HZ, SPI + out)
        self.drive(select, 1)
        assert status == 0
        return answer

    def start(self, address, read=0):
        return self.ask(BenchOp.I2C_START, 0, 400_000, I2C + bytes((address << 1 | read,)))

    def read(self, address, n):
        status, first = self.start(address, 1)
        assert status == ACK
        data = first + b"".join(self.ask(BenchOp.I2C_NEXT)[1] for _ in range(n - 1))
        self.ask(BenchOp.I2C_STOP)
        return data

    def close(self):
        self.socket.close()


@pytest.fixture
def emulation():
    board = {key: value for key, value in BOARD.items() if key != "MODEM"}
    with Emulation(board, Still()) as made:
        yield made


@pytest.fixture
def chip(emulation):
    """A chip with supply, whose time passes on its own."""
    emulation.power_on()
    emulation.release()
    chip = Chip(emulation)
    chip.ask(BenchOp.HELLO, 0, VERSION)
    chip.now_us = 50_000
    yield chip
    chip.close()


def test_the_boards_clock_moves_with_the_chips_and_calls_are_made_at_their_moment(emulation, chip):
    made = []

    def book():
        for us in (60_000, 75_000):
            emulation.clock.call_at(us, lambda us=us: made.append((us, emulation.clock.now_us)))

    emulation.do(book)
    chip.ask(BenchOp.TICK)
    assert emulation.clock.now_us == 50_000
    assert chip.due_us == 60_000
    chip.now_us = 80_000
    chip.ask(BenchOp.TICK)
    assert made == [(60_000, 60_000), (75_000, 75_000)]


def test_time_stands_still_where_run_ends(emulation):
    emulation.power_on()
    chip = Chip(emulation)
    chip.ask(BenchOp.HELLO, 0, VERSION)
    chip.now_us = 1_000
    chip.send(BenchOp.TICK)
    chip.socket.settimeout(0.05)
    with pytest.raises(TimeoutError):
        chip.hear()
    # What is done meanwhile, the reply tells already.
    emulation.power_off()
    emulation.run(1_000)
    emulation.do(lambda: None)
    chip.socket.settimeout(PATIENCE_S)
    emulation.release()
    chip.hear()
    assert (chip.flags & POWERED, chip.outages) == (0, 1)
    chip.close()


def test_outputs_drive_nets_and_inputs_read_them(emulation, chip):
    led, button = BOARD["LED_GREEN"], BOARD["BUTTON"]
    chip.drive(led, 1)
    assert emulation.do(lambda: emulation.parts["led_green"].lit)
    assert chip.level(led) == 1
    chip.drive(led, 0)
    assert not emulation.do(lambda: emulation.parts["led_green"].lit)
    assert chip.level(button) == 0
    emulation.do(lambda: emulation.parts["button"].press(1_000_000))
    chip.now_us += 20_000
    chip.ask(BenchOp.TICK)
    assert chip.level(button) == 1


def test_an_open_input_reads_anything_and_one_with_a_resistor_its_level(chip):
    pulls = dict(BOARD["PULLS"])
    spare = next(pin for pin in range(48) if pin not in pulls and pin not in I2C)
    chip.ask(BenchOp.PINS, 1, 0, bytes(16))
    seen = set()
    for _ in range(64):
        chip.ask(BenchOp.TICK)
        seen.add(chip.level(spare))
        assert all(chip.level(pin) == level for pin, level in pulls.items())
    assert seen == {0, 1}


def test_a_scan_finds_what_is_on_the_bus_and_nothing_else(chip):
    found = [address for address in range(128) if chip.start(address)[0] == ACK]
    fitted = [entry["address"] for entry in BOARD["SENSORS"].values() if "address" in entry]
    assert found == sorted(fitted)


def test_a_bus_that_somebody_holds_answers_nothing(emulation, chip):
    emulation.do(lambda: setattr(emulation.parts["ambient"], "holds_bus", True))
    assert chip.start(0x45)[0] == STUCK


def test_a_measurement_read_byte_by_byte_is_the_journals(emulation, chip):
    assert chip.start(0x44)[0] == ACK
    assert chip.ask(BenchOp.I2C_WRITE, 0, 0, b"\xfd")[0] == ACK
    assert chip.start(0x44, 1)[0] == NAK  # it measures
    chip.now_us += 20_000
    data = chip.read(0x44, 6)
    assert crc8(data[:2]) == data[2]
    assert crc8(data[3:5]) == data[5]
    (note,) = emulation.do(lambda: list(emulation.journal.of("measure")))
    assert note["celsius"] == pytest.approx(-45 + 175 * int.from_bytes(data[:2], "big") / 65535)


def test_a_sample_read_byte_by_byte_is_one_reading(emulation, chip):
    address = BOARD["SENSORS"]["accelerometer"]["address"]
    chip.start(address)
    chip.ask(BenchOp.I2C_WRITE, 0, 0, b"\x20\x50")  # 100 Hz
    chip.now_us += 100_000
    chip.start(address)
    chip.ask(BenchOp.I2C_WRITE, 0, 0, b"\x28")
    x, y, z = struct.unpack("<3h", chip.read(address, 6))
    (note,) = emulation.do(lambda: list(emulation.journal.of("samples", sensor="accelerometer")))
    lsb_mg = 0.244 / 4
    assert note["peak_mg"] == [pytest.approx(value * lsb_mg, abs=0.1) for value in (x, y, z)]
    assert note["count"] == 1


def test_a_part_refuses_a_command_it_does_not_know(chip):
    chip.start(0x44)
    assert chip.ask(BenchOp.I2C_WRITE, 0, 0, b"\x01")[0] == NAK


def test_flash_answers_in_its_modes_on_its_pins_while_selected(chip):
    jedec = b"\xef\x40\x17"
    assert chip.spi(b"\x9f\0\0\0")[1:] == jedec
    assert chip.spi(b"\x9f\0\0\0", mode=1) == b"\xff" * 4
    assert chip.ask(BenchOp.SPI, 3, HZ, SPI + b"\x9f\0\0\0")[1] == b"\xff" * 4
    chip.drive(CS, 0)
    assert chip.ask(BenchOp.SPI, 3, HZ, SPI[::-1] + b"\x9f\0\0\0")[1] == b"\xff" * 4


@pytest.mark.parametrize("bits", [8, 10, 12])
def test_a_conversion_is_the_voltage_at_the_pin(emulation, chip, bits):
    battery = BOARD["SENSORS"]["battery"]
    _, code = chip.ask(BenchOp.ADC, battery["adc"], 3_600_000, bytes((bits,)))
    (code,) = struct.unpack("<H", code)
    volts = emulation.do(emulation.parts["battery"].volts)
    step = 3.6 / (1 << bits)
    assert code * step == pytest.approx(volts, abs=step + 3.6 / 3000 * 5)
    (note,) = emulation.do(lambda: list(emulation.journal.of("measure", sensor="battery")))
    assert note["microvolts"] == pytest.approx(code * step * 1e6, abs=1)


def test_power_lost_in_the_middle_of_a_program_tears_it_at_that_moment(emulation, chip):
    chip.spi(b"\x06")
    chip.spi(b"\x02\0\0\0" + bytes(256))
    begun_us = emulation.do(lambda: emulation.clock.now_us)
    assert emulation.do(lambda: emulation.parts["flash"].busy)
    emulation.do(lambda: emulation.clock.call_at(begun_us + 150, emulation.power_off))
    chip.now_us = begun_us
    chip.ask(BenchOp.TICK)
    assert chip.due_us == begun_us + 150
    chip.now_us = chip.due_us
    chip.ask(BenchOp.TICK)
    assert not chip.flags & POWERED
    (torn,) = emulation.do(lambda: list(emulation.journal.of("flash_torn")))
    assert torn["us"] == begun_us + 150


def test_a_chip_that_has_not_noticed_an_outage_changes_nothing(emulation, chip):
    chip.spi(b"\x06")
    emulation.power_cut(1)
    chip.now_us += 30_000
    assert chip.ask(BenchOp.SPI, 3, HZ, SPI + b"\x9f\0\0\0") == (NAK, b"")
    assert chip.flags & POWERED
    assert chip.outages == 1
    # Now it knows, and has begun anew.
    assert chip.spi(b"\x9f\0\0\0")[1:] == b"\xef\x40\x17"
    assert chip.spi(b"\x05\0")[1] == 0  # nothing is write-enabled


def test_a_cable_is_seen_at_vbus(emulation, chip):
    emulation.plug()
    chip.ask(BenchOp.TICK)
    assert chip.flags & VBUS
    emulation.unplug()
    chip.ask(BenchOp.TICK)
    assert not chip.flags & VBUS


def test_resets_are_noted_by_their_reasons(emulation, chip):
    for reasons in (0, 2, 6, 0x10000):
        chip.ask(BenchOp.RESET, 0, reasons)
    boots = emulation.do(lambda: [note["cause"] for note in emulation.journal.of("boot")])
    assert boots == ["power-on", "watchdog", "watchdog and reset", "system off"]


class Echo:
    """Answers what it hears in capitals."""

    def __init__(self, uart):
        self._uart = uart

    def receive(self, data):
        self._uart.send(data.upper())


def test_the_uart_is_joined_to_its_part_while_there_is_supply(emulation, chip):
    uart = emulation.chip.uarts[0]
    uart.device = Echo(uart)
    with socket.create_server(("127.0.0.1", 0)) as server:
        emulation.join_uart(server.getsockname()[1])
        peer, _ = server.accept()
        with peer:
            peer.settimeout(PATIENCE_S)
            chip.ask(BenchOp.BAUD, 0, 38_400)
            assert uart.baud == 38_400
            peer.sendall(b"at")
            assert peer.recv(2) == b"AT"
            emulation.power_off()
            peer.sendall(b"at")
            peer.settimeout(0.05)
            with pytest.raises(TimeoutError):
                peer.recv(2)


def test_a_uart_that_nobody_offers_is_said_to_be_missing(emulation):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(RunInvalidError, match=f"UART port {port}"):
        emulation.join_uart(port)


def test_nobody_comes(emulation):
    with pytest.raises(
        RunInvalidError, match=f"No emulator has connected to port {emulation.port}"
    ):
        emulation.await_emulator(0.01)


def test_an_emulator_that_goes_is_missed(emulation, chip):
    chip.close()
    with pytest.raises(RunInvalidError, match="The emulator is gone"):
        emulation.run(1 << 40)
    with pytest.raises(RunInvalidError, match="The emulator is gone"):
        emulation.do(lambda: None)


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ((99, 0, 0, b""), "operation 99"),
        ((BenchOp.HELLO, 0, VERSION + 1, b""), f"version {VERSION + 1}"),
        ((BenchOp.PINS, 0, 0, b"\0"), "PINS has not its form"),
        ((BenchOp.I2C_START, 0, 0, b"\0"), "I2C_START has not its form"),
        ((BenchOp.SPI, 0, HZ, b"\0\0"), "SPI has not its form"),
        ((BenchOp.ADC, 0, 0, b""), "ADC has not its form"),
        ((BenchOp.BAUD, 7, 9600, b""), "BAUD has not its form"),
    ],
)
def test_what_is_no_request_ends_the_run(emulation, chip, request_, said):
    chip.send(*request_)
    with pytest.raises(ConnectionError):
        chip.hear()
    with pytest.raises(RunInvalidError, match=said):
        emulation.run(1 << 40)


def test_what_the_board_does_wrong_is_told_where_it_was_asked_for(emulation, chip):
    with pytest.raises(ZeroDivisionError):
        emulation.do(lambda: 1 // 0)
    assert chip.ask(BenchOp.TICK)[0] == 0


def test_an_emulator_that_falls_silent_is_missed(emulation, chip):
    with pytest.raises(RunInvalidError, match="has asked nothing for 0.1 s"):
        emulation.run(1 << 40, silence_s=0.1)


def test_the_models_in_the_emulator_hold_the_same_numbers():
    source = (BOARDS / "nrf52840dk_bg95" / "renode" / "Bench.cs").read_text()
    (body,) = re.findall(r"enum Operation : byte\s*{(.*?)}", source, re.DOTALL)
    there = {name.upper(): int(number) for name, number in re.findall(r"(\w+) = (\d+)", body)}
    assert there == {op.name.replace("_", ""): op.value for op in BenchOp}
    (tick,) = re.findall(r"LongestTick = (\d+)", source)
    (version,) = re.findall(r"Version = (\d+)", source)
    assert (int(tick), int(version)) == (TICK_US, VERSION)
