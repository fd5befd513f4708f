"""`coldtrail selftest` on the simulator's pseudo-terminal: a tracker tests itself by cable."""

import contextlib
import json
import subprocess
import sys
import threading
import time

from coldtrail_simulator.services import tools
from coldtrail_simulator.shipment.shipment import run
from coldtrail_simulator.world import scenario
from tests.bench import heap
from tests.journeys.test_heap import FIRMWARE_KIB
from tests.support.host import PATIENCE_S
from tests.support.trackers.bench import CLOSED
from tests.support.trackers.cabled import CODE, NAME, Cabled, provisioned

SPEED = 40
SPARE_KIB = 4
CLOCK_SYNC, CABLE, FLIGHTS = 4, 4, 10


def started(port, *options):
    """Return the process of the command."""
    return subprocess.Popen(
        [sys.executable, "-m", "coldtrail_boards", "selftest", "--port", str(port), *options],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def selftest(port, *options, typed=""):
    process = started(port, *options)
    said = process.communicate(typed)
    return subprocess.CompletedProcess(process.args, process.returncode, *said)


def refused(*arguments, **options):
    done = selftest(*arguments, **options)
    assert done.returncode == 2
    assert done.stdout == ""
    last = done.stderr.splitlines()[-1]
    assert last.startswith("Error: ")
    return last


@contextlib.contextmanager
def cabled(folder, speed=SPEED, **options):
    """A tracker whose modem never answers, awake on its cable."""
    with Cabled(folder, speed=speed, **options) as tracker:
        tracker.until(lambda: "type help" in tracker.console.text)
        yield tracker


class Over(Exception):
    """Ends a run that has shown what it should."""


def test_a_tracker_that_is_well_passes(tmp_path):
    story = scenario.load("fair_weather")
    header = story.scenario.model_copy(update={"duration_h": 0.5})
    story = story.model_copy(update={"scenario": header})
    attached, told, over = threading.Event(), threading.Event(), threading.Event()

    def operate(_name, simulation):
        def look():
            if told.is_set():
                told.clear()
                simulation.parts["button"].press(600_000)
            if over.is_set():
                raise Over
            simulation.clock.call_after(500_000, look)

        look()
        attached.set()

    # On the 32-bit interpreter, in little more heap than a journey is held to.
    kib = FIRMWARE_KIB + SPARE_KIB + heap.shims_bytes() // 1024
    out = tmp_path / "out"

    def journey():
        with contextlib.suppress(Over):
            run(
                story, 1, out, argv=tools.micropython32(), heap_kib=kib,
                console=operate, speed=SPEED,
            )  # fmt: skip

    thread = threading.Thread(target=journey)
    thread.start()
    try:
        assert attached.wait(PATIENCE_S)
        process = started(out / "console", "--gnss", "--json")
        said = ""
        for line in process.stderr:
            said += line
            if "press the button" in line:
                told.set()
        document = process.communicate()[0]
    finally:
        over.set()
        thread.join()
    assert process.returncode == 0, document + said
    summary = json.loads(document)
    assert summary["passed"] is True
    measured = {check["check"]: check for check in summary["checks"]}
    assert len(measured) == 19
    assert measured["GNSS"]["unit"] == "m"
    assert measured["battery"]["unit"] == "mV"
    assert 4000 < measured["battery"]["value"] < 4200
    assert measured["test block"]["value"].startswith("block ")


def test_what_fails_is_said_a_line_each_and_counted_by_the_exit_code(tmp_path):
    with cabled(tmp_path) as tracker:
        done = selftest(tracker.link)
    assert done.returncode == 1, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert "FAILED modem             the modem does not answer after power-on (answers)" in lines
    assert (
        lines[-1] == "6 of 18 failed: modem, SIM, registration, clock, test block, LED and button"
    )
    assert sum(line.startswith("ok ") for line in lines) == 12


def test_a_tracker_without_a_clock_is_given_this_machines_and_may_fly(tmp_path):
    begun = time.time()
    flights = [[4_000_000_000, 4_000_040_000]]
    name = NAME.device_file("broker.example", CLOSED, options={FLIGHTS: flights})
    with cabled(tmp_path, files={"identity.cbor": name}) as tracker:
        done = selftest(tracker.link)
    assert "the tracker had no clock: it has this machine's time" in done.stderr
    assert "ok     flights           1 planned (the clock is set)" in done.stdout.splitlines()
    [[_, _, _, unix, _, uncertainty_ms, source]] = tracker.records(CLOCK_SYNC)
    assert begun - 1 < unix < time.time() + 1
    assert source == CABLE
    assert 2000 <= uncertainty_ms < 2000 + SPEED * 1000


def test_a_clock_that_is_set_is_left_as_it_is(tmp_path):
    with cabled(tmp_path) as tracker:
        assert "had no clock" in selftest(tracker.link).stderr
        again = selftest(tracker.link)
    assert "had no clock" not in again.stderr
    assert len(tracker.records(CLOCK_SYNC)) == 1


def test_in_transit_it_asks_for_the_code(tmp_path):
    files = {"identity.cbor": provisioned(code=CODE)}
    with cabled(tmp_path, files=files) as tracker:
        said = refused(tracker.link, typed="guess\n")
        assert "wrong code" in said
        assert "guess" not in said


def test_a_port_that_is_absent_is_one_sentence(tmp_path):
    assert "There is no port" in refused(tmp_path / "none")


def test_a_tracker_that_starts_anew_meanwhile_has_not_tested_itself(tmp_path):
    with cabled(tmp_path) as tracker:
        process = started(tracker.link)
        tracker.until(lambda: '"probe"' in tracker.console.text)
        tracker.do(lambda: tracker.power_cut(1_000_000))
        said = process.communicate()[1]
    assert process.returncode == 2
    assert "has not tested itself: it broke off" in said
