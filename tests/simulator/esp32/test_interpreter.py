"""Resets, sleep, hangs, power and the console: what ends a process and starts the next."""

import os
import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path

import pytest

from coldtrail_simulator.clock import RunInvalidError
from coldtrail_simulator.esp32 import interpreter
from coldtrail_simulator.esp32.interpreter import CompileError, compiled
from coldtrail_simulator.esp32.protocol import Op
from tests.support.host import until
from tests.support.trackers.rig import MS, ROOT, S, small_board

COUNT = """
import machine, time
rtc = machine.RTC()
n = len(rtc.memory())
rtc.memory(bytes(n + 1))
print(n, machine.reset_cause(), machine.wake_reason(), time.time())
"""


def rows(sim):
    return [[int(word) for word in line.split()] for line in sim.console.text.splitlines()]


# --- resets --------------------------------------------------------------------------------


def test_each_reset_has_its_cause_and_only_power_loss_clears_rtc_memory_and_counter(prepared):
    sim = prepared(
        COUNT
        + """
machine.WDT(timeout=5000)
if n == 0:
    machine.deepsleep(10_000)
if n == 1:
    machine.reset()
if n == 2:
    raise SystemExit
if n == 3:
    machine.soft_reset()
if n == 4:
    while True:
        time.sleep_ms(100)
time.sleep_ms(3000)
machine.deepsleep(3_600_000)
"""
    )
    sim.clock.call_at(60 * S, lambda: sim.power_cut(5 * S))
    sim.power_on()
    sim.run(70 * S)
    assert rows(sim) == [
        [0, 1, 0, 0],  # power on
        [1, 4, 4, 10],  # 0.42 s of boot, 10 s of sleep
        [2, 2, 0, 11],  # machine.reset()
        [3, 5, 0, 11],
        [4, 5, 0, 12],
        [5, 3, 0, 17],  # watchdog
        [0, 1, 0, 0],  # power back
    ]
    causes = [note["cause"] for note in sim.journal.of("boot")]
    assert causes == [
        "power-on", "deep sleep", "reset", "soft reset", "soft reset", "watchdog", "power-on"
    ]  # fmt: skip


def test_an_exception_goes_to_the_console_and_the_watchdog_bites(run):
    sim = run(
        """
import machine
print(machine.reset_cause())
if machine.reset_cause() == machine.WDT_RESET:
    machine.deepsleep(10**7)
machine.WDT(timeout=8000)
def broken():
    return [][1]
broken()
""",
        20,
    )
    assert sim.console.text.startswith("1\nTraceback (most recent call last):\n")
    # No line numbers: they would take heap.
    assert '  File "main.mpy", line 1, in broken\n' in sim.console.text
    assert sim.console.text.endswith("IndexError: list index out of range\n3\n")
    power_on, watchdog = sim.journal.of("boot")
    assert 8_420 * MS <= watchdog["us"] - power_on["us"] <= 8_440 * MS


@pytest.mark.parametrize(
    ("hang", "how"),
    [
        ("while True: pass", "computes"),
        ("import sys; sys.stdin.read(1)", "computes"),
        ("machine.ADC(35).read()", "waits for ADC_RAW"),
    ],
)
def test_a_hang_lasts_until_the_watchdog_in_virtual_time(prepared, hang, how):
    sim = prepared(
        f"""
import machine, time
print(machine.reset_cause(), time.time())
if machine.reset_cause() == 3:
    machine.deepsleep(10**7)
machine.WDT(timeout=60_000)
{hang}
"""
    )
    sim.chip.hang_next.add(Op.ADC_RAW)
    sim.power_on()
    sim.run(100 * S)
    assert rows(sim) == [[1, 0], [3, 60]]
    (hung,) = sim.journal.of("hung")
    assert hung["how"].startswith(how)


@pytest.mark.parametrize(
    ("main", "sentence"),
    [
        ("x = 1", "end of main.py"),
        ("raise ValueError", "end of main.py"),
        ("while True: pass", "computes"),
        ("import machine; machine.deepsleep()", "nothing that could wake it"),
        ("import machine; machine.Pin(20)(1)", "pin 20"),
        ("import machine; machine.UART(2, 9600, tx=4, rx=5)", "UART 2"),
        ("import _link; _link.call(200)", "speak different protocols"),
    ],
)
def test_a_run_that_proves_nothing_says_so(run, main, sentence):
    with pytest.raises(RunInvalidError, match=sentence):
        run(main, 10)


