"""The SHT45 model against the datasheet, and the firmware's driver against the model."""

import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coldtrail_simulator.clock import Clock, rng
from coldtrail_simulator.journal import Journal
from coldtrail_simulator.models.sht45 import SHT45, crc8
from coldtrail_simulator.wires import Nak
from tests.support.trackers.rig import MS, S

# Datasheet SHT4x: command, longest duration in us, repeatability (three standard deviations) of
# temperature in degC and humidity in %RH.
PRECISIONS = [(0xFD, 8_300, 0.04, 0.08), (0xF6, 4_500, 0.07, 0.15), (0xE0, 1_600, 0.10, 0.25)]


def make(*, celsius=21.5, percent=40.0, seed=1):
    clock = Clock()
    journal = Journal(clock)
    part = SHT45(
        clock,
        rng(seed, "ambient"),
        journal,
        ambient_c=lambda t_s: celsius,
        humidity=lambda t_s: percent,
    )
    return clock, journal, part


def words(answer):
    assert [answer[2], answer[5]] == [crc8(answer[:2]), crc8(answer[3:5])]
    return int.from_bytes(answer[:2], "big"), int.from_bytes(answer[3:5], "big")


def measure(clock, part, command=0xFD):
    part.write(bytes((command,)))
    clock.advance_to(clock.now_us + 10 * MS)
    return words(part.read(6))


def test_checksum_of_the_datasheet_s_example():
    assert crc8(b"\xbe\xef") == 0x92


@pytest.mark.parametrize(("command", "longest_us", "three_sigma_c", "three_sigma_rh"), PRECISIONS)
def test_it_answers_when_the_measurement_is_over_and_not_before(
    command, longest_us, three_sigma_c, three_sigma_rh
):
    clock, _, part = make()
    part.write(bytes((command,)))
    for _ in range(20):
        with pytest.raises(Nak):
            part.read(6)
        clock.advance_to(clock.now_us + longest_us // 40)
    clock.advance_to(longest_us)
    words(part.read(6))
    with pytest.raises(Nak):
        part.read(6)


@pytest.mark.parametrize(("command", "longest_us", "three_sigma_c", "three_sigma_rh"), PRECISIONS)
def test_readings_scatter_as_the_datasheet_says(
    command, longest_us, three_sigma_c, three_sigma_rh
):
    clock, _, part = make()
    readings = [measure(clock, part, command) for _ in range(2000)]
    for column, span, three_sigma in ((0, 175, three_sigma_c), (1, 125, three_sigma_rh)):
        units = [reading[column] / 65535 * span for reading in readings]
        assert statistics.stdev(units) * 3 == pytest.approx(three_sigma, rel=0.1)


def test_specimens_differ_within_the_accuracy():
    temperatures, humidities = [], []
    for seed in range(200):
        clock, _, part = make(seed=seed)
        t, rh = measure(clock, part)
        temperatures.append(-45 + 175 * t / 65535 - 21.5)
        humidities.append(-6 + 125 * rh / 65535 - 40)
    assert max(map(abs, temperatures)) < 0.1 + 0.06
    assert max(map(abs, humidities)) < 1.0 + 0.12
    assert statistics.stdev(temperatures) > 0.02


@settings(max_examples=50)
@given(st.floats(-40, 125), st.floats(0, 100))
def test_the_journal_holds_what_was_handed_out_and_what_was_true(celsius, percent):
    clock, journal, part = make(celsius=celsius, percent=percent)
    t, rh = measure(clock, part)
    (note,) = journal.of("measure", sensor="ambient")
    assert note["celsius"] == pytest.approx(-45 + 175 * t / 65535)
    assert note["percent"] == pytest.approx(min(100, max(0, -6 + 125 * rh / 65535)))
    assert note["true_celsius"] == celsius
    assert note["true_percent"] == percent
    assert note["celsius"] == pytest.approx(celsius, abs=0.2)


def test_serial_number_soft_reset_and_unknown_commands():
    clock, _, part = make()
    part.write(b"\x89")
    high, low = words(part.read(6))
    assert high << 16 | low == part.serial
    part.write(b"\xfd")
    clock.advance_to(10 * MS)
    part.write(b"\x94")
    with pytest.raises(Nak):
        part.write(b"\xfd")
    clock.advance_to(11 * MS)
    with pytest.raises(Nak):
        part.read(6)
    with pytest.raises(Nak):
        part.write(b"\x00")


def test_without_its_supply_it_is_not_there_and_forgets():
    clock, _, part = make()
    part.write(b"\xfd")
    clock.advance_to(10 * MS)
    part.power_off()
    for call in (lambda: part.write(b""), lambda: part.read(6)):
        with pytest.raises(Nak):
            call()
    part.power_on()
    clock.advance_to(12 * MS)
    part.write(b"")
    with pytest.raises(Nak):
        part.read(6)


DRIVER = """
import machine, time
from drivers.sht45 import SHT45
from drivers.fault import SensorFault
i2c = machine.I2C(0, scl=machine.Pin(22), sda=machine.Pin(21))
sensor = SHT45(i2c)
for _ in range({n}):
    try:
        print(*sensor.measure())
    except SensorFault as fault:
        print("fault", fault.args[0])
    time.sleep(10)
print(sensor.serial())
machine.deepsleep(10**7)
"""


def test_the_driver_reports_every_fault_and_recovers(prepared):
    """A status as in uplink.cddl: 1 no answer, 2 CRC wrong, 7 bus stuck."""
    sim = prepared(DRIVER.format(n=6))
    part = sim.parts["ambient"]

    def at(s, name, value):
        sim.clock.call_at(s * S, lambda: setattr(part, name, value))

    at(5, "silent", True)
    at(15, "silent", False)
    at(15, "wrong_crc", True)
    at(25, "wrong_crc", False)
    at(25, "holds_bus", True)
    at(35, "holds_bus", False)
    at(35, "stuck", (0x6666, 0x8000))
    at(45, "stuck", None)
    sim.power_on()
    sim.run(100 * S)
    *lines, serial = (
        line for line in sim.console.text.splitlines() if not line.startswith("Warning")
    )
    assert lines[1:4] == ["fault 1", "fault 2", "fault 7"]
    # 0x6666 of 0xFFFF is 0.4 and 0x8000 0.5: 25 degC and 56.5 %RH.
    assert lines[4] == "2500 565"
    notes = list(sim.journal.of("measure", sensor="ambient"))
    given = [f"{round(n['celsius'] * 100)} {round(n['percent'] * 10)}" for n in notes]
    assert given == [lines[0], lines[4], lines[5]]
    assert int(serial) == part.serial
