"""Finds the programs that are not Python packages: two MicroPython interpreters and mosquitto.

Each is taken from its environment variable, else from ``PATH``, else from Debian.

Every function returns an argv prefix. The first call may take seconds; later calls use a cache,
because the simulator starts the interpreter hundreds of times in a run.
"""

from __future__ import annotations

import functools
import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from coldtrail_simulator.services import debian
from coldtrail_simulator.services.process import ToolError, run

__all__ = [
    "InterpreterFacts",
    "ToolError",
    "UnsupportedMachineError",
    "main",
    "micropython",
    "micropython32",
    "mosquitto",
    "probe",
]

MIN_MICROPYTHON = (1, 24)
SMALL_INT_MAXSIZE = 2**31 - 1
RUN_TIMEOUT_S = 20

VERSION_PROBE = (
    "import sys; i = sys.implementation; print(i[0], sys.maxsize, *i[1][:3], sep='\\n')"
)


class UnsupportedMachineError(ToolError):
    """The tool does not exist for this kind of machine."""


@dataclass(frozen=True)
class InterpreterFacts:
    """The properties that a MicroPython reports."""

    version: tuple[int, ...]
    maxsize: int


def micropython() -> list[str]:
    """Return the argv prefix of a MicroPython with this machine's word size.

    Raises:
        ToolError: it was not found and could not be fetched.
    """
    return list(_micropython(_variable("MICROPYTHON"), _path()))


def micropython32() -> list[str]:
    """Return the argv prefix of the 32-bit reference MicroPython (31-bit small integers).

    Raises:
        ToolError: it was not found and could not be fetched, or this machine cannot run it.
    """
    return list(_micropython32(_variable("MICROPYTHON32"), _path()))


def mosquitto() -> list[str]:
    """Return the argv prefix of the mosquitto broker.

    Raises:
        ToolError: it was not found and could not be fetched.
    """
    # Debian installs it in a folder that is not in the PATH of ordinary users.
    path = os.pathsep.join([_path(), "/usr/sbin", "/usr/local/sbin"])
    return list(_mosquitto(_variable("MOSQUITTO"), path))


def _variable(name: str) -> str:
    return os.environ.get(name, "").strip()


def _path() -> str:
    return os.environ.get("PATH", os.defpath)


# Each result is cached under the values that it was found with.


@functools.cache
def _micropython(named: str, path: str) -> tuple[str, ...]:
    if named:
        argv = _named(named, "MICROPYTHON")
        _checked(argv, "MICROPYTHON")
        return argv
    found = shutil.which("micropython", path=path)
    if found and _is_new_enough((found,)):
        return (found,)
    return _fetched("micropython", debian.architecture())


@functools.cache
def _micropython32(named: str, _path: str) -> tuple[str, ...]:
    if named:
        argv = _named(named, "MICROPYTHON32")
        if _checked(argv, "MICROPYTHON32").maxsize != SMALL_INT_MAXSIZE:
            raise ToolError("MICROPYTHON32 names an interpreter that is not 32-bit.")
        return argv
    if debian.architecture() not in {"amd64", "i386"}:
        raise UnsupportedMachineError(
            "The 32-bit reference interpreter is fetched for x86 machines only: "
            "set MICROPYTHON32 to a 32-bit MicroPython 1.24 or newer."
        )
    return _fetched("micropython", "i386")


@functools.cache
def _mosquitto(named: str, path: str) -> tuple[str, ...]:
    if named:
        return _named(named, "MOSQUITTO")
    found = shutil.which("mosquitto", path=path)
    return (found,) if found else _fetched("mosquitto", debian.architecture())


def _fetched(package: str, arch: str) -> tuple[str, ...]:
    try:
        return debian.fetched(package, arch, FETCHED[package])
    except ToolError as error:
        raise ToolError(_what_to_do(package, arch, str(error))) from error


def _what_to_do(package: str, arch: str, reason: str) -> str:
    variable = package.upper()
    if package == "micropython" and arch != debian.architecture():
        remedy = f"set {variable}32 to a 32-bit MicroPython 1.24 or newer"
    elif package == "micropython":
        remedy = f"install MicroPython 1.24 or newer, or set {variable} to it"
    else:
        remedy = f"install {package}, or set {variable} to it"
    source = f"Debian {debian.RELEASE}"
    return f"{package} ({arch}) could not be fetched from {source}: {reason}; {remedy}."


def probe(argv: Sequence[str]) -> InterpreterFacts:
    """Run an interpreter and return its properties.

    Raises:
        ToolError: it does not run, or is not MicroPython.
    """
    answer = run([*argv, "-c", VERSION_PROBE], timeout=RUN_TIMEOUT_S).split()
    if answer[:1] != ["micropython"]:
        raise ToolError(f"{shlex.join(argv)} is not MicroPython.")
    maxsize, *version = (int(word) for word in answer[1:])
    return InterpreterFacts(tuple(version), maxsize)


def _named(value: str, variable: str) -> tuple[str, ...]:
    argv = (value,) if Path(value).exists() else tuple(shlex.split(value))
    if not shutil.which(argv[0]):
        raise ToolError(
            f"{variable} names {argv[0]}, which is not a program: correct or unset it."
        )
    return argv


def _checked(argv: Sequence[str], variable: str) -> InterpreterFacts:
    try:
        found = probe(argv)
    except ToolError as error:
        raise ToolError(f"{variable} cannot be used: {error}") from error
    if found.version < MIN_MICROPYTHON:
        raise ToolError(
            f"{variable} names MicroPython {_dotted(found.version)}; "
            f"{_dotted(MIN_MICROPYTHON)} or newer is needed."
        )
    return found


def _is_new_enough(argv: Sequence[str]) -> bool:
    try:
        return probe(argv).version >= MIN_MICROPYTHON
    except ToolError:
        return False


def _dotted(version: Sequence[int]) -> str:
    return ".".join(str(number) for number in version)


def _mosquitto_version(argv: Sequence[str]) -> str:
    # With -h mosquitto exits with an error code.
    first = run([*argv, "-h"], timeout=RUN_TIMEOUT_S, any_exit=True).partition("\n")[0]
    if not first.startswith("mosquitto version "):
        raise ToolError(f"{shlex.join(argv)} is not mosquitto")
    return first.removeprefix("mosquitto version ")


def _micropython_version(argv: Sequence[str]) -> str:
    return _dotted(probe(argv).version)


def _check_version(argv: Sequence[str]) -> None:
    if probe(argv).version < MIN_MICROPYTHON:
        raise ToolError("its version is too old")


FETCHED = {"micropython": _check_version, "mosquitto": _mosquitto_version}
FINDERS = {
    "micropython": (micropython, _micropython_version),
    "micropython32": (micropython32, _micropython_version),
    "mosquitto": (mosquitto, _mosquitto_version),
}


def main(names: Sequence[str]) -> int:
    """Find or fetch the named tools, or all of them; return the exit code."""
    unknown = [name for name in names if name not in FINDERS]
    if unknown:
        print(f"Unknown tool {unknown[0]}: choose from {', '.join(FINDERS)}.", file=sys.stderr)
        return 2
    code = 0
    for name in names or FINDERS:
        find, version = FINDERS[name]
        try:
            argv = find()
            print(f"{name:14} {version(argv):8} {argv[-1]}", flush=True)
        except ToolError as error:
            print(error, file=sys.stderr)
            # A tool that this machine cannot run is an error only if it was requested by name.
            if names or not isinstance(error, UnsupportedMachineError):
                code = 1
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
