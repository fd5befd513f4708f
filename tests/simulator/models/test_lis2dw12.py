"""The LIS2DW12 model against datasheet and application note, and the driver against the model."""

import math

import pytest

from coldtrail_simulator.models import lis2dw12 as model
from coldtrail_simulator.models import lis2dw12_registers as r
from coldtrail_simulator.models.faults import set_fault
from coldtrail_simulator.world.motion import FACES, UPRIGHT, Fall, FlightMotion, Motion, Turn
from drivers import fault, lis2dw12_motion
from drivers import lis2dw12 as driver
from drivers import lis2dw12_selftest as selftest
from tests.simulator.i2c_rig import I2CRig
from tests.support.flash.flash_rig import VirtualTime
from tests.support.trackers.rig import MS, S

RATES = {1: 1.6, 2: 12.5, 3: 25, 4: 50, 5: 100, 6: 200, 7: 200, 8: 200, 9: 200}
HIGH_PERFORMANCE = {1: 12.5, 2: 12.5, 3: 25, 4: 50, 5: 100, 6: 200, 7: 400, 8: 800, 9: 1600}


@pytest.fixture
def make(monkeypatch):
    def make(turns=(), drops=(), **options):
        motion = Motion(turns, drops)
        options = {"acceleration": motion.acceleration, "motions": motion.spans} | options
        rig = I2CRig(monkeypatch, driver, model.LIS2DW12, **options)
        rig.part.connect_int1(rig.line.attach("part"))
        rig.after(20 * MS)
        return rig

    return make


def write(rig, register, *values):
    rig.part.write(bytes((register, *values)))


def beyond(rig):
    """Return which axes SIXD_SRC says to be beyond the threshold: XL, XH, YL, YH, ZL, ZH."""
    rig.part.write(bytes((r.SIXD_SRC,)))
    (source,) = rig.part.read(1)
    return {
        name for bit, name in enumerate(("x-", "x+", "y-", "y+", "z-", "z+")) if source >> bit & 1
    }


def samples(rig, count):
    rig.part.write(bytes((r.OUT_X_L,)))
    data = rig.part.read(6 * count)
    words = [
        int.from_bytes(data[i : i + 2], "little", signed=True) for i in range(0, len(data), 2)
    ]
    return [tuple(words[i : i + 3]) for i in range(0, len(words), 3)]


def level(rig):
    return rig.register(r.FIFO_SAMPLES, 1) & 0x3F


def test_every_code_is_rounded_from_the_sensitivity_of_the_datasheet():
    for code in range(-0x2000, 0x2000):
        word = code << 2 & 0xFFFF
        for low_bits in (0, 3):
            reading = driver.mg(word & 0xFF | low_bits, word >> 8)
            assert reading == math.floor(code * 1.952 + 0.5 + 1e-9)


def test_registers_after_power_on(make):
    rig = make()
    values = {address: rig.register(address, 1) for address in range(0x20, 0x27)}
    assert rig.register(r.WHO_AM_I, 1) == 0x44
    assert values == dict.fromkeys(range(0x20, 0x27), 0) | {0x21: 0x04}


@pytest.mark.parametrize("register", [r.WHO_AM_I, r.CTRL1, r.OUT_X_L])
@pytest.mark.parametrize("n", [1, 6, 12])
def test_bytes_one_by_one_are_those_read_together(make, register, n):
    rigs = make(), make()
    for rig in rigs:
        write(rig, r.CTRL1, 0x50)
        write(rig, r.FIFO_CTRL, r.CONTINUOUS << 5)
        rig.after(100 * MS)
        write(rig, register)
    whole = rigs[0].part.read(n)
    stream = rigs[1].part.stream()
    assert bytes(next(stream) for _ in range(n)) == whole
    stream.close()
    assert rigs[1].journal.notes == rigs[0].journal.notes
    assert level(rigs[1]) == level(rigs[0])