def test_an_interpreter_that_is_killed_makes_the_run_invalid(prepared):
    sim = prepared("import time\nwhile True: time.sleep_ms(1)")
    sim.power_on()
    sim.run(S)
    os.kill(sim.chip.child.pid, 9)
    with pytest.raises(RunInvalidError, match="SIGKILL"):
        sim.run(2 * S)


def test_feeding_keeps_the_watchdog_quiet_and_light_sleep_stops_it(run):
    sim = run(
        """
import machine, time
print(machine.reset_cause())
dog = machine.WDT(timeout=1000)
for _ in range(100):
    time.sleep_ms(900)
    dog.feed()
machine.lightsleep(60_000)
time.sleep_ms(900)
print(time.time())
dog = machine.WDT(timeout=500)
time.sleep_ms(600)
""",
        153,
    )
    words = sim.console.text.split()
    assert words == ["1", "151", "3"]


# --- sleep ---------------------------------------------------------------------------------


def test_deep_sleep_lasts_by_the_crystal_and_the_counter_runs_on_it(prepared):
    sim = prepared(COUNT + "machine.deepsleep(3_600_000)", board=small_board(RTC_PPM=500_000))
    sim.power_on()
    sim.run(8 * 3600 * S)
    boots = [note["us"] for note in sim.journal.of("boot")]
    counter = [row[3] for row in rows(sim)]
    pace = counter[-1] / (boots[-1] / S)
    assert not 0.99 < pace < 1.01
    for before, after in pairwise(boots):
        # 0.42 s of boot by the main crystal, the rest by the slow one.
        assert (after - before - 420 * MS) / S * pace == pytest.approx(3600, abs=2)


BUTTON = (
    COUNT.replace("print(", "print(*machine.wake_pins(), ")
    + """
import esp32
machine.WDT(timeout=5000)
"""
)


def wake_rows(sim):
    return [line.split() for line in sim.console.text.splitlines()]


def test_ext1_wakes_by_any_high_pin_and_tells_which(prepared):
    sim = prepared(
        BUTTON
        + """
esp32.wake_on_ext1((machine.Pin(33), machine.Pin(34)), esp32.WAKEUP_ANY_HIGH)
while machine.Pin(33)() or machine.Pin(34)():
    time.sleep_ms(100)
machine.deepsleep(600_000)
"""
    )
    sim.clock.call_at(100 * S, lambda: sim.parts["button"].press(700 * MS))
    sim.clock.call_at(200 * S, sim.parts["vbus"].plug)
    sim.clock.call_at(203 * S, sim.parts["vbus"].unplug)
    sim.power_on()
    sim.run(1000 * S)
    assert wake_rows(sim) == [
        ["0", "1", "0", "0"],
        ["33", "1", "4", "3", "100"],
        ["34", "2", "4", "3", "200"],
        ["3", "4", "4", "803"],
    ]


def test_ext0_and_all_low_wake_at_their_levels_at_once_when_they_stand_already(prepared):
    sim = prepared(
        BUTTON
        + """
if n == 0:
    esp32.wake_on_ext0(machine.Pin(33), 1)
    machine.deepsleep(600_000)
if n == 1:
    time.sleep_ms(2000)
    esp32.wake_on_ext0(None)
    esp32.wake_on_ext1((machine.Pin(33), machine.Pin(34)), esp32.WAKEUP_ALL_LOW)
    machine.deepsleep(600_000)
machine.deepsleep(600_000)
"""
    )
    sim.clock.call_at(50 * S, lambda: sim.parts["button"].press(S))
    sim.power_on()
    sim.run(100 * S)
    assert wake_rows(sim) == [
        ["0", "1", "0", "0"],
        ["1", "4", "2", "50"],
        ["33", "34", "2", "4", "3", "52"],
    ]


