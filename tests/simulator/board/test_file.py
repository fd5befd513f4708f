"""Board files: what is read, what is refused, what comes of it."""

import subprocess
import sys

import pytest

from coldtrail_simulator.board import file as boards
from coldtrail_simulator.board.file import BoardFileError
from coldtrail_simulator.shipment.simulation import Simulation
from tests.support.host import full_load
from tests.support.trackers.rig import ROOT, S, Still, small_board


def test_the_project_s_board_can_be_wired_and_fits_into_the_firmware():
    whole = boards.named("esp32_bg95")
    assert whole["CHIP"] == "esp32"
    sensors = {"probe", "ambient", "light", "accelerometer", "battery"}
    assert set(boards.parts(whole)) == sensors | {"flash", "modem"}


def test_the_nrf_s_board_has_the_same_parts_and_is_not_simulated_here(tmp_path):
    nrf = boards.named("nrf52840dk_bg95")
    fitted, there = (boards.parts(b) for b in (nrf, boards.named("esp32_bg95")))
    assert {n: e["part"] for n, e in fitted.items()} == {n: e["part"] for n, e in there.items()}
    with pytest.raises(BoardFileError, match="emulated by Renode"):
        Simulation(nrf, tmp_path, Still())


BUSES = boards.named("esp32_bg95")["BUSES"]
SENSORS = boards.named("esp32_bg95")["SENSORS"]


def sensors(name, **changes):
    return SENSORS | {name: SENSORS[name] | changes}


REFUSED = [
    ({"CHIP": None}, "CHIP"),
    ({"CHIP": "rp2040"}, "rp2040 is not known; esp32, nrf52840 are"),
    ({"BOOT_MS": None}, "BOOT_MS is missing"),
    ({"COLOUR": 3}, "COLOUR"),
    ({"BUTTON": "33"}, "BUTTON must be of type int"),
    ({"LED_RED": 2}, "pin 2 is used twice"),
    ({"LED_RED": 22}, "pin 22 is used twice"),
    ({"LED_RED": 20}, "pin 20 .* does not exist"),
    ({"LED_RED": 9}, "pin 9 .* module's own flash"),
    ({"LED_RED": 1}, "pin 1 .* console"),
    ({"LED_RED": 39}, "pin 39 can only be an input"),
    ({"SENSORS": sensors("probe", cs=36)}, "pin 36 can only be an input"),
    ({"SENSORS": sensors("battery", adc=13 + 5)}, "pin 18 .* has no ADC|used twice"),
    ({"SENSORS": sensors("battery", adc=5)}, "pin 5 .* has no ADC"),
    ({"SENSORS": sensors("ambient", i2c=1)}, "I2C 1, which the board does not have"),
    ({"SENSORS": sensors("probe", spi=1)}, "SPI 1, which the board does not have"),
    ({"SENSORS": SENSORS | {"air": SENSORS["ambient"]}}, "one address, 0x44"),
    ({"BUSES": BUSES | {("SPI", 3): BUSES["SPI", 2]}}, "no SPI 3"),
    ({"BUSES": BUSES | {("UART", 0): BUSES["UART", 2]}}, "no UART 0"),
    ({"BUSES": BUSES | {("I2C", 1): {"pins": {"scl": 13}}}}, "needs the pins scl, sda"),
    ({"WAKE_ANY_HIGH": (33, 5)}, "pin 5 cannot wake"),
    ({"WAKE_ANY_HIGH": (33, 33)}, "pin 33 is to wake the chip in two ways"),
    ({"WAKE_ANY_HIGH": (33, 14)}, "nothing is on it"),
    ({"WAKE_ANY_HIGH": (33,), "WAKE_ALL_LOW": (34,)}, "not by both"),
    ({"WAKE_ANY_HIGH": (34,), "WAKE_EXT0": ((33, 1), (35, 1))}, "ext0 watches one pin"),
    ({"WAKE_EXT0": (33, 1)}, "in two ways"),
    ({"PULLS": ((34, 0),)}, "pin 33 wakes the chip and floats"),
    ({"PULLS": ((33, 1), (34, 0))}, "pin 33 rests at the level that wakes"),
    ({"HELD": ((34, 0),)}, "pin 34 cannot be held"),
    ({"HELD": ((14, 0),)}, "pin 14 cannot be held"),
    ({"HELD": ((13, 0),)}, "pin 13 cannot be held"),
    ({"WAKE_EXT0": (13, 1)}, "pin 13 .*int of light.* low, not when high"),
    ({"WAKE_ANY_HIGH": (33, 34, 13), "WAKE_EXT0": (32, 0)}, "pin 13 .* low, not when high"),
    ({"WAKE_EXT0": (32, 0), "WAKE_ANY_HIGH": (33,)}, "pin 32 .*int1 of accelerometer.* high"),
    ({"WAKE_EXT0": (5, 0)}, "pin 5 cannot wake"),
    ({"SENSORS": sensors("light", int=18)}, "pin 18 is used twice"),
    ({"SENSORS": sensors("light", address=0x44)}, "one address, 0x44"),
    ({"BUSES": {("I2C", 0): {}}}, "form"),
    ({"BUSES": {"I2C": 3}}, "form"),
    ({"SENSORS": {"air": 3}}, "form"),
    ({"SENSORS": {"air": {"part": "SHT45", "i2c": 0}}}, "form"),
    ({"PULLS": (33,)}, "form"),
    ({"HELD": (33,)}, "form"),
    ({"WAKE_ANY_HIGH": ([],)}, "form"),
]