@pytest.mark.parametrize(("mode", "rates"), [(0, RATES), (4, HIGH_PERFORMANCE)])
def test_data_come_at_the_rate_that_is_set(make, mode, rates):
    for code, hertz in rates.items():
        rig = make(seed=code)
        write(rig, r.FIFO_CTRL, r.CONTINUOUS << 5)
        write(rig, r.CTRL1, code << 4 | mode)
        rig.after(round(20.5 / hertz * S))
        assert level(rig) == 20


@pytest.mark.parametrize(("fs", "scale"), [(0, 2), (1, 4), (2, 8), (3, 16)])
@pytest.mark.parametrize(("mode", "bits"), [(0, 12), (1, 14), (4, 14)])
def test_full_scale_and_resolution_are_left_justified_in_sixteen_bits(make, fs, scale, mode, bits):
    rig = make(acceleration=lambda t_s: (1.0, -1.5, 20.0))
    write(rig, r.CTRL6, fs << 4)
    write(rig, r.CTRL1, 0x60 | mode)
    rig.after(20 * MS)
    ((x, y, z),) = samples(rig, 1)
    mg = 0.061 * scale / 2  # sensitivity of a sixteenth bit
    assert x * mg == pytest.approx(1000, abs=65)
    assert y * mg == pytest.approx(-1500, abs=65)
    assert z == (1 << 15) - (1 << 16 - bits)
    assert all(value % (1 << 16 - bits) == 0 for value in (x, y, z))


@pytest.mark.parametrize(
    ("mode", "held", "first"),
    [(r.BYPASS, 0, None), (r.FIFO, 32, 1), (r.CONTINUOUS, 32, 69)],
)
def test_the_fifo_keeps_the_first_or_the_last_samples(make, mode, held, first):
    # The acceleration tells the number of the sample.
    rig = make(acceleration=lambda t_s: (0.0, 0.0, t_s), seed=3)
    rig.part._rng.gauss = lambda mean, sigma: mean
    write(rig, r.CTRL6, 0x00)
    write(rig, r.FIFO_CTRL, mode << 5)
    write(rig, r.CTRL1, 0x44)
    rig.after(round(100.5 / 50 * S))
    assert level(rig) == held
    if held:
        period, begun = rig.part._period_us, rig.part._begun_us
        (*_, z), *_ = samples(rig, held)
        offset = rig.part._offset[2]
        expected = (begun + first * period) / S + offset
        assert z * 0.061e-3 == pytest.approx(expected, abs=0.001)


def test_continuous_to_fifo_keeps_thirty_samples_before_the_trigger_it_and_one_after(make):
    shock = (10.0, 10.005)
    rig = make(
        acceleration=lambda t_s: (0.0, 0.0, 9.0 if shock[0] <= t_s < shock[1] else 1.0),
        motions=[shock],
    )
    driver.LIS2DW12(rig).arm(shock_mg=4000)
    rig.after(round(9.97 * S))
    assert rig.line.level == 0
    rig.after(60 * S)  # any boot is shorter
    assert rig.line.level == 1
    assert level(rig) == 32
    z = [abs(sample[2]) * 0.488 for sample in samples(rig, 32)]
    assert [value > 4000 for value in z] == [False] * 30 + [True, False]


def test_a_fifo_that_is_not_full_at_the_trigger_fills_up(make):
    shock = (1.0, 1.005)
    rig = make(
        acceleration=lambda t_s: (0.0, 0.0, 9.0 if shock[0] <= t_s < shock[1] else 1.0),
        motions=[shock],
    )
    sensor = driver.LIS2DW12(rig)
    sensor.arm(shock_mg=4000)
    rig.after(round(0.93 * S))
    write(rig, r.FIFO_CTRL, 0)
    write(rig, r.FIFO_CTRL, 0x60)
    rig.after(10 * S)
    z = [abs(sample[2]) * 0.488 for sample in samples(rig, level(rig))]
    assert len(z) == 32
    assert 5 <= [value > 4000 for value in z].index(True) <= 12


