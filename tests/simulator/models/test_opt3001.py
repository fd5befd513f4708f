"""The OPT3001 model against the datasheet, and the firmware's driver against the model."""

from bisect import bisect_right

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coldtrail_simulator.models import opt3001 as model
from coldtrail_simulator.models.faults import set_fault
from drivers import fault
from drivers import opt3001 as driver
from tests.simulator.i2c_rig import I2CRig
from tests.support.trackers.rig import MS, S

# SBOS681C, table 9: E and R of the result register, and the illuminance in lux.
EXAMPLES = [
    (0b0000, 0x001, 0.01),
    (0b0000, 0xFFF, 40.95),
    (0b0011, 0x456, 88.80),
    (0b0111, 0x789, 2469.12),
    (0b1000, 0x800, 5242.88),
    (0b1001, 0x800, 10485.76),
    (0b1010, 0x800, 20971.52),
    (0b1011, 0x001, 20.48),
    (0b1011, 0xFFF, 83865.60),
]


class Lamp:
    """Light that changes at given seconds."""

    def __init__(self, *steps):
        self.changes = [at for at, _ in steps]
        self._lux = [0.0, *(lux for _, lux in steps)]

    def __call__(self, t_s):
        return self._lux[bisect_right(self.changes, t_s)]


@pytest.fixture
def make(monkeypatch):
    def make(*steps, **options):
        lamp = Lamp(*steps)
        rig = I2CRig(
            monkeypatch, driver, model.OPT3001, light=lamp, changes=lamp.changes, **options
        )
        rig.line.attach("resistor").pull(1)
        rig.part.connect_int(rig.line.attach("part"))
        return rig

    return make


@pytest.mark.parametrize(("exponent", "mantissa", "lux"), EXAMPLES)
def test_the_examples_of_the_datasheet(exponent, mantissa, lux):
    code = exponent << 12 | mantissa
    assert model.lux(code) == pytest.approx(lux)
    assert driver.lux(code) == round(lux * 100)


def test_every_code_that_can_be_is_converted_exactly():
    for code in range(12 << 12):
        assert driver.lux(code) == round(model.lux(code) * 100)


def test_every_limit_is_the_highest_code_that_is_not_above_it():
    assert [driver.limit(n) for n in (0, 1, 4095, 4096, 8386560)] == [0, 1, 0xFFF, 0x1800, 0xBFFF]
    for centilux in range(1 << 17):
        code = driver.limit(centilux)
        step = 1 << (code >> 12)
        assert driver.lux(code) <= centilux < driver.lux(code) + step


def test_registers_after_power_on(make):
    rig = make()
    registers = [rig.register(address, 2) for address in (0, 1, 2, 3, 0x7E, 0x7F)]
    assert registers == [0x0000, 0xC810, 0xC000, 0xBFFF, 0x5449, 0x3001]


@pytest.mark.parametrize(("ct", "least", "most"), [(0, 90, 110), (0x0800, 720, 880)])
def test_a_conversion_takes_its_time_and_a_single_one_shuts_down(make, ct, least, most):
    for seed in range(30):
        rig = make((0, 100.0), seed=seed)
        rig.part.write((0x01C200 | ct).to_bytes(3, "big"))
        while not rig.register(1, 2) & model.CRF:
            rig.after(MS)
        # Automatic ranging adds 10 ms.
        assert least + 10 <= rig.clock.now_us / MS <= most + 11
        rig.after(3 * S)
        assert not rig.register(1, 2) & (model.CRF | model.M)


@settings(max_examples=60, deadline=None)
@given(st.floats(0, 76000), st.integers(0, 1000))
def test_the_range_is_the_lowest_that_holds_the_light(lux, seed):
    with pytest.MonkeyPatch.context() as patch:
        rig = I2CRig(patch, driver, model.OPT3001, light=lambda t_s: lux, seed=seed)
        sensor = driver.OPT3001(rig)
        reading = sensor.measure()
        code = rig.register(0, 2)
        assert code >> 12 == 0 or code & 0xFFF >= 0x800
        # 6.5: 10 % of the reading, 3 codes in the dark, half a code.
        step = 0.01 * 2 ** (code >> 12)
        assert abs(reading / 100 - lux) <= 0.1 * lux + 0.03 + step
        note = next(rig.journal.of("measure"))
        assert note["lux"] * 100 == pytest.approx(reading)
        assert note["true_lux"] == lux


def test_the_latch_holds_until_the_configuration_is_read(make):
    """Table 2: INT and the flag stay through darkness until the configuration register is read."""
    rig = make((10, 2.0), (20, 0.0))
    driver.OPT3001(rig).arm(above=100)
    for _ in range(9):
        rig.after(S)
        assert rig.line.level == 1
    rig.after(3 * S)
    assert rig.line.level == 0
    rig.after(20 * S)
    assert rig.line.level == 0
    assert rig.register(1, 2) & (model.FH | model.FL) == model.FH
    assert rig.line.level == 1
    rig.after(5 * S)
    assert rig.line.level == 1
    assert rig.register(1, 2) & (model.FH | model.FL) == 0


