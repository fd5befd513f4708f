"""`coldtrail selftest` on the simulator's pseudo-terminal: a tracker tests itself over its cable."""

import contextlib
import json
import subprocess
import sys
import threading

from simulator import scenario
from simulator.scenario import Button
from simulator.shipment import run
from tests.support.cabled import CODE, Cabled, provisioned

LIMIT_S = 90
SPEED = 40


def started(port, *options):
    """Return the process of the command."""
    return subprocess.Popen(
        [sys.executable, "-m", "boards", "selftest", "--port", str(port), *options],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def selftest(port, *options, typed=""):
    process = started(port, *options)
    said = process.communicate(typed, LIMIT_S)
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


def test_a_tracker_that_is_well_passes(tmp_path):
    story = scenario.load("fair_weather")
    header = story.scenario.model_copy(update={"duration_h": 160 / 3600})
    moments = range(80, 155, 4)  # after the call that follows the boot
    presses = [Button(kind="button", at_h=second / 3600, hold_s=0.6) for second in moments]
    story = story.model_copy(update={"scenario": header, "event": presses})
    out, attached = tmp_path / "out", threading.Event()
    options = {"console": lambda _: attached.set(), "speed": SPEED}
    journey = threading.Thread(target=run, args=(story, 1, out), kwargs=options)
    journey.start()
    try:
        assert attached.wait(LIMIT_S)
        done = selftest(out / "console", "--json")
    finally:
        journey.join(LIMIT_S)
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads(done.stdout)
    assert summary["passed"] is True
    measured = {check["check"]: check for check in summary["checks"]}
    assert len(measured) == 17
    assert measured["battery"]["unit"] == "mV"
    assert 4000 < measured["battery"]["value"] < 4200
    assert measured["test block"]["value"].startswith("block ")
    assert "press the button" in done.stderr


def test_what_fails_is_said_a_line_each_and_counted_by_the_exit_code(tmp_path):
    with cabled(tmp_path) as tracker:
        done = selftest(tracker.link)
    assert done.returncode == 1, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert "FAILED modem             the modem does not answer after power-on (answers)" in lines
    assert (
        lines[-1] == "6 of 17 failed: modem, SIM, registration, clock, test block, LED and button"
    )
    assert sum(line.startswith("ok ") for line in lines) == 11


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
        said = process.communicate(timeout=LIMIT_S)[1]
    assert process.returncode == 2
    assert "has not tested itself: it broke off" in said
