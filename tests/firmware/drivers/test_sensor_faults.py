"""Each sensor with each fault, in the simulator: an absent field that says why, and no more."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from coldtrail.sensing import sampler
from coldtrail_simulator.esp32.protocol import Op
from coldtrail_simulator.models.faults import set_fault
from tests.support.trackers.bench import FAULT, SAMPLE, BenchTracker, profile

FAULTS = (
    "no answer", "NAK", "wrong CRC", "stuck value", "stuck bus line", "wrong id", "out of range",
    "slow answer", "interrupt storm",
)  # fmt: skip
SUBJECTS = {"probe": 0, "ambient": 1, "light": 2, "accelerometer": 3, "battery": 4}
CHANNELS = {name: channels for _, name, channels in sampler.SENSORS}
I2C_BUS = ("ambient", "light", "accelerometer")
STUCK_BUS = 7


@dataclass(frozen=True)
class Cell:
    """A sensor with a fault: the fault's name in the model, and the status code for it."""

    model: str
    code: int


# What cannot be has its reason.
MATRIX: dict[tuple[str, str], Cell | str] = {
    ("probe", "no answer"): Cell("no_answer", 1),
    ("probe", "NAK"): "SPI has no acknowledgement",
    ("probe", "wrong CRC"): "the MAX31865 sends none",
    ("probe", "stuck value"): Cell("stuck_value", 10),
    ("probe", "stuck bus line"): "a held SPI line reads as no answer: what was written differs",
    ("probe", "wrong id"): "the MAX31865 has none: what was written must be read back",
    ("probe", "out of range"): Cell("open", 3),
    ("probe", "slow answer"): "its DRDY is not connected: what is read is the conversion before",
    ("probe", "interrupt storm"): "its DRDY is not connected",
    ("ambient", "no answer"): Cell("no_answer", 1),
    ("ambient", "NAK"): Cell("slow", 1),  # it answers its address not before it is ready
    ("ambient", "wrong CRC"): Cell("wrong_crc", 2),
    ("ambient", "stuck value"): Cell("stuck_value", 10),
    ("ambient", "stuck bus line"): Cell("stuck_bus", STUCK_BUS),
    ("ambient", "wrong id"): "the SHT45 has none; its serial number is its own",
    ("ambient", "out of range"): Cell("below", 15),
    ("ambient", "slow answer"): Cell("slow", 1),
    ("ambient", "interrupt storm"): "the SHT45 has no interrupt",
    ("light", "no answer"): Cell("no_answer", 1),
    ("light", "NAK"): Cell("no_answer", 1),
    ("light", "wrong CRC"): "the OPT3001 sends none",
    ("light", "stuck value"): "in a closed box 0.00 lx for days is the truth",
    ("light", "stuck bus line"): Cell("stuck_bus", STUCK_BUS),
    ("light", "wrong id"): Cell("wrong_id", 9),
    ("light", "out of range"): Cell("out_of_range", 14),
    ("light", "slow answer"): Cell("slow", 6),
    ("light", "interrupt storm"): Cell("interrupt_storm", 12),
    ("accelerometer", "no answer"): Cell("no_answer", 1),
    ("accelerometer", "NAK"): Cell("no_answer", 1),
    ("accelerometer", "wrong CRC"): "the LIS2DW12 sends none",
    ("accelerometer", "stuck value"): Cell("stuck_value", 10),
    ("accelerometer", "stuck bus line"): Cell("stuck_bus", STUCK_BUS),
    ("accelerometer", "wrong id"): Cell("wrong_id", 9),
    ("accelerometer", "out of range"): "beyond 16 g it says 16 g",
    ("accelerometer", "slow answer"): Cell("slow", 6),
    ("accelerometer", "interrupt storm"): Cell("interrupt_storm", 12),
    ("battery", "no answer"): "the converter is the chip's own",
    ("battery", "NAK"): "the converter is the chip's own",
    ("battery", "wrong CRC"): "the converter is the chip's own",
    ("battery", "stuck value"): "a cell at rest keeps its millivolts for hours",
    ("battery", "stuck bus line"): "it has a pin of its own",
    ("battery", "wrong id"): "the converter is the chip's own",
    ("battery", "out of range"): Cell("out_of_range", 5),
    ("battery", "slow answer"): "the converter is the chip's own",
    ("battery", "interrupt storm"): "it has no interrupt",
}
CELLS = [(sensor, cell) for (sensor, _), cell in MATRIX.items() if isinstance(cell, Cell)]
STORM = 12


def test_every_sensor_has_every_fault_or_a_reason():
    assert set(MATRIX) == {(sensor, fault) for sensor in SUBJECTS for fault in FAULTS}


