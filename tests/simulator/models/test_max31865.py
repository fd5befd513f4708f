"""The MAX31865 model against datasheet and IEC 60751, and the firmware's driver against it."""

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldtrail_simulator.clock import Clock, rng
from coldtrail_simulator.journal import Journal
from coldtrail_simulator.models.max31865 import MAX31865, Fault, resistance, temperature
from tests.support.trackers.rig import MS, S, Still

# IEC 60751:2008, table 1, for a PT100, so a tenth of these ohms.
TABLE = [
    (-200, 18.52), (-150, 39.72), (-100, 60.26), (-50, 80.31), (0, 100.00), (10, 103.90),
    (100, 138.51), (200, 175.86), (400, 247.09), (600, 313.71), (850, 390.48),
]  # fmt: skip


class Bench:
    """A converter with its select line in our hand."""

    def __init__(self, *, celsius=5.0, seed=1, **options):
        self.celsius = celsius
        self.clock = Clock()
        self.journal = Journal(self.clock)
        self.part = MAX31865(
            self.clock,
            rng(seed, "probe"),
            self.journal,
            celsius=lambda t_s: self.celsius,
            **options,
        )

    def exchange(self, *out):
        self.part.select()
        answer = self.part.transfer(bytes(out))
        self.part.deselect()
        return answer[1:]

    def read(self, register, n=1):
        return self.exchange(register, *bytes(n))

    def configure(self, value):
        self.exchange(0x80, value)

    def after(self, us):
        self.clock.advance_to(self.clock.now_us + us)

    def convert(self, extra=0x11):
        self.configure(0x80 | extra)
        self.after(11 * MS)
        self.configure(0xA0 | extra)
        self.after(67 * MS)
        return int.from_bytes(self.read(1, 2), "big")


@pytest.mark.parametrize(("celsius", "ohm"), TABLE)
def test_resistance_is_the_standard_s_table(celsius, ohm):
    assert resistance(celsius, 100.0) == pytest.approx(ohm, abs=0.0051)


@given(st.floats(-200, 850))
def test_temperature_is_the_inverse_of_resistance(celsius):
    assert temperature(resistance(celsius)) == pytest.approx(celsius, abs=1e-5)


def test_registers_after_power_on_and_what_can_be_written():
    bench = Bench()
    assert bench.read(0, 8) == bytes((0, 0, 0, 0xFF, 0xFF, 0, 0, 0))
    bench.exchange(0x80, 0x91, 1, 2, 0x12, 0x34, 0x56, 0x78, 9)
    assert bench.read(0, 8) == bytes((0x91, 0, 0, 0x12, 0x34, 0x56, 0x78, 0))
    # Reading starts anywhere and counts up.
    assert bench.read(4, 2) == b"\x34\x56"
    bench.part.power_off()
    assert bench.read(0, 2) == b"\xff\xff"
    bench.part.power_on()
    assert bench.read(0, 8) == bytes((0, 0, 0, 0xFF, 0xFF, 0, 0, 0))


@pytest.mark.parametrize(("filter_50hz", "shortest", "longest"), [(0, 52, 55), (1, 62.5, 66)])
def test_a_single_conversion_takes_its_time(filter_50hz, shortest, longest):
    for seed in range(20):
        bench = Bench(seed=seed)
        bench.configure(0x90 | filter_50hz)
        bench.after(11 * MS)
        bench.configure(0xB0 | filter_50hz)
        assert bench.read(0) == bytes((0x90 | filter_50hz,))
        bench.after(int(shortest * MS) - 1)
        assert bench.read(1, 2) == b"\0\0"
        bench.after(int((longest - shortest) * MS) + 1)
        assert bench.read(1, 2) != b"\0\0"


def test_automatic_conversion_follows_the_temperature():
    bench = Bench()
    bench.configure(0xD1)
    bench.after(100 * MS)
    before = int.from_bytes(bench.read(1, 2), "big")
    bench.celsius = 50.0
    bench.after(50 * MS)
    after = int.from_bytes(bench.read(1, 2), "big")
    # 44.6 degC are 172 ohm: 1,313 counts of a 15-bit ratio to 4,300 ohm, shifted by the fault bit.
    assert (after - before) / 2 == pytest.approx(1318, abs=30)
    bench.configure(0x91)
    bench.after(50 * MS)
    bench.celsius = 100.0
    left = bench.read(1, 2)
    bench.after(500 * MS)
    assert bench.read(1, 2) == left


@pytest.mark.parametrize("celsius", [-196.0, -80.0, -20.0, 0.0, 5.0, 40.0])
def test_codes_are_the_ratio_with_noise_and_offset_of_the_datasheet(celsius):
    bench = Bench(celsius=celsius)
    codes = [bench.convert() >> 1 for _ in range(300)]
    ideal = resistance(celsius) / 4300 * 32768
    # 150 uV rms of a reference of 2 V * 4300 / (4300 + RTD).
    noise = 150e-6 / (2 * 4300 / (4300 + resistance(celsius))) * 32768
    assert statistics.stdev(codes) == pytest.approx(noise, rel=0.2)
    # Offset 3 counts at most, and an element of class A: 0.15 + 0.002 |t| degC.
    element = resistance(abs(celsius) * 0.002 + 0.15) - 1000
    assert abs(statistics.fmean(codes) - ideal) < 3 + element / 4300 * 32768 + 1