@pytest.mark.parametrize(("changes", "sentence"), REFUSED)
def test_impossible_wiring_is_refused_in_one_sentence(changes, sentence):
    with pytest.raises(BoardFileError, match=sentence) as caught:
        boards.check(small_board(**changes))
    assert "\n" not in str(caught.value)


NRF = boards.named("nrf52840dk_bg95")
NRF_BUSES = NRF["BUSES"]


def nrf_sensors(name, **changes):
    return NRF["SENSORS"] | {name: NRF["SENSORS"][name] | changes}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"LED_RED": 48}, "pin 48 .* does not exist"),
        ({"LED_RED": 0}, "pin 0 .* crystal"),
        ({"LED_RED": 10}, "pin 10 .* NFC"),
        ({"LED_RED": 18}, "pin 18 .* reset"),
        ({"LED_RED": 6}, "pin 6 is used twice"),
        ({"SENSORS": nrf_sensors("battery", adc=32)}, "pin 32 .* has no ADC"),
        ({"BUSES": NRF_BUSES | {("UART", 1): NRF_BUSES["UART", 0]}}, "no UART 1"),
        (
            {"BUSES": NRF_BUSES | {("UART", 0): {"pins": {"tx": 5, "rx": 8}}}},
            "UART 0 has its pins from the image: tx 6, rx 8",
        ),
        (
            {"BUSES": NRF_BUSES | {("SPI", 0): {"pins": {"sck": 2, "mosi": 3, "miso": 4}}}},
            "SPI 0 and I2C 0 are one peripheral",
        ),
        ({"WAKE_EXT0": (38, 1)}, "WAKE_EXT0 is not a name that boards with this chip have"),
        ({"VBUS": 2}, "VBUS is not a name"),
    ],
)
def test_what_the_nrf_cannot_is_refused_in_one_sentence(changes, sentence):
    with pytest.raises(BoardFileError, match=sentence) as caught:
        boards.check(NRF | changes)
    assert "\n" not in str(caught.value)


def test_an_unknown_part_is_refused_with_those_that_are_known(tmp_path):
    with pytest.raises(BoardFileError, match="part TMP117 is unknown; known are .*SHT45"):
        Simulation(small_board(SENSORS=sensors("ambient", part="TMP117")), tmp_path, Still())


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("NAME = 'x'\nCHIP = str(3)\n", "line 2: CHIP is not a plain literal"),
        ("import os\n", "line 1: only NAME = literal"),
        ("NAME = (\n", "board.py"),
        ("NAME = 'x'\0", "board.py"),
        ("NAME = 'x'\n", "CHIP is missing"),
    ],
)
def test_files_that_are_no_board_are_refused_with_their_place(tmp_path, text, sentence):
    path = tmp_path / "board.py"
    path.write_text(text)
    with pytest.raises(BoardFileError, match=sentence) as caught:
        boards.load(path)
    assert str(path) in str(caught.value)


