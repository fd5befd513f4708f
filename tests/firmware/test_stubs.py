"""`make lint` refuses what the ESP32's MicroPython does not have.

The stubs know modules, functions and parts; methods of the built-in types (`str.removeprefix`)
pass here and are met by the tests that run the firmware on a real MicroPython.
"""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

GOOD = """
import asyncio
import binascii
import hashlib
import select
import struct
import sys
import time

import esp32
import machine
from micropython import const

_ADDRESS = const(0x44)


class Part:
    def __init__(self, i2c):
        self._i2c = i2c
        self._slots: list = [None] * 4

    def read(self, buffer):
        self._i2c.readfrom_into(_ADDRESS, buffer)
        self._slots[0] = buffer
        return hashlib.sha256(buffer).digest(), binascii.crc32(buffer)


async def run():
    part = Part(machine.I2C(0, scl=machine.Pin(22), sda=machine.Pin(21), freq=400_000))
    watchdog = machine.WDT(timeout=8000)
    poll = select.poll()
    poll.register(sys.stdin, select.POLLIN)
    start = time.ticks_ms()
    while time.ticks_diff(time.ticks_ms(), start) < 1000:
        watchdog.feed()
        part.read(bytearray(6))
        await asyncio.sleep_ms(10)
    esp32.wake_on_ext0(machine.Pin(4), esp32.WAKEUP_ANY_HIGH)
    machine.RTC().memory(struct.pack("<I", 1))
    machine.deepsleep(60_000)
"""


def check(tmp_path: Path, source: str) -> subprocess.CompletedProcess[str]:
    sample = tmp_path / "sample.py"
    sample.write_text(source)
    options = ["--config-file", "firmware/mypy.ini", "--cache-dir", str(tmp_path / "cache")]
    return subprocess.run(
        [sys.executable, "-m", "mypy", *options, str(sample)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_the_esp32_has_passes(tmp_path):
    done = check(tmp_path, GOOD)
    assert done.returncode == 0, done.stdout + done.stderr


# One run for all of them: mypy takes longer to start than to check.
BAD = [
    "import time; time.perf_counter()",
    "import time; time.monotonic()",
    "import machine; machine.Foo()",
    "import machine; machine.Pin(2).flap()",
    "import machine; machine.I2C(0).read_into(3, bytearray(2))",
    "import esp32; esp32.wake_on_ext2()",
    "import hashlib; hashlib.sha512(b'')",
    "import os; os.environ",
    "import os; os.path.join('a')",
    "import asyncio; asyncio.TaskGroup()",
    "import hmac",
    "import dataclasses",
    "import functools",
    "import pathlib",
    "import subprocess",
    "import logging",
    "import contextlib",
    "import datetime",
]


@pytest.fixture(scope="module")
def refused(tmp_path_factory) -> set[int]:
    """The lines of BAD in which mypy sees an error."""
    functions = "".join(f"def f{number}(): {line}\n" for number, line in enumerate(BAD))
    done = check(tmp_path_factory.mktemp("bad"), functions)
    assert done.returncode == 1, done.stdout + done.stderr
    errors = [line for line in done.stdout.splitlines() if ": error: " in line]
    return {int(line.split(":")[1]) - 1 for line in errors}


@pytest.mark.parametrize("number", range(len(BAD)), ids=BAD)
def test_what_the_esp32_lacks_is_an_error(refused, number):
    assert number in refused