def test_without_bias_or_too_soon_after_it_the_result_is_wrong():
    bench = Bench()
    good = bench.convert() >> 1
    bench.configure(0x11)
    bench.configure(0xB1)
    bench.after(67 * MS)
    soon = int.from_bytes(bench.read(1, 2), "big") >> 1
    assert soon < good / 2
    bench.configure(0x11)
    codes = set()
    for _ in range(10):
        bench.configure(0x31)
        bench.after(67 * MS)
        codes.add(int.from_bytes(bench.read(1, 2), "big"))
    assert max(codes) - min(codes) > 10_000


def test_a_third_wire_is_only_taken_off_when_the_firmware_says_so():
    bench = Bench()
    with_bit = statistics.fmean(bench.convert(0x11) for _ in range(100)) / 2
    without = statistics.fmean(bench.convert(0x01) for _ in range(100)) / 2
    assert without - with_bit == pytest.approx(0.5 / 4300 * 32768, abs=2)


def test_thresholds_set_latched_bits_that_clearing_takes_away():
    bench = Bench()
    code = 1020 * 32768 // 4300
    # Above the high one at 0x0010, and below nothing.
    bench.exchange(0x83, 0x00, 0x10, 0x00, 0x00)
    assert bench.convert() & 1
    assert bench.read(7) == b"\x80"
    bench.exchange(0x83, 0xFF, 0xFF, 0xFF, 0xFE)
    assert bench.convert() & 1
    assert bench.read(7) == b"\xc0"
    bench.configure(0xB3)  # with 1-shot set the clear bit does nothing
    assert bench.read(7) == b"\xc0"
    bench.after(67 * MS)
    bench.configure(0x93)
    assert bench.read(0) == b"\x91"
    assert bench.read(7) == b"\0"
    bench.exchange(0x83, (code + 100) >> 7, (code + 100) << 1 & 0xFE, (code - 100) >> 7, 0)
    assert not bench.convert() & 1
    assert bench.read(7) == b"\0"


def test_open_short_and_voltage_faults():
    bench = Bench()
    bench.part.fault = Fault.OPEN
    assert bench.convert() == 0xFFFF
    assert bench.read(7) == b"\x80"
    bench.configure(0x95)  # automatic fault detection cycle
    bench.after(500)
    assert bench.read(0) == b"\x95"
    bench.after(100)
    assert bench.read(0) == b"\x91"
    assert bench.read(7) == b"\xa0"
    bench.part.fault = Fault.SHORT
    bench.configure(0x93)
    assert bench.convert() == 0x0001
    assert bench.read(7) == b"\x40"
    bench.part.fault = Fault.VOLTAGE
    bench.configure(0x93)
    assert bench.read(7) == b"\x04"  # at once again, while it persists
    bench.part.fault = None
    bench.configure(0x93)
    assert bench.read(7) == b"\0"
    assert not bench.convert() & 1


# Table 11: bits of a test of the leads, and what conversions give.
LEADS = {
    Fault.FORCE_PLUS_OPEN: (0x20, None),
    Fault.RTDIN_MINUS_HIGH: (0x20, None),
    Fault.RTDIN_MINUS_LOW: (0x18, "valid"),
    Fault.FORCE_PLUS_LOW: (0x48, "zero"),
    Fault.RTDIN_PLUS_LOW: (0x48, "zero"),
}


@pytest.mark.parametrize("fault", LEADS)
def test_a_manual_cycle_tells_the_leads_of_table_11(fault):
    bits, data = LEADS[fault]
    bench = Bench()
    bench.exchange(0x83, 0xFF, 0xFF, 0x08, 0x00)
    good = bench.convert() >> 1
    bench.part.fault = fault
    bench.configure(0x93)
    code = bench.convert()
    bench.configure(0x99)  # cycle 1
    bench.after(3 * MS)
    assert bench.read(0) == b"\x99", "it waits for cycle 2"
    bench.configure(0x9D)
    bench.after(MS)
    assert bench.read(0) == b"\x91"
    assert bench.read(7)[0] == bits
    if data == "valid":
        assert not code & 1
        assert code >> 1 == pytest.approx(good, abs=20)
    elif data == "zero":
        assert code >> 1 == 0
    else:
        assert not code & 1, "nothing in a conversion shows it"


def test_a_manual_cycle_finds_nothing_wrong_unless_it_is_hurried():
    bench = Bench()
    for wait_ms, bits in ((3, 0), (1, 0x18)):
        bench.configure(0x93)
        bench.after(11 * MS)
        bench.configure(0x99)
        bench.after(wait_ms * MS)
        bench.configure(0x9D)
        assert bench.read(7)[0] == bits
    bench.configure(0x93)
    bench.configure(0x9D)  # cycle 2 without cycle 1 is ignored
    assert bench.read(0) == b"\x91"
    assert bench.read(7) == b"\0"