def test_a_board_that_is_not_there_is_refused():
    with pytest.raises(BoardFileError, match="nowhere"):
        boards.named("nowhere")


SEQUENCE = """
import machine, os, time
from machine import Pin
green = Pin(2, Pin.OUT, value=1)
time.sleep(1)
green(0)
adc = machine.ADC(Pin(35), atten=machine.ADC.ATTN_11DB)
print([adc.read_uv() for _ in range(3)], os.urandom(4))
while not Pin(33, Pin.IN)():
    time.sleep_ms(7)
print(time.ticks_us())
machine.deepsleep(300_000)
"""


def test_battery_led_and_button_are_where_the_board_says(prepared):
    sim = prepared(SEQUENCE)
    sim.clock.call_at(5 * S, lambda: sim.parts["button"].press(S))
    sim.power_on()
    sim.run(20 * S)
    assert [n["lit"] for n in sim.journal.of("led", name="led_green")] == [True, False]
    notes = list(sim.journal.of("measure", sensor="battery"))
    assert sim.console.text.startswith(str([note["microvolts"] for note in notes]))
    for note in notes:
        assert note["millivolts"] == pytest.approx(note["true_millivolts"], rel=0.01)
        assert note["true_millivolts"] == pytest.approx(4110, abs=1)
    assert 5_000_000 <= int(sim.console.text.split()[-1]) <= 5_020_000


TRACE = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from coldtrail_simulator.esp32 import interpreter as process
from coldtrail_simulator.services import tools
from coldtrail_simulator.shipment.simulation import Simulation
from tests.support.trackers.rig import DRIVERS, S, Still, small_board

MAIN = '''
import asyncio, machine, os, time
from drivers.sht45 import SHT45
from drivers.max31865 import MAX31865
spi = machine.SPI(2, baudrate=1000000, polarity=0, phase=1)
probe = MAX31865(spi, machine.Pin(4, machine.Pin.OUT, value=1), 4300, 3)
air = SHT45(machine.I2C(0, scl=machine.Pin(22), sda=machine.Pin(21)))
machine.WDT(timeout=60000)

async def sample(n):
    for _ in range(n):
        print(probe.measure(), *air.measure(), os.urandom(2), time.ticks_us())
        await asyncio.sleep_ms(777)

async def main():
    await asyncio.gather(sample(3), sample(4))

asyncio.run(main())
machine.deepsleep(100000)
'''
argv = getattr(tools, sys.argv[2])()
volume = Path(sys.argv[3])
drivers = {f"lib/drivers/{n}": p for n, p in process.package(DRIVERS).items()}
process.install(volume, {"main.py": MAIN, **drivers})
take = process.Child.request
trace = []

def request(child):
    found = take(child)
    trace.append((sim.clock.now_us, *found))
    return found

process.Child.request = request
with Simulation(small_board(), volume, Still(), seed=int(sys.argv[4]), argv=argv) as sim:
    sim.clock.call_at(250 * S, lambda: sim.parts["button"].press(S))
    sim.clock.call_at(421 * S, lambda: sim.power_cut(30 * S))
    sim.power_on()
    sim.run(2000 * S)
    print(trace, sim.journal.notes, sim.console.text)
"""


def trace(tmp_path, tool, seed):
    """Run in a process of its own, whose strings hash differently each time."""
    volume = tmp_path / f"{tool}{seed}"
    done = subprocess.run(
        [sys.executable, "-c", TRACE, str(ROOT), tool, str(volume), str(seed)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(done.stdout) > 100_000
    return done.stdout


def test_the_same_seed_gives_the_same_bus_byte_for_byte_also_under_load(tmp_path):
    idle = trace(tmp_path, "micropython", 1)
    with full_load():
        loaded = trace(tmp_path, "micropython", 1)
        other_word_size = trace(tmp_path, "micropython32", 1)
    assert loaded == idle
    assert other_word_size == idle
    assert trace(tmp_path, "micropython", 2) != idle
