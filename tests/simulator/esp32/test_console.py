"""The console's line: 115,200 baud in virtual time, a pseudo-terminal in real time."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import serial

from coldtrail_simulator.paths import SCENARIOS
from coldtrail_simulator.services import tools
from coldtrail_simulator.world import scenario
from coldtrail_simulator.world.errors import ScenarioError
from coldtrail_simulator.world.scenario import CableIn
from tests.support.host import PATIENCE_S, until
from tests.support.trackers.rig import S

BYTE_US = 10 * S / 115_200

CHATTER = """
import machine, time
machine.WDT(timeout=3_600_000)
while True:
    begun = time.ticks_us()
    print("x" * 999)
    print(time.ticks_diff(time.ticks_us(), begun))
"""
KEYS = """
import machine, select, sys, time
machine.WDT(timeout=3_600_000)
poll = select.poll()
poll.register(sys.stdin, select.POLLIN)
count = 0
while True:
    if poll.poll(10_000):
        sys.stdin.buffer.read(1)
        count += 1
        if count in (1, 100):
            print(count, time.ticks_us())
"""
ECHO = """
import machine, select, sys
machine.WDT(timeout=3_600_000)
poll = select.poll()
poll.register(sys.stdin, select.POLLIN)
line = b""
while True:
    poll.poll(10_000)
    while poll.poll(0):
        line += sys.stdin.buffer.read(1)
        if line.endswith(b"\\n"):
            print("got", line.strip())
            line = b""
"""


@pytest.fixture
def argv():
    """Run on one interpreter: it is the line that is looked at."""
    return tools.micropython()


def test_printing_takes_the_time_of_the_line_beyond_what_the_chip_holds(run):
    sim = run(CHATTER, 5)
    first, *rest = [int(line) for line in sim.console.text.split() if line.isdigit()]
    assert first == pytest.approx((1000 - 128) * BYTE_US, rel=0.01)
    # From then on each line takes as long as the bytes that it and its figure have.
    assert rest[len(rest) // 2] == pytest.approx(1000 * BYTE_US, rel=0.02)


def test_what_is_typed_arrives_as_fast_as_the_line_carries_it(prepared):
    sim = prepared(KEYS)
    sim.clock.call_at(5 * S, lambda: sim.console.type(b"y" * 100))
    sim.power_on()
    sim.run(10 * S)
    first, last = (int(line.split()[1]) for line in sim.console.text.splitlines())
    assert last - first == pytest.approx(99 * BYTE_US, abs=16 * BYTE_US)


def pass_by(sim, seconds=1):
    """Let virtual time pass, in which the line is looked at many times."""
    end_us = sim.clock.now_us + seconds * S
    until(lambda: sim.clock.now_us > end_us)


@pytest.fixture
def attached(prepared, tmp_path):
    """Return a function that runs firmware at the speed given, with a terminal at a link."""
    threads = []

    over = threading.Event()

    def live(sim):
        while not over.is_set():
            sim.run(sim.clock.now_us + S // 10)

    def attached(main, speed=1.0):
        sim = prepared(main, speed=speed)
        link = tmp_path / "console"
        sim.console.attach(link)
        sim.plug()
        sim.power_on()
        threads.append(threading.Thread(target=live, args=(sim,)))
        threads[-1].start()
        pass_by(sim)  # what is typed while the chip starts is lost
        return sim, link

    yield attached
    over.set()
    for thread in threads:
        thread.join()


def test_speed_sets_how_fast_time_passes(attached):
    start_s = time.monotonic()
    sim, _ = attached(ECHO, speed=20)
    took_s = []
    for _ in range(20):
        begun_s = time.monotonic()
        pass_by(sim)
        took_s.append(time.monotonic() - begun_s)
    assert time.monotonic() - start_s >= 0.95 * sim.clock.now_us / S / 20
    # A busy host takes long for some of the seconds, but never for all.
    assert min(took_s) < 0.5


def test_at_another_speed_both_sides_read_noise(attached):
    sim, link = attached(ECHO, speed=4)
    with serial.Serial(str(link), 9600, timeout=PATIENCE_S) as port:
        port.write(b"hello\n")
        pass_by(sim)
        port.baudrate = 115_200
        port.write(b"\nfrom now on\n")
        heard = port.read_until(b"now on'\r\n")
    assert b"hello" not in heard
    assert b"got b'from now on'" in heard


def test_a_terminal_that_reads_nothing_holds_nothing_up(attached):
    sim, link = attached(CHATTER, speed=10)
    with serial.Serial(str(link), 115_200):
        pass_by(sim, 10)
        printed, since_us = sim.console.printed, sim.clock.now_us
        pass_by(sim, 10)
        printed, passed_us = sim.console.printed - printed, sim.clock.now_us - since_us
    # The line carried all that it can, though nobody took it.
    assert printed == pytest.approx(passed_us / BYTE_US, rel=0.05)


def test_a_cable_that_is_pulled_vanishes_and_comes_back_by_the_same_name(attached):
    sim, link = attached(ECHO, speed=4)
    with serial.Serial(str(link), 115_200, timeout=PATIENCE_S) as port:
        sim.clock.call_after(0, sim.unplug)
        with pytest.raises((serial.SerialException, OSError)):
            port.read(1000)
    assert not link.exists()
    assert sim.chip.nets[34].level == 0
    sim.clock.call_after(0, sim.plug)
    until(link.exists, "the port")
    with serial.Serial(str(link), 115_200, timeout=PATIENCE_S) as port:
        port.write(b"again\n")
        assert port.read_until(b"again'\r\n") == b"got b'again'\r\n"


def test_a_scenario_plugs_the_cable_in(tmp_path: Path):
    text = (SCENARIOS / "hang.toml").read_text(encoding="utf-8")
    path = tmp_path / "cabled.toml"
    path.write_text(text + '\n[[event]]\nat_h = 1\nkind = "cable"\nfor_h = 0.5\n')
    assert [e.for_h for e in scenario.load(str(path)).event if isinstance(e, CableIn)] == [0.5]
    path.write_text(text + '\n[[event]]\nat_h = 1\nkind = "cable"\n')
    with pytest.raises(ScenarioError, match="for_h is missing"):
        scenario.load(str(path))


@pytest.mark.slow
def test_the_command_says_where_the_console_is_and_keeps_time(tmp_path: Path):
    text = (SCENARIOS / "hang.toml").read_text(encoding="utf-8")
    short = text.replace("duration_h = 8", "duration_h = 0.05").partition("[[event]]")[0]
    (tmp_path / "short.toml").write_text(short, encoding="utf-8")
    out = tmp_path / "out"
    arguments = ["simulate", str(tmp_path / "short.toml"), "--out", str(out)]
    run = subprocess.Popen(
        [sys.executable, "-m", "coldtrail_boards", *arguments, "--console", "--speed", "20"],
        stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert run.stderr
        # Others, of a slow host for example, may come first.
        others = []
        for said in run.stderr:
            if said.startswith("console: /dev/pts/"):
                break
            others.append(said)
        else:
            pytest.fail(f"no console: {others}")
        with serial.Serial(said.split()[1], 115_200, timeout=PATIENCE_S) as port:
            assert b"type help" in port.read_until(b"type help")
            port.write(b"version\r")
            assert b"esp32_bg95" in port.read_until(b"chip")
    finally:
        rest = run.communicate()
    assert os.path.lexists(out / "console.log"), rest
    assert run.returncode == 0, rest