@pytest.mark.parametrize(("wait_us", "share"), [(4_600, 0), (430, 0.368)])
def test_after_a_manual_cycle_the_input_settles_with_the_time_constant_of_its_filter(
    wait_us, share
):
    # 4.3 kilo-ohm and 100 nF are 0.43 ms: 10.5 time constants are 4.5 ms, after one exp(-1) is
    # missing. The bias is on all the while, so its 10 ms do not count again.
    bench = Bench()
    good = statistics.fmean(bench.convert() >> 1 for _ in range(50))
    codes = []
    for _ in range(50):
        bench.configure(0x93)
        bench.after(30 * MS)
        bench.configure(0x99)
        bench.after(3 * MS)
        bench.configure(0x9D)
        bench.after(wait_us)
        bench.configure(0xB1)
        bench.after(67 * MS)
        codes.append(int.from_bytes(bench.read(1, 2), "big") >> 1)
    # The noise is 3 counts, so 0.6 for the difference of two means of 50.
    assert statistics.fmean(codes) == pytest.approx(good * (1 - share), abs=4)


def test_each_conversion_is_noted_once_as_it_was_handed_out():
    bench = Bench()
    code = bench.convert() >> 1
    bench.read(1, 2)
    bench.read(0, 8)
    (note,) = bench.journal.of("measure", sensor="probe")
    assert note["code"] == code
    assert resistance(note["celsius"]) == pytest.approx(code * 4300 / 32768, abs=1e-3)
    assert note["true_celsius"] == 5.0
    bench.part.fault = Fault.SHORT
    bench.convert()
    (note,) = bench.journal.of("sensor-fault")
    assert note["status"] == 0x40
    assert len(list(bench.journal.of("measure"))) == 1


DRIVER = """
import machine, time
from drivers.max31865 import MAX31865
from drivers.fault import SensorFault
spi = machine.SPI(2, baudrate=1000000, polarity=0, phase=1)
probe = MAX31865(spi, machine.Pin(4, machine.Pin.OUT, value=1), 4300, 3)
for _ in range({n}):
    try:
        print(probe.measure())
    except SensorFault as fault:
        print("fault", fault.args[0])
    time.sleep(10)
machine.deepsleep(10**7)
"""


def test_the_driver_reports_every_fault_and_recovers(prepared):
    """A status as in uplink.cddl: 1 no answer, 3 open, 4 short, 8 reference fault."""
    sim = prepared(DRIVER.format(n=11))
    part = sim.parts["probe"]

    def at(s, name, value):
        sim.clock.call_at(s * S, lambda: setattr(part, name, value))

    at(5, "silent", True)
    at(15, "silent", False)
    faults = (Fault.OPEN, Fault.SHORT, Fault.VOLTAGE, *LEADS, None)
    for s, fault in enumerate(faults, start=1):
        at(10 * s + 5, "fault", fault)
    sim.power_on()
    sim.run(200 * S)
    lines = sim.console.text.splitlines()
    assert lines[1:10] == [f"fault {code}" for code in (1, 3, 4, 8, 3, 3, 4, 4, 4)]
    notes = list(sim.journal.of("measure", sensor="probe"))
    given = [round(note["celsius"] * 100) for note in notes]
    assert given == [int(lines[0]), int(lines[10])]


def test_the_driver_tells_hot_from_open(prepared):
    """14, above its range: a fire is no broken lead, and a broken lead no fire."""
    world = Still(payload=109.0)
    sim = prepared(DRIVER.format(n=3), world=world)
    sim.clock.call_at(5 * S, lambda: setattr(world, "payload", 112.0))
    sim.clock.call_at(15 * S, lambda: setattr(world, "payload", 800.0))
    sim.power_on()
    sim.run(60 * S)
    lines = sim.console.text.splitlines()
    assert int(lines[0]) == pytest.approx(10900, abs=80)
    assert lines[1:] == ["fault 14", "fault 14"]


@pytest.mark.parametrize("celsius", [-190.0, -75.0, -20.0, 2.0, 8.0, 45.0])
def test_the_driver_s_reading_is_the_journal_s_over_the_whole_range(prepared, celsius):
    sim = prepared(DRIVER.format(n=20), world=Still(payload=celsius))
    sim.power_on()
    sim.run(210 * S)
    notes = list(sim.journal.of("measure", sensor="probe"))
    assert len(notes) == 20
    printed = [int(line) for line in sim.console.text.split()]
    # The driver rounds an exact value to 0.01 degC; a tie may fall either way.
    for note, centi in zip(notes, printed, strict=True):
        assert abs(note["celsius"] * 100 - centi) <= 0.51
        # An element of class A, 3 counts of offset, 5 sigma of noise.
        most = 0.15 + 0.002 * abs(celsius) + 0.1 + 5 * 0.11
        assert note["celsius"] == pytest.approx(celsius, abs=most)