@pytest.mark.parametrize(
    "call",
    ["esp32.wake_on_ext0(machine.Pin(5), 1)", "esp32.wake_on_ext1((machine.Pin(33), 21), 1)"],
)
def test_pins_outside_the_rtc_cannot_wake(run, call):
    sim = run(
        f"""
import esp32, machine
try:
    {call}
except ValueError as error:
    print(error)
machine.deepsleep(10**7)
""",
        1,
    )
    assert sim.console.text == "invalid pin\n"


def test_light_sleep_keeps_the_program_and_ends_by_time_or_by_a_pin(prepared):
    sim = prepared(
        """
import esp32, machine, time
start = time.ticks_ms()
machine.lightsleep(1000)
print(time.ticks_diff(time.ticks_ms(), start))
esp32.wake_on_ext1((machine.Pin(33),), esp32.WAKEUP_ANY_HIGH)
machine.lightsleep(60_000)
print(time.ticks_ms())
time.sleep_ms(500)
machine.deepsleep(10**7)
"""
    )
    sim.clock.call_at(5 * S, lambda: sim.parts["button"].press(100 * MS))
    sim.power_on()
    sim.run(20 * S)
    first, second = (int(word) for word in sim.console.text.split())
    assert first == 1000
    assert 5000 <= second <= 5005


def test_pins_float_in_deep_sleep_unless_held(prepared):
    sim = prepared(
        """
import esp32
from machine import Pin, deepsleep, RTC
n = len(RTC().memory())
RTC().memory(bytes(n + 1))
Pin(2, Pin.OUT, value=1)
Pin(4, Pin.OUT, value=0)
Pin(25, Pin.OUT, value=1, hold=True)
Pin(19, Pin.OUT, value=1, hold=True)
if n == 1:
    esp32.gpio_deep_sleep_hold(True)
if n == 2:
    esp32.gpio_deep_sleep_hold(True)
    Pin(25, Pin.OUT, value=0, hold=False)
    Pin(19, Pin.IN, hold=False)
deepsleep(10_000)
"""
    )
    pins = {n: sim.chip.nets[n].attach("test") for n in (2, 4, 19, 25)}
    seen = []
    for s in (5, 15, 25):
        sim.clock.call_at(s * S, lambda: seen.append([p.level for p in pins.values()]))
    sim.power_on()
    sim.run(40 * S)
    # Pin 2 floats, 4 has a resistor to the supply, 25 one to ground; 19 is no RTC pin.
    assert seen == [[None, 1, None, 1], [None, 1, 1, 1], [None, 1, None, 0]]


# --- power ---------------------------------------------------------------------------------


def test_power_fails_in_the_middle_of_anything_and_the_bus_stops_there(prepared):
    sim = prepared(
        """
import machine
spi = machine.SPI(2, baudrate=8000)
machine.Pin(5, machine.Pin.OUT, value=0)
print("start")
spi.write(bytes(1000))
print("never")
"""
    )
    part = Taker()
    sim.parts["taker"] = part
    sim.chip.spi[18, 23, 19].attach(part, sim.chip.nets[5].attach("test"))
    sim.clock.call_at(920 * MS, sim.power_off)
    sim.power_on()
    sim.run(5 * S)
    assert sim.console.text == "start\n"
    # A byte takes a millisecond; the transfer began a little after 420 ms.
    assert 485 <= part.taken <= 500
    # Without its supply the part is not told what its select line does then.
    assert part.selects == ["on", "select", "off", "deselect"]
    assert sim.chip.state == "off"


class Taker:
    modes = (0,)
    max_hz = 1_000_000

    def __init__(self):
        self.taken, self.selects = 0, []

    def power_on(self):
        self.selects.append("on")

    def power_off(self):
        self.selects.append("off")

    def select(self):
        self.selects.append("select")

    def transfer(self, out):
        self.taken += len(out)
        return bytes(len(out))

    def deselect(self):
        self.selects.append("deselect")


@pytest.mark.parametrize("us", [1, 200_000, 419_999, 420_001, 421_000, 600_000, 3_000_000])
def test_power_can_fail_at_any_moment_and_comes_back(prepared, us):
    sim = prepared(COUNT + "time.sleep_ms(500)\nmachine.deepsleep(600_000)")
    sim.clock.call_at(us, lambda: sim.power_cut(10 * S))
    sim.power_on()
    sim.run(30 * S)
    assert rows(sim)[-1] == [0, 1, 0, 0]
    assert [note["us"] for note in sim.journal.of("boot")][-1] == us + 10 * S