@dataclass
class Told:
    """What the log says of one cell: the samples with the fault, one after it, the faults."""

    samples: list[list[Any]]
    after: list[Any]
    faults: list[tuple[int, int, int]]
    boots: int


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, Cell], Told]:
    """Give one tracker each fault in turn, and let it recover before the next."""
    limits = profile([(1, 1, 3, 3, 100, 0, 0, 0), (2, 1, 8, 3, 3000, 0, 0, 0)])
    told = {}
    volume = tmp_path_factory.mktemp("faults") / "volume"
    with BenchTracker(volume, files={"profile.cbor": limits}) as tracker:
        tracker.power_on()
        tracker.wait(90)
        for sensor, cell in CELLS:
            if cell.code == STORM:
                continue
            part = tracker.parts[sensor]
            samples, faults = len(tracker.records(SAMPLE)), len(tracker.records(FAULT))
            boots = len(reboots(tracker))
            set_fault(part, cell.model, on=True)
            tracker.wait(60 * (sampler.STUCK + 2 if cell.code == 10 else 2))
            during = tracker.records(SAMPLE)[samples:]
            set_fault(part, cell.model, on=False)
            tracker.wait(60)
            told[sensor, cell] = Told(
                during,
                tracker.records(SAMPLE)[-1],
                [(f[2], f[3], f[4]) for f in tracker.records(FAULT)[faults:]],
                len(reboots(tracker)) - boots,
            )
    return told


def reboots(tracker: BenchTracker) -> list[dict[str, Any]]:
    return [note for note in tracker.notes("boot") if note["cause"] != "deep sleep"]


@pytest.mark.parametrize(
    ("sensor", "cell"), CELLS, ids=[f"{sensor}, {cell.model}" for sensor, cell in CELLS]
)
def test_the_field_is_absent_and_says_why_and_the_others_go_on(
    story: dict[tuple[str, Cell], Told], sensor: str, cell: Cell
):
    if cell.code == STORM:
        return  # a reading like any other: see below
    told = story[sensor, cell]
    # A line that one part holds takes the bus from everybody on it, and from nobody else.
    lost = I2C_BUS if cell.code == STUCK_BUS else (sensor,)
    expected = sum(cell.code << 4 * SUBJECTS[name] for name in lost)
    last = told.samples[-1]
    assert last[2] == expected
    for name, channels in CHANNELS.items():
        for channel in channels:
            assert (last[3 + channel] is None) == (name in lost), (name, channel)
    assert told.after[2] == 0
    assert None not in told.after
    # A value stuck at 16 g is a shock without end: a storm as well, until its hour is over.
    assert sorted(fault for fault in told.faults if fault[1] != STORM) == sorted(
        (SUBJECTS[name], cell.code, on) for name in lost for on in (0, 1)
    )
    assert told.boots == 0


def test_a_stuck_value_is_believed_until_it_cannot_be_chance(
    story: dict[tuple[str, Cell], Told],
):
    for (_, cell), told in story.items():
        if cell.code == 10:
            absent = [sample[2] != 0 for sample in told.samples]
            assert absent == [False] * (sampler.STUCK - 1) + [True] * (len(absent) - 15)


@pytest.mark.parametrize("sensor", ["light", "accelerometer"])
def test_an_interrupt_storm_costs_twelve_wakes_an_hour(sensor: str, tmp_path: Path):
    limits = profile(
        [(1, 1, 3, 3, 100, 0, 0, 0), (2, 1, 8, 3, 3000, 0, 0, 0)], interval=600, alarm_interval=600
    )
    with BenchTracker(tmp_path / "volume", files={"profile.cbor": limits}) as tracker:
        tracker.power_on()
        tracker.wait(700)
        wakes, others = len(tracker.notes("boot")), len(tracker.records(SAMPLE))
        set_fault(tracker.parts[sensor], "interrupt_storm", on=True)
        tracker.wait(3500)
        storm = [tuple(f[2:]) for f in tracker.records(FAULT)]
        assert storm == [(SUBJECTS[sensor], STORM, 1)]
        woken = len(tracker.notes("boot")) - wakes
        assert woken <= 12 + 6 + 4  # the storm's, the samples', the calls'
        assert len(tracker.records(SAMPLE)) - others <= 12 + 6
        assert all(sample[2] == 0 for sample in tracker.records(SAMPLE))
        set_fault(tracker.parts[sensor], "interrupt_storm", on=False)
        tracker.wait(3600)
        storm = [tuple(f[2:]) for f in tracker.records(FAULT)]
        assert storm == [(SUBJECTS[sensor], STORM, 1), (SUBJECTS[sensor], STORM, 0)]


def test_a_part_that_was_cut_off_in_a_byte_is_clocked_free(tmp_path: Path):
    with BenchTracker(tmp_path / "volume") as tracker:
        tracker.power_on()
        tracker.wait(90)
        (bus,) = tracker.chip.i2c.values()
        bus.owed_clocks = 7
        tracker.wait(60)
        assert bus.owed_clocks == 0
        assert [sample[2] for sample in tracker.records(SAMPLE)] == [0, 0, 0]
        assert tracker.records(FAULT) == []


def test_the_watchdog_bites_a_sensor_that_never_lets_go(tmp_path: Path):
    with BenchTracker(tmp_path / "volume") as tracker:
        tracker.power_on()
        tracker.wait(90)
        tracker.chip.hang_next.add(Op.I2C_WRITE)
        tracker.wait(120)
        assert [note["cause"] for note in reboots(tracker)] == ["power-on", "watchdog"]
        assert len(tracker.notes("hung")) == 1
        assert tracker.records(SAMPLE)[-1][2] == 0