@pytest.mark.parametrize("samples_long", [1, 2, 6, 33, 63])
def test_free_fall_is_recognised_after_its_duration_and_not_before(make, samples_long):
    fall = (5.0, 5.0 + samples_long * 0.005 * 1.03 + 0.006)
    for ends, recognised in ((fall[1], True), (fall[0] + (samples_long - 1.5) * 0.00485, False)):
        span = (fall[0], ends)
        rig = make(
            acceleration=lambda t_s, span=span: (
                (0.1, 0.0, 0.1) if span[0] <= t_s < span[1] else (0.0, 0.0, 1.0)
            ),
            motions=[span],
        )
        driver.LIS2DW12(rig).arm(free_fall_ms=5 * samples_long)
        rig.after(6 * S)
        assert bool(rig.register(r.WAKE_UP_SRC, 1) & 0x20) is recognised
        assert not rig.register(r.WAKE_UP_SRC, 1) & 0x20


def test_the_wake_up_filters_gravity_unless_told_otherwise(make):
    rig = make()
    write(rig, r.CTRL6, 0x00)
    write(rig, r.WAKE_UP_THS, 16)  # 0.5 g of 2 g
    write(rig, r.CTRL7, 0x20)
    write(rig, r.CTRL1, 0x60)
    rig.after(S)
    assert not rig.register(r.WAKE_UP_SRC, 1) & 8
    write(rig, r.CTRL7, 0x28)
    rig.after(S)
    assert rig.register(r.WAKE_UP_SRC, 1) & 0x0F == 0x09  # wake-up, on z


def test_the_wake_up_wants_its_duration(make):
    for wake_dur in range(4):
        for long in range(1, 6):
            span = (1.0, 1.0 + long * 0.005)
            rig = make(
                acceleration=lambda t_s, span=span: (
                    9.0 if span[0] <= t_s < span[1] else 0.0,
                    0.0,
                    1.0,
                ),
                motions=[span],
                seed=1,
            )
            rig.part._rate = 1
            write(rig, r.CTRL6, 0x30)
            write(rig, r.CTRL3, 0x10)
            write(rig, r.WAKE_UP_THS, 16, wake_dur << 5)
            write(rig, r.CTRL7, 0x28)
            write(rig, r.CTRL1, 0x60)
            rig.after(2 * S)
            assert bool(rig.register(r.WAKE_UP_SRC, 1) & 8) is (long > wake_dur), (long, wake_dur)


def test_int1_has_the_polarity_and_the_output_stage_that_are_set(make):
    rig = make(acceleration=lambda t_s: (5.0, 0.0, 0.0))
    assert rig.line.level == 0
    write(rig, r.CTRL6, 0x30)
    write(rig, r.WAKE_UP_THS, 8)
    write(rig, r.CTRL4, 0x20)
    write(rig, r.CTRL7, 0x28)
    write(rig, r.CTRL1, 0x60)
    rig.after(S)
    assert rig.line.level == 1
    write(rig, r.CTRL3, r.H_LACTIVE)
    assert rig.line.level == 0
    write(rig, r.CTRL3, r.PP_OD)
    assert rig.line.level is None
    rig.part.power_off()
    assert rig.line.level is None


@pytest.mark.parametrize("face", FACES)
def test_faces(make, face):
    rig = make(turns=[Turn(5.0, face)])
    sensor = driver.LIS2DW12(rig)
    sensor.arm()
    rig.after(4 * S)
    assert beyond(rig) == {"z+"}
    rig.after(4 * S)
    assert beyond(rig) == {face}
    expected = [round(1000 * axis) for axis in FACES[face]]
    assert sensor.measure() == pytest.approx(expected, abs=65)
    assert FACES[UPRIGHT] == (0.0, 0.0, 1.0)


def test_between_two_faces_there_is_none(make):
    half = math.sqrt(0.5)
    rig = make(acceleration=lambda t_s: (half, 0.0, half))
    sensor = driver.LIS2DW12(rig)
    sensor.arm()
    rig.after(S)
    assert beyond(rig) == set()


