"""A part that the tracker cannot live without: one visible state and rare tries, no reset loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from coldtrail_simulator.clock import US_PER_MS
from coldtrail_simulator.esp32.protocol import Op
from coldtrail_simulator.models.w25q64 import W25Q64
from tests.support.trackers.bench import SAMPLE, BenchTracker, NoModem

BLOCK_PROTECT, LOCK_BY_PIN = 0x1C, 0x80
STATUS_1 = 0x01
CANNOT = "coldtrail: cannot run: "
HOUR_S = 3600


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[BenchTracker]:
    with BenchTracker(tmp_path / "volume") as tracker:
        yield tracker


def protect(flash: W25Q64) -> None:
    flash.registers[STATUS_1] = BLOCK_PROTECT


def lock(flash: W25Q64) -> None:
    flash.registers[STATUS_1] = BLOCK_PROTECT | LOCK_BY_PIN
    flash.wp_low = True


def take_out(flash: W25Q64) -> None:
    flash.absent = True


def unlatch(flash: W25Q64) -> None:
    flash.latches = False


def hang(flash: W25Q64) -> None:
    flash.hangs = True


def replace(flash: W25Q64) -> None:
    flash.jedec = bytes((0xEF, 0x40, 0x19))


def mend(flash: W25Q64) -> None:
    """Solder a good one in."""
    flash.power_off()
    flash.absent = flash.wp_low = flash.hangs = False
    flash.latches = True
    flash.jedec = bytes((0xEF, 0x40, 0x17))
    flash.registers[STATUS_1] = 0
    flash.power_on()


def causes(tracker: BenchTracker) -> list[str]:
    return [note["cause"] for note in tracker.notes("boot")]


def lit(tracker: BenchTracker, since_us: int) -> set[str]:
    return {n["name"] for n in tracker.notes("led") if n["us"] >= since_us and n["lit"]}


def test_a_protected_flash_is_freed_and_nobody_notices(tracker: BenchTracker) -> None:
    protect(tracker.parts["flash"])
    tracker.power_on()
    tracker.wait(150)
    assert CANNOT not in tracker.console.text
    assert len(tracker.records(SAMPLE)) == 3
    assert set(causes(tracker)) == {"power-on", "deep sleep"}


PERMANENT = {
    lock: "the flash is write-protected",
    take_out: "the flash does not answer",
    unlatch: "the flash takes no write enable",
    hang: "the flash stays busy",
    replace: "JEDEC id ef 40 19",
}


@pytest.mark.parametrize(("fault", "said"), PERMANENT.items(), ids=PERMANENT.values())
def test_a_permanent_fault_is_said_and_tried_again_each_hour(
    tracker: BenchTracker, fault: Callable[[W25Q64], None], said: str
) -> None:
    fault(tracker.parts["flash"])
    tracker.power_on()
    tracker.wait(20)
    first = tracker.console.text
    assert CANNOT in first
    assert said in first
    assert "Tries again in 1 min." in first
    assert len(lit(tracker, 0)) == 2, "both colours"
    tracker.wait(4 * HOUR_S)
    # At once, after 1 and 5 minutes, then each hour: never a watchdog's reset.
    assert causes(tracker) == ["power-on"] + ["deep sleep"] * 5
    assert tracker.console.text.count(CANNOT) == 6
    mend(tracker.parts["flash"])
    tracker.wait(HOUR_S + 90)
    assert len(tracker.records(SAMPLE)) >= 2
    assert tracker.console.text.count(CANNOT) == 6


def test_a_press_of_the_button_says_it_at_once(tracker: BenchTracker) -> None:
    take_out(tracker.parts["flash"])
    tracker.power_on()
    tracker.wait(2 * HOUR_S)
    said, now = tracker.console.text.count(CANNOT), tracker.clock.now_us
    tracker.parts["button"].press(300 * US_PER_MS)
    tracker.wait(5)
    assert tracker.console.text.count(CANNOT) == said + 1
    assert len(lit(tracker, now)) == 2


def test_on_the_cable_it_goes_on_saying_it(tracker: BenchTracker) -> None:
    take_out(tracker.parts["flash"])
    tracker.parts["vbus"].plug()
    tracker.power_on()
    tracker.wait(600)
    assert 40 <= tracker.console.text.count(CANNOT) <= 70
    assert causes(tracker) == ["power-on"]
    mend(tracker.parts["flash"])
    tracker.parts["vbus"].unplug()
    tracker.wait(180)
    assert len(tracker.records(SAMPLE)) >= 2


def test_a_modem_in_the_middle_of_a_call_is_cut_off(tmp_path: Path) -> None:
    levels: list[int | None] = []

    class Modem(NoModem):
        def supply(self, level: int | None) -> None:
            levels.append(level)

    with BenchTracker(tmp_path / "volume", factories={"BG95-M3": Modem}) as tracker:
        tracker.power_on()
        tracker.wait(10)
        assert levels[-1] == 1, "it is calling"
        take_out(tracker.parts["flash"])
        tracker.wait(90)  # until it has a sample to record
        assert CANNOT in tracker.console.text
        assert levels[-1] == 0


def test_a_boot_loop_ends_in_the_same_state(tracker: BenchTracker) -> None:
    """Whatever hangs at each start, in the program or in a part."""
    tracker.power_on()
    tracker.wait(90)
    for _ in range(5):
        tracker.chip.hang_next.add(Op.I2C_WRITE)
        tracker.wait_for("hung", 120)
    tracker.wait(60)
    assert CANNOT + "the watchdog has reset it 5 times in a row" in tracker.console.text
    assert causes(tracker).count("watchdog") == 5
    # It tries again each hour, and says it again where that hangs too.
    boots = len(causes(tracker))
    tracker.chip.hang_next.add(Op.I2C_WRITE)
    tracker.wait(HOUR_S + 60)
    assert causes(tracker)[boots:] == ["deep sleep", "watchdog"]
    assert "reset it 6 times" in tracker.console.text
    samples = len(tracker.records(SAMPLE))
    tracker.wait(HOUR_S + 60)
    assert len(tracker.records(SAMPLE)) > samples
    tracker.chip.hang_next.add(Op.I2C_WRITE)
    tracker.wait(180)
    assert tracker.console.text.count(CANNOT) == 2, "one reset is none of a row"


def test_so_does_a_flash_that_is_worn_out_everywhere(tracker: BenchTracker) -> None:
    """It answers and keeps nothing: the search for a sector that does takes too long."""
    tracker.power_on()
    tracker.wait(90)
    for sector in range(2048):
        tracker.parts["flash"].array.fail_program(sector)
    tracker.wait(HOUR_S)
    assert CANNOT in tracker.console.text
    assert causes(tracker).count("watchdog") == 5