# --- the console ---------------------------------------------------------------------------


def test_the_log_has_the_virtual_time_of_each_line(prepared, tmp_path):
    sim = prepared(
        """
import machine, time
for n in range(3):
    print("line", n)
    time.sleep(100)
machine.deepsleep(10**7)
""",
        out=tmp_path,
    )
    sim.power_on()
    sim.run(400 * S)
    sim.close()
    stamped = [line.split(" ", 1) for line in (tmp_path / "console.log").read_text().splitlines()]
    assert [text for _, text in stamped] == ["line 0", "line 1", "line 2"]
    assert [float(stamp) for stamp, _ in stamped] == pytest.approx([0.42, 100.42, 200.42], abs=0.1)
    assert (tmp_path / "journal.jsonl").read_text().count("\n") == len(sim.journal.notes)


ECHO = """
import asyncio, machine, sys

async def main():
    stream = asyncio.StreamReader(sys.stdin)
    machine.WDT(timeout=3_600_000)
    while True:
        line = await stream.readline()
        print("got", line.strip().decode())

asyncio.run(main())
"""


def test_what_is_typed_arrives_at_its_virtual_moment(prepared):
    sim = prepared(ECHO)
    for s, text in ((0.1, b"lost: still booting\n"), (10, b"hello\n"), (2000, b"again\n")):
        sim.clock.call_at(int(s * S), lambda text=text: sim.console.type(text))
    sim.power_on()
    sim.run(3000 * S)
    assert sim.console.text == "got hello\ngot again\n"


def test_an_attached_terminal_makes_time_real(prepared):
    sim = prepared(ECHO)
    terminal = os.open(sim.console.attach(), os.O_RDWR | os.O_NOCTTY)
    timer = threading.Timer(0.9, lambda: os.write(terminal, b"hello\r\n"))
    sim.power_on()
    start = time.monotonic()
    timer.start()
    while "got hello" not in sim.console.text:
        sim.run(sim.clock.now_us + S // 10)
    # A busy host is behind; without a terminal a second passes in a millisecond.
    assert 0 < sim.clock.now_us / S <= time.monotonic() - start + 0.1
    timer.join()
    assert os.read(terminal, 100).startswith(b"got hello\r\n")
    os.close(terminal)


# --- compiling and ending --------------------------------------------------------------------


def test_compiled_files_are_kept_by_their_content():
    one = compiled("x = 1", "one.py")
    stamp = one.stat().st_mtime_ns
    assert compiled("x = 1", "one.py") == one
    assert one.stat().st_mtime_ns == stamp
    assert compiled("x = 2", "one.py") != one


def test_what_does_not_compile_is_refused_with_its_place(tmp_path):
    with pytest.raises(CompileError, match="bad.py"):
        interpreter.install(tmp_path, {"bad.py": "def ("})


def test_other_files_come_onto_the_volume_as_they_are(tmp_path):
    interpreter.install(tmp_path, {"lib/data.cbor": b"\x01".decode(), "lib/mod.py": "x = 1"})
    assert (tmp_path / "lib/data.cbor").read_bytes() == b"\x01"
    assert (tmp_path / "lib/mod.mpy").read_bytes()[:2] == b"M\x06"


def test_no_interpreter_outlives_a_simulator_that_is_killed(tmp_path):
    """Neither the one that waits for a reply nor the one that stands ready."""
    script = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from coldtrail_simulator.esp32 import interpreter as process
from coldtrail_simulator.shipment.simulation import Simulation
from tests.support.trackers.rig import Still, small_board
volume = Path({str(tmp_path)!r})
process.install(volume, {{"main.py": "import time\\nwhile True: time.sleep_ms(1)"}})
sim = Simulation(small_board(), volume, Still())
sim.power_on()
sim.run(10**6)
print(sim.chip.child.pid, sim._interpreter._ready.pid, flush=True)
sim.run(10**15)
"""
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent.stdout as said:
        pids = [int(word) for word in said.readline().split()]
    assert len(pids) == 2
    parent.kill()
    parent.wait()
    until(lambda: not any(is_running(pid) for pid in pids), "their end")


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
