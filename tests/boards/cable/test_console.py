"""`coldtrail console` and pyserial on the simulator's pseudo-terminal, MicroPython behind it."""

import contextlib
import csv
import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import cbor2
import pytest
import serial

from coldtrail_boards.cable.read_out import frames
from tests.support.trackers import travelled
from tests.support.trackers.bench import profile
from tests.support.trackers.cabled import CODE, NAME, Cabled, provisioned

PROFILE = profile()


def coldtrail(
    *arguments: str, typed: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "coldtrail_boards", *arguments],
        input=typed, capture_output=True, text=True, check=False,
        env=os.environ | environment,
    )  # fmt: skip


def console(tracker: Cabled, typed: str) -> subprocess.CompletedProcess[str]:
    return coldtrail("console", "--port", str(tracker.link), typed=typed)


@pytest.fixture
def cabled(tmp_path: Path):
    """Return a function that puts a tracker on the cable; its time passes from then on."""
    with contextlib.ExitStack() as stack:

        def cabled(cells: bytes = b"", **options) -> Cabled:
            options = {"files": {"identity.cbor": provisioned(code=CODE, service=1)}} | options
            tracker = Cabled(tmp_path / "tracker", **options)
            if cells:
                tracker.parts["flash"].array.cells[:] = cells
            stack.enter_context(tracker)
            tracker.until(lambda: "type help" in tracker.console.text)
            return tracker

        yield cabled


@pytest.fixture
def database(tmp_path: Path) -> str:
    registration = tmp_path / "registration.json"
    NAME.write_registration(registration)
    database = str(tmp_path / "gateway.db")
    assert coldtrail("gateway", "register", str(registration), "--db", database).returncode == 0
    return database


# --- commands ------------------------------------------------------------------------------

READ_ONLY = (
    "help", "status", "sensors", "log", "log tail 3", "log range 1 3", "shipment", "profile",
    "alarms", "config", "calibrate", "time", "power", "version",
)  # fmt: skip


def test_every_command_by_lines_of_standard_input(cabled):
    tracker = cabled()
    done = console(tracker, "\n".join(f"{line} --json" for line in READ_ONLY))
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert len(rows) > len(READ_ONLY)
    assert [row["shipment"] for row in rows if "verdict" in row] == [NAME.shipment]
    changing = (
        f"shipment stop\nwrong\nshipment stop\n{CODE}\nshipment start S-2\nrepl\n{CODE}\n3 * 5\n"
        f"exit\nat AT\n{CODE}\nmodem off\ngnss 1\n{CODE}\n"
    )
    done = console(tracker, changing)
    assert done.returncode == 1  # the code was wrong once, and this modem does not answer
    assert "error: wrong code" in done.stdout
    assert ">>> 15\n" in done.stdout
    assert CODE not in done.stdout
    assert [fields[2] for fields in tracker.records(10)] == [NAME.shipment, "S-2"]
    done = console(tracker, f"reboot\n{CODE}\n")
    assert done.returncode == 0, done.stdout
    tracker.until(lambda: len(tracker.records(3)) == 2)


def test_a_file_of_commands_as_windows_editors_save_it(cabled):
    done = console(cabled(), "\ufeffversion\r\nlog\r\n")
    assert done.returncode == 0, done.stderr
    assert "error" not in done.stdout


def test_a_terminal_program_of_any_kind(cabled):
    tracker = cabled()
    with tracker.terminal() as port:
        port.write(b"\r")
        port.read_until(b"> ")
        port.write(b"version\r")
        said = port.read_until(b"chip").decode()
        assert said.startswith("version\r\n")
        assert "esp32_bg95" in said
        port.write(b"repl\r")
        port.read_until(b"code: ")
        port.write(CODE.encode() + b"\r")
        said = port.read_until(b">>> ").decode()
        assert CODE not in said
        port.write(b"\x04")
        assert b"ended" in port.read_until(b"ended")


