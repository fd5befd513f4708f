"""What is at the other end of a cable may say anything: it is text on the operator's terminal."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cbor2
import pytest

from coldtrail_boards.logdump import Record, describe
from coldtrail_boards.printable import lines, printable

EOT, NAK = b"\x04", b"\x15"
HOSTILE = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202egpj.exe\rforged"
SHOWN = r"\u001b[2J\u001b]0;owned\u0007\u009b31m\u202egpj.exeforged"


@contextmanager
def tracker(answer: bytes) -> Iterator[str]:
    """Yield a port whose other end greets as a tracker does and answers every line alike."""
    ours, theirs = pty.openpty()
    tty.setraw(theirs)

    def speak() -> None:
        while True:
            try:
                heard = os.read(ours, 1000)
            except OSError:
                return
            for line in heard.split(b"\r")[:-1]:
                command = line.lstrip(b"\x01\x02\x03")
                os.write(ours, (answer if command else b"") + EOT)

    thread = threading.Thread(target=speak)
    thread.start()
    try:
        yield os.ttyname(theirs)
    finally:
        os.close(theirs)
        thread.join()
        os.close(ours)


def coldtrail(*arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "coldtrail_boards", *arguments],
        input=typed, capture_output=True, text=True, check=False,
    )  # fmt: skip


def is_plain(text: str) -> bool:
    return all(character.isprintable() or character == "\n" for character in text)


def test_a_console_prints_what_it_hears_as_text() -> None:
    with tracker(f"{HOSTILE}\r\nnext\r\n".encode()) as port:
        done = coldtrail("console", "--port", port, typed="status\n")
    assert done.stdout == f"{SHOWN}\nnext\n"


def test_a_self_test_prints_what_it_hears_as_text() -> None:
    check = {"check": HOSTILE, "ok": False, "value": "a\nok", "unit": "", "limit": "\x1b[2J"}
    answer = f"{json.dumps(check)}\r\n{json.dumps({'failed_checks': 1})}\r\n"
    with tracker(answer.encode()) as port:
        done = coldtrail("selftest", "--port", port)
    assert done.returncode == 1
    assert is_plain(done.stdout + done.stderr)
    assert r"a\nok (\u001b[2J)" in done.stdout
    lines = done.stdout.splitlines()
    # The two answers that are the same are a line each, and the summary names both.
    assert len(lines) == 3
    assert not [line for line in lines if line.startswith(("ok", "forged"))]


def test_a_refusal_is_quoted_as_text(tmp_path: Path) -> None:
    with tracker(b"error: \x1b[2J no\r\n" + NAK) as port:
        done = coldtrail("console", "--port", port, "--export", str(tmp_path / "log.csv"))
    assert done.returncode == 2
    assert is_plain(done.stderr)
    assert r"The tracker refuses: \u001b[2J no." in done.stderr


@pytest.mark.parametrize("value", [HOSTILE, ["x", HOSTILE], {1: "a\nb"}])
def test_a_record_of_the_log_is_one_plain_line(value: object) -> None:
    line = describe(Record(1, 7, cbor2.dumps(value)))
    assert line.isprintable()


def test_what_it_looks_like() -> None:
    assert printable("a\nb é ☃ \ud800") == r"a\nb é ☃ \ud800"
    assert lines("a\r\nb") == "a\\r\nb"