def test_a_drop_is_a_fall_and_a_shock(make):
    """0.8 m are 404 ms of fall: the FIFO is full of it; 0.1 m are 143 ms."""
    for height, least in ((0.8, 145), (0.1, 110)):
        rig = make(drops=[Fall(30.0, height, 20)])
        driver.LIS2DW12(rig).arm(shock_mg=4000)
        rig.after(29 * S)
        assert rig.line.level == 0
        rig.after(3 * S)
        assert rig.line.level == 1
        sensor = driver.LIS2DW12(rig)  # a processor that has booted
        (x, y, z), falling = sensor.event()
        (note,) = [n for n in rig.journal.of("samples") if n["count"] == 32]
        assert [x, y, z] == [round(value) for value in note["peak_mg"]]
        assert z > 4000
        assert 0 < x < z
        assert y < 0
        assert least <= falling <= 155
        assert rig.line.level == 0
        assert sensor.event() is None
        assert sensor.measure() == pytest.approx([0, 0, 1000], abs=65)


def test_a_fall_that_ends_softly_is_found_without_a_wake(make):
    fall = (5.0, 5.3)
    rig = make(
        acceleration=lambda t_s: (0.0, 0.0, 0.0 if fall[0] <= t_s < fall[1] else 1.0),
        motions=[fall],
    )
    sensor = driver.LIS2DW12(rig)
    sensor.arm(shock_mg=4000, free_fall_ms=100)
    rig.after(8 * S)
    assert rig.line.level == 0
    assert sensor.event() == (None, 100)


def test_an_event_is_not_lost_by_measuring_and_no_reading_is_of_the_event(make):
    rig = make(drops=[Fall(30.0, 0.8, 20)])
    sensor = driver.LIS2DW12(rig)
    sensor.arm(shock_mg=4000)
    rig.after(3600 * S)
    assert sensor.measure() == pytest.approx([0, 0, 1000], abs=65)
    shock, falling = sensor.event()
    assert shock[2] > 4000
    assert falling >= 145


def test_arming_again_disturbs_nothing_and_a_reading_is_few_transfers(make):
    rig = make(drops=[Fall(30.0, 0.8, 20)])
    driver.LIS2DW12(rig).arm(shock_mg=4000)
    rig.after(40 * S)
    sensor = driver.LIS2DW12(rig)
    sensor.arm(shock_mg=4000)
    assert rig.line.level == 1
    assert sensor.event()[0][2] > 4000
    sensor.arm(shock_mg=6000)
    rig.after(S)
    rig.transfers = 0
    driver.LIS2DW12(rig).measure()
    assert rig.transfers == 4


def test_a_part_that_lost_its_configuration_is_set_up_by_measuring(make):
    rig = make()
    sensor = driver.LIS2DW12(rig)
    assert sensor.measure() == pytest.approx([0, 0, 1000], abs=65)
    assert rig.register(r.CTRL1, 1) == 0x60
    rig.part.power_off()
    rig.part.power_on()
    rig.after(S)
    assert driver.LIS2DW12(rig).measure() == pytest.approx([0, 0, 1000], abs=65)


