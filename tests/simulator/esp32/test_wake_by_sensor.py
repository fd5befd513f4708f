"""Shock and light wake the tracker from deep sleep on a real MicroPython, and what it finds then.

The board boots 420 ms after the event. By then the box lies still and 84 samples have gone by,
while the FIFO has 32: only what Continuous-to-FIFO has frozen is left of the shock.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from coldtrail_simulator.esp32.interpreter import package
from coldtrail_simulator.paths import BOARDS
from coldtrail_simulator.world.motion import Fall, Motion
from drivers import lis2dw12, opt3001
from tests.support.trackers.rig import ROOT, S, Still, small_board

PORT = package(ROOT / "firmware" / "coldtrail")
FILES = {
    f"lib/coldtrail/{name}": PORT[name]
    for name in PORT
    if name in {"__init__.py", "log/__init__.py", "log/records.py"} or name.startswith("ports/")
} | {"board.py": BOARDS / "esp32_bg95" / "board.py"}

MAIN = """
import board, machine, time
from coldtrail.ports.esp32 import Port
port = Port(board)
accelerometer, light = port.sensor("accelerometer"), port.sensor("light")
print("woke", machine.wake_reason(), time.time())
if port.interrupted("accelerometer"):
    print("event", *accelerometer.event())
if port.interrupted("light"):
    print("light", light.event(), light.measure())
accelerometer.arm(shock_mg=4000)
if light.measure() > 100:
    light.arm(below=50)
else:
    light.arm(above=100)
port.deep_sleep(600_000, masked=({masked}))
"""


class Moving(Still):
    """A box that is dropped."""

    def __init__(self, *drops: Fall) -> None:
        super().__init__()
        self.motion = Motion((), drops)
        self.motions = self.motion.spans

    def acceleration(self, t_s):
        return self.motion.acceleration(t_s)


@dataclass
class Lit(Still):
    """A box that is opened at 100 s for 20 minutes: 2 lx, as at night."""

    light_changes: Sequence[float] = (100.0, 1300.0)

    def lux(self, t_s):
        return 2.0 if 100 <= t_s < 1300 else 0.0


@pytest.fixture
def whole():
    return small_board(HELD=())


def lines(sim, word):
    return [row.split()[1:] for row in sim.console.text.splitlines() if row.startswith(word)]


@pytest.mark.parametrize("height_m", [0.3, 0.8, 1.2])
def test_a_drop_wakes_and_is_found_whole_after_the_boot(run, whole, height_m):
    drop = Fall(100.0, height_m, 20)
    sim = run(MAIN.format(masked=""), 150, board=whole, world=Moving(drop), files=FILES)
    power_on, wake = sim.journal.of("boot")
    landing, pulse_s, _ = drop.pulses[0]
    # ext1, within a sample of the pulse crossing the threshold.
    assert wake["wake"] == 3
    assert landing <= wake["us"] / S <= landing + pulse_s / 2
    # The FIFO was read when the shock was over for longer than it holds.
    (read,) = [note for note in sim.journal.of("samples") if note["count"] == 32]
    assert read["us"] - wake["us"] > 420_000
    assert read["us"] / S - (landing + pulse_s) > 32 * 0.005
    (words,) = lines(sim, "event")
    *shock, falling = [int(word.strip("(,)")) for word in words]
    assert shock == [round(mg) for mg in read["peak_mg"]]
    assert max(abs(mg) for mg in read["peak_mg"]) > 4000
    assert 140 <= falling <= 155
    assert power_on["cause"] == "power-on"


def test_after_the_event_it_sleeps_on_until_the_next(run, whole):
    drops = (Fall(100.0, 0.5, 20), Fall(300.0, 0.5, 20))
    sim = run(MAIN.format(masked=""), 1000, board=whole, world=Moving(*drops), files=FILES)
    assert [note["wake"] for note in sim.journal.of("boot")][:3] == [0, 3, 3]
    assert len(lines(sim, "event")) == 2
    # The rebound comes while it boots: part of the same event, or one more wake at most.
    assert len(list(sim.journal.of("boot"))) <= 6


def test_two_lux_wake_by_the_other_wake_source_and_so_does_their_end(run, whole):
    sim = run(MAIN.format(masked=""), 2400, board=whole, world=Lit(), files=FILES)
    opened, closed = [note for note in sim.journal.of("boot") if note["wake"] == 2]  # ext0
    assert 100 < opened["us"] / S < 102
    assert 1300 < closed["us"] / S < 1302
    (first, bright), (second, dark) = lines(sim, "light")
    assert (int(first), int(second)) == (64, 32)
    assert 180 <= int(bright) <= 223
    assert int(dark) <= 3


@pytest.mark.parametrize(
    ("name", "world"), [("accelerometer", Moving(Fall(100.0, 0.8, 20))), ("light", Lit())]
)
def test_a_masked_source_does_not_wake(run, whole, name, world):
    sim = run(MAIN.format(masked=f"{name!r},"), 500, board=whole, world=world, files=FILES)
    assert [note["wake"] for note in sim.journal.of("boot")] == [0]


def test_a_line_that_floats_in_deep_sleep_wakes_by_chance(run):
    sim = run(
        """
import esp32, machine
print(machine.wake_reason())
esp32.wake_on_ext1([machine.Pin(14, machine.Pin.IN)], esp32.WAKEUP_ANY_HIGH)
machine.deepsleep(3_600_000)
""",
        1000,
    )
    wakes = [note["wake"] for note in sim.journal.of("boot")]
    assert wakes[0] == 0
    assert set(wakes[1:]) == {3}
    assert list(sim.journal.of("floating-wake"))


CODES = """
from drivers import lis2dw12, opt3001
total = 0
for code in range(1 << 14):
    word = code << 2
    total = (total * 31 + lis2dw12.mg(word & 0xFF, word >> 8)) & 0xFFFFFF
for code in range(12 << 12):
    total = (total * 31 + opt3001.lux(code)) & 0xFFFFFF
print(total)
import machine
machine.deepsleep(10**7)
"""


def test_both_interpreters_convert_every_code_as_cpython_does(run):
    total = 0
    for code in range(1 << 14):
        word = code << 2
        total = (total * 31 + lis2dw12.mg(word & 0xFF, word >> 8)) & 0xFFFFFF
    for code in range(12 << 12):
        total = (total * 31 + opt3001.lux(code)) & 0xFFFFFF
    assert run(CODES, 5).console.text.split() == [str(total)]