def test_what_stands_comes_back_with_the_next_conversion(make):
    rig = make((10, 2.0))
    driver.OPT3001(rig).arm(above=100)
    rig.after(15 * S)
    for _ in range(3):
        assert rig.line.level == 0
        rig.register(1, 2)
        assert rig.line.level == 1
        rig.after(S)


@pytest.mark.parametrize(("field", "count"), list(enumerate((1, 2, 4, 8))))
def test_so_many_results_in_a_row_make_a_fault(make, field, count):
    rig = make((0, 5.0))
    rig.part.write(b"\x02\x00\x00")
    rig.part.write(b"\x03\x00\x64")
    rig.part.write((0x01CE10 | field).to_bytes(3, "big"))
    while rig.line.level:
        rig.after(10 * MS)
    spans = (rig.clock.now_us - 10 * MS) / S
    assert 0.72 * count <= spans <= 0.88 * count + 0.02


def test_the_transparent_mode_follows_the_light_with_hysteresis(make):
    rig = make((5, 3.0), (15, 1.5), (25, 0.2))
    rig.part.write(b"\x02\x00\x64")
    rig.part.write(b"\x03\x00\xc8")
    rig.part.write(b"\x01\xce\x00")
    levels = []
    for _ in range(3):
        rig.after(10 * S)
        rig.register(1, 2)
        levels.append(rig.line.level)
    assert levels == [0, 0, 1]


def test_end_of_conversion_mode_and_the_polarity(make):
    rig = make()
    rig.part.write(b"\x01\xce\x18")  # low limit as after a reset: 0xC000
    assert rig.line.level == 0
    rig.after(S)
    assert rig.line.level == 1
    rig.register(1, 2)
    assert rig.line.level == 0


def test_a_door_wakes_and_its_closing_too(make):
    rig = make((100, 2.0), (400, 0.0))
    sensor = driver.OPT3001(rig)
    sensor.arm(above=100)
    rig.after(99 * S)
    assert sensor.event() == 0
    rig.after(3 * S)
    assert rig.line.level == 0
    assert sensor.event() == driver.ABOVE
    assert 180 <= sensor.measure() <= 223
    sensor.arm(below=50)
    rig.after(200 * S)
    assert rig.line.level == 1
    assert sensor.event() == 0
    rig.after(100 * S)
    assert rig.line.level == 0
    assert sensor.event() == driver.BELOW
    assert sensor.measure() <= 3


def test_arming_again_disturbs_nothing_and_measuring_loses_no_event(make):
    rig = make((10, 2.0))
    driver.OPT3001(rig).arm(above=100)
    rig.after(5 * S)
    before = rig.part._begun_us
    sensor = driver.OPT3001(rig)  # the processor was reset meanwhile
    sensor.arm(above=100)
    assert rig.part._begun_us == before
    rig.after(10 * S)
    sensor.measure()
    rig.after(100)
    assert sensor.event() == driver.ABOVE


def test_one_reading_of_a_running_part_is_four_transfers(make):
    rig = make()
    driver.OPT3001(rig).arm()
    rig.after(60 * S)
    rig.transfers = 0
    driver.OPT3001(rig).measure()
    assert rig.transfers == 4


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("no_answer", fault.NO_ANSWER),
        ("stuck_bus", fault.BUS_STUCK),
        ("wrong_id", fault.WRONG_ID),
        ("slow", fault.TIMEOUT),
        ("out_of_range", 14),
    ],
)
def test_the_driver_tells_the_faults_apart_and_recovers(make, name, code):
    rig = make((0, 50.0))
    driver.OPT3001(rig).measure()
    set_fault(rig.part, name, on=True)
    rig.after(2 * S)
    begun = rig.clock.now_us
    with pytest.raises(fault.SensorFault) as caught:
        driver.OPT3001(rig).measure()
    assert caught.value.code == code
    assert rig.clock.now_us - begun < 1.2 * S
    set_fault(rig.part, name, on=False)
    rig.after(2 * S)
    assert 4500 <= driver.OPT3001(rig).measure() <= 5503


def test_a_stuck_value_and_a_storm_of_interrupts(make):
    rig = make((0, 50.0))
    sensor = driver.OPT3001(rig)
    sensor.arm(above=8000)
    set_fault(rig.part, "stuck_value", on=True)
    rig.after(2 * S)
    assert sensor.measure() == 0
    falls: list[int | None] = []
    rig.line.attach("watch").listener = falls.append
    set_fault(rig.part, "interrupt_storm", on=True)
    rig.after(20 * S)
    assert 8 <= falls.count(0) <= 11
    set_fault(rig.part, "interrupt_storm", on=False)
    assert rig.line.level == 1


def test_without_its_supply_it_is_not_there_and_forgets(make):
    rig = make((0, 50.0))
    sensor = driver.OPT3001(rig)
    sensor.arm(above=100)
    rig.after(2 * S)
    assert rig.line.level == 0
    rig.part.power_off()
    assert rig.line.level == 1
    with pytest.raises(fault.SensorFault):
        sensor.measure()
    rig.part.power_on()
    assert rig.register(1, 2) == 0xC810
