"""Runs the firmware's uplink modules on CPython and, compiled as for a board, on MicroPython."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, Self

from coldtrail_simulator.esp32 import interpreter as process
from coldtrail_simulator.services import tools
from tests.firmware.support import uplink_commands

ROOT = Path(__file__).resolve().parents[3]
MODULES = (
    "__init__",
    "contract/__init__",
    "contract/block",
    "contract/cbor",
    "contract/confirmation",
    "contract/cose",
    "contract/mac0",
    "contract/limits",
)

INTERPRETERS = {"micropython": tools.micropython, "micropython32": tools.micropython32}
NAMES = ("cpython", *INTERPRETERS)


class Refused(ValueError):
    """The firmware raised a ValueError."""


class Interpreter(Protocol):
    """Runs the commands of ``uplink_commands``."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...

    def call(self, command: str, *arguments: Any) -> Any:
        """Run a command."""


class CPython:
    """Runs the commands in this process."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def call(self, command: str, *arguments: Any) -> Any:
        """Run a command.

        Raises:
            Refused: the firmware raised a ValueError.
        """
        answer = uplink_commands.pack(uplink_commands.run(command, arguments))
        return _result(uplink_commands.unpack(answer))


class MicroPython:
    """Runs the commands in a MicroPython process; a context manager."""

    def __init__(self, name: str, interpreter: Sequence[str], heap: str | None = None) -> None:
        self.name = name
        self._volume = tempfile.TemporaryDirectory()
        install(Path(self._volume.name), "uplink_commands.py")
        options = ["-X", f"heapsize={heap}"] if heap else []
        self._process = subprocess.Popen(
            [*interpreter, *options, "-c", "import uplink_commands"],
            env={"MICROPYPATH": self._volume.name},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.communicate()
        self._volume.cleanup()

    def call(self, command: str, *arguments: Any) -> Any:
        """Run a command.

        Raises:
            Refused: the firmware raised a ValueError.
            RuntimeError: the interpreter ended.
        """
        assert self._process.stdin
        assert self._process.stdout
        request = json.dumps([command, uplink_commands.pack(arguments)])
        self._process.stdin.write(request + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line.startswith("["):
            rest = self._process.stdout.read()
            raise RuntimeError(f"{self.name}: {command} ended with {line}{rest}")
        return _result(uplink_commands.unpack(json.loads(line)))


def install(volume: Path, program: str) -> None:
    """Write the compiled modules and a program of ``tests/firmware/support`` to a volume."""
    firmware = ROOT / "firmware" / "coldtrail"
    files: dict[str, Path | str] = {
        f"coldtrail/{name}.py": firmware / f"{name}.py" for name in MODULES
    }
    files[program] = ROOT / "tests" / "firmware" / "support" / program
    process.install(volume, files)


def start(name: str) -> Interpreter:
    """Return one of ``NAMES``, a context manager."""
    if name == "cpython":
        return CPython()
    return MicroPython(name, INTERPRETERS[name]())


def _result(answer: Any) -> Any:
    verdict, value = answer
    if verdict != "ok":
        raise Refused(value)
    return value