def test_line_editing_completion_and_history_at_a_terminal(cabled, tmp_path: Path):
    tracker = cabled()
    pid, fd = pty.fork()
    if pid == 0:
        environment = {**os.environ, "XDG_DATA_HOME": str(tmp_path), "TERM": "vt100"}
        arguments = [
            sys.executable,
            "-m",
            "coldtrail_boards",
            "console",
            "--port",
            str(tracker.link),
        ]
        os.execve(sys.executable, arguments, environment)

    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    heard = b""

    def until(text: bytes) -> None:
        nonlocal heard
        while text not in (plain := re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", heard)):
            heard += os.read(fd, 4096)
        heard = plain.partition(text)[2]

    until(b">")
    os.write(fd, b"verz\x7fs")
    until(b"vers")
    os.write(fd, b"\t")
    until(b"ion")
    os.write(fd, b"\r")
    until(b"esp32_bg95")
    os.write(fd, b"\x1b[A\r")  # the line before
    until(b"esp32_bg95")
    os.write(fd, b"shipment stop\r")
    # On a busy machine the screen has what the tracker says in pieces, and a prompt between them.
    tracker.until(lambda: "code: " in tracker.console.text)
    os.write(fd, CODE.encode() + b"\r")
    tracker.until(lambda: "stopped last" in tracker.console.text)
    # Without a prompt the terminal itself would take the end of input.
    tracker.until(lambda: not termios.tcgetattr(fd)[3] & termios.ICANON)
    os.write(fd, b"\x04")
    assert os.waitpid(pid, 0)[1] == 0
    os.close(fd)
    kept = (tmp_path / "coldtrail" / "console_history").read_text()
    assert "shipment stop" in kept
    assert CODE not in kept


def test_a_tracker_that_resets_while_one_types(cabled):
    tracker = cabled()
    with tracker.terminal() as port:
        port.write(b"shipment st")
        port.read_until(b"shipment st")
        tracker.do(lambda: tracker.power_cut(100_000))
        port.read_until(b"type help")
        port.write(b"op\rversion\r")
        said = port.read_until(b"chip").decode()
        assert "there is no command 'op'" in said
    assert tracker.records(11) == []
    # The same in the middle of a command of the program's.
    run = subprocess.Popen(
        [sys.executable, "-m", "coldtrail_boards", "console", "--port", str(tracker.link)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    since = len(tracker.console.text)
    assert run.stdin
    run.stdin.write("repl\nversion\n")
    run.stdin.close()
    run.stdin = None
    tracker.until(lambda: "code: " in tracker.console.text[since:])
    tracker.do(lambda: tracker.power_cut(100_000))
    said, _ = run.communicate()
    assert run.returncode == 1
    assert "the tracker has started anew" in said or "wrong code" in said


def test_a_terminal_that_never_reads_delays_no_sample(cabled):
    cells, _ = travelled.log(provisioned(code=CODE, service=1), PROFILE, 60, 48)
    tracker = cabled(bytes(cells), speed=60)
    with tracker.terminal() as port:
        for _ in range(3):
            port.write(b"log tail 1000\rlog export\r")
            began = tracker.clock.now_us
            tracker.until(lambda began=began: tracker.clock.now_us > began + 50_000_000)
    records = tracker.records(1, 3)
    boot = max(n for n, fields in enumerate(records) if fields[0] == 3)
    samples = [fields[1] for fields in records[boot + 1 :]]
    assert samples == list(range(samples[0], samples[0] + 60 * len(samples), 60))
    assert len(samples) >= 3
    assert len(tracker.notes("boot")) == 1


# --- export --------------------------------------------------------------------------------


def test_an_export_goes_on_after_the_cable_was_pulled(cabled, database: str, tmp_path: Path):
    cells, blocks = travelled.log(provisioned(code=CODE, service=1), PROFILE, 300, 12)
    tracker = cabled(bytes(cells), speed=5)
    target, errors = tmp_path / "shipment.csv", tmp_path / "errors"
    with errors.open("w") as stderr:
        run = subprocess.Popen(
            [sys.executable, "-m", "coldtrail_boards", "console", "--port", str(tracker.link),
             "--export", str(target), "--db", database],
            stdout=subprocess.PIPE, stderr=stderr, text=True,
        )  # fmt: skip
    part = target.with_suffix(".blocks")
    for times, share in enumerate((0.2, 0.5), start=1):
        size = sum(map(len, blocks)) * share
        tracker.until(lambda size=size: part.exists() and part.stat().st_size > size, "a part")
        tracker.do(tracker.unplug)
        missed = lambda times=times: errors.read_text().count("The cable is out") == times  # noqa: E731
        tracker.until(missed, "word of the cable")
        assert run.poll() is None
        tracker.do(tracker.plug)
    said, _ = run.communicate()
    assert run.returncode == 0, (said, errors.read_text())
    assert said.splitlines()[-1] == "verified"
    with target.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len([row for row in rows if row["boot"] == "1"]) == 12 * 300
    assert {row["verified"] for row in rows} == {"yes"}
    # Nothing came twice: what was on the disk was not asked for again.
    sent = tracker.console.raw(0)
    assert len(sent) < 1.5 * sum(map(len, blocks))
    # Run again, it brings what is new and no more.
    before = tracker.console.printed
    again = coldtrail(
        "console", "--port", str(tracker.link), "--export", str(target), "--db", database
    )
    assert again.returncode == 0, again.stderr
    fresh = [f for f in frames([tracker.console.raw(before)]) if f.kind == "b"]
    assert len(fresh) <= 2


def test_an_export_without_a_key_says_so(cabled, tmp_path: Path):
    tracker = cabled()
    target = tmp_path / "shipment.csv"
    arguments = ("console", "--port", str(tracker.link), "--export", str(target))
    done = coldtrail(*arguments, "--db", str(tmp_path / "none.db"))
    assert done.returncode == 1
    assert "no key to verify with" in done.stderr
    assert done.stdout.splitlines()[-1] == "NOT verified"
    with target.open(encoding="utf-8") as file:
        assert {row["verified"] for row in csv.DictReader(file)} == {"unverified"}
    # The file of another tracker is left as it is.
    part = target.with_suffix(".blocks")
    part.write_bytes(b"\x01")
    refused = coldtrail(*arguments)
    assert refused.returncode == 2
    assert "no read-out" in refused.stderr
    assert part.read_bytes() == b"\x01"


# --- what cannot be ------------------------------------------------------------------------


def _sentence(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 2, done
    assert done.stdout == ""
    line: str = done.stderr.strip()
    assert len(line.splitlines()) == 1
    assert line.startswith("Error: ")
    return line


def test_a_port_that_is_absent_busy_or_none(tmp_path: Path):
    absent = coldtrail("console", "--port", str(tmp_path / "ttyUSB7"))
    assert "There is no port" in _sentence(absent)
    ours, theirs = os.openpty()
    name = os.ttyname(theirs)
    with serial.Serial(name, exclusive=True):
        assert "in use by another program" in _sentence(coldtrail("console", "--port", name))
    (tmp_path / "file").write_text("no port")
    none = coldtrail("console", "--port", str(tmp_path / "file"))
    assert "cannot be used" in _sentence(none)
    os.close(ours)
    os.close(theirs)


def test_nobody_at_the_other_end_and_the_wrong_speed(cabled):
    ours, theirs = os.openpty()
    silent = coldtrail("console", "--port", os.ttyname(theirs))
    assert "Nobody answers" in _sentence(silent)
    os.close(ours)
    os.close(theirs)
    tracker = cabled()
    garbled = coldtrail("console", "--port", str(tracker.link), "--baud", "9600")
    assert "noise" in _sentence(garbled)


def test_an_export_says_at_once_that_the_port_is_absent(tmp_path: Path):
    target = tmp_path / "shipment.csv"
    head = {"coldtrail": "readout/1", "tracker": NAME.tracker, "chain": "00"}
    target.with_suffix(".blocks").write_bytes(cbor2.dumps(head) + cbor2.dumps([7, b"block"]))
    done = coldtrail("console", "--port", str(tmp_path / "ttyUSB7"), "--export", str(target))
    assert "There is no port" in _sentence(done)
    assert not target.exists()