def test_the_self_test_measures_each_axis_and_leaves_what_was_armed(make, monkeypatch):
    rig = make(drops=[Fall(30.0, 0.8, 20)])
    monkeypatch.setattr(selftest, "time", VirtualTime(rig.clock))
    sensor = driver.LIS2DW12(rig)
    sensor.arm(shock_mg=4000)
    before = rig.register(r.CTRL1, 6)
    # What a good part answers, and what a broken one does (datasheet: 70 to 1500 mg an axis).
    for moved in (rig.part.deflection, (0.0, 0.05, 1.6), (0.07, 1.5, -0.3)):
        rig.part.deflection = moved
        expected = [abs(1000 * axis) for axis in moved]
        assert selftest.deflections(sensor) == pytest.approx(expected, abs=5)
    assert (selftest.LEAST_MG, selftest.MOST_MG) == (70, 1500)
    set_fault(rig.part, "seized", on=True)
    assert max(selftest.deflections(sensor)) < 5
    assert rig.clock.now_us < 3 * S
    assert rig.register(r.CTRL1, 6) == before
    assert not list(rig.journal.of("measure"))
    rig.after(40 * S)
    assert rig.line.level == 1


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("no_answer", fault.NO_ANSWER),
        ("stuck_bus", fault.BUS_STUCK),
        ("wrong_id", fault.WRONG_ID),
        ("slow", fault.TIMEOUT),
    ],
)
def test_the_driver_tells_the_faults_apart_and_recovers(make, name, code):
    rig = make()
    driver.LIS2DW12(rig).arm(shock_mg=4000)
    rig.after(S)
    set_fault(rig.part, name, on=True)
    if name == "slow":
        samples(rig, level(rig))  # no new sample comes, but some were in the FIFO
    with pytest.raises(fault.SensorFault) as caught:
        driver.LIS2DW12(rig).measure()
    assert caught.value.code == code
    set_fault(rig.part, name, on=False)
    rig.after(S)
    assert driver.LIS2DW12(rig).measure() == pytest.approx([0, 0, 1000], abs=65)


def test_a_stuck_value_and_a_storm_of_interrupts(make):
    rig = make()
    sensor = driver.LIS2DW12(rig)
    sensor.arm()
    set_fault(rig.part, "stuck_value", on=True)
    rig.after(S)
    assert sensor.measure() == (15983, 15983, 15983)
    set_fault(rig.part, "stuck_value", on=False)
    levels: list[int | None] = []
    rig.line.attach("watch").listener = levels.append
    set_fault(rig.part, "interrupt_storm", on=True)
    rig.after(20 * S)
    assert 8 <= levels.count(1) <= 11
    set_fault(rig.part, "interrupt_storm", on=False)
    rig.after(3 * S)
    assert rig.line.level == 0


@pytest.mark.parametrize(
    ("at_s", "push", "shaking"),
    [
        (60, 0.0, False),  # at the stand
        (3600 - 300, 0.0, True),  # taxiing
        (3600 + 30, 0.25, True),  # run
        (3600 + 120, 0.22, True),  # climb
        (3600 + 600, 0.14, True),
        (3600 + 3600, 0.04, True),  # cruise
        (3600 + 9000 - 600, -0.03, True),  # descent
        (3600 + 9000 + 30, -0.25, True),  # touch-down
        (3600 + 9000 + 40 + 300 + 5, 0.0, False),  # at the stand
    ],
)
def test_the_floor_of_an_aircraft_is_pushed_and_shakes(make, at_s, push, shaking):
    motion = Motion((), (), [FlightMotion(3600, 9000)])
    rig = make(acceleration=motion.acceleration, motions=motion.spans)
    sensor = driver.LIS2DW12(rig)
    sensor.arm(4000)
    rig.after(at_s * S)
    # The specimen's own offset is at most 40 mg, and a climb is told from how it lay at rest.
    x, y, z, variance = lis2dw12_motion.read(sensor)
    assert x == pytest.approx(1000 * push, abs=45)
    assert y == pytest.approx(0, abs=45)
    assert z == pytest.approx(1000, abs=45)
    assert (variance > 600) if shaking else (variance < 200)
    assert rig.line.level == 0
    assert lis2dw12_motion.read(sensor) is None
    rig.after(S)
    assert lis2dw12_motion.read(sensor) is not None
    rig.part.silent = True
    assert lis2dw12_motion.read(sensor) is None


def test_a_shock_that_stands_is_left_to_whoever_records_it(make):
    rig = make(drops=[Fall(2.0, 0.5, 20)])
    sensor = driver.LIS2DW12(rig)
    sensor.arm(2000)
    rig.after(4 * S)
    assert lis2dw12_motion.read(sensor) is None
    assert sensor.event() is not None
