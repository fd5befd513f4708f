"""Child processes: programs that run to their end, or beside the simulation."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["Process", "ServiceError", "ToolError", "free_port", "run"]

CORES = os.sched_getaffinity(0)
STOP_LIMIT_S = 60.0  # only for a hang: a busy host takes seconds


class ToolError(RuntimeError):
    """A program is missing, cannot be run or fails; the message is one sentence."""


class ServiceError(RuntimeError):
    """A service is not available; the message is one sentence with a solution."""


def run(
    argv: Sequence[str | Path],
    *,
    timeout: float,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    any_exit: bool = False,
    pass_fds: Sequence[int] = (),
) -> str:
    """Run a program to its end and return its standard output.

    Raises:
        ToolError: it cannot be run, takes longer than ``timeout`` seconds, or (unless
            ``any_exit``) ends with an error.
    """
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            env=env,
            cwd=cwd,
            check=False,
            pass_fds=pass_fds,
        )
    except subprocess.TimeoutExpired:
        raise ToolError(f"{argv[0]} gave no result in {timeout:.0f} s") from None
    except OSError as error:
        raise ToolError(f"{argv[0]} could not be run ({error.strerror})") from error
    if done.returncode != 0 and not any_exit:
        said = (done.stderr or done.stdout).strip().splitlines() or [f"exit {done.returncode}"]
        reason = next((line for line in said if line.startswith("E: ")), said[-1])
        raise ToolError(f"{Path(argv[0]).name}: {reason.removeprefix('E: ')}")
    return done.stdout


class Process:
    """A child process with its output in a log file."""

    def __init__(self, name: str, argv: list[str], log: Path) -> None:
        self.name = name
        self.log = log
        with log.open("ab") as output:
            self._begin = output.tell()
            self._child = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )
        # A running simulation uses one core; its child processes may use all.
        os.sched_setaffinity(self._child.pid, CORES)

    @property
    def running(self) -> bool:
        return self._child.poll() is None

    def output(self) -> str:
        """Return the output of this process, without that of an earlier one."""
        return self.log.read_bytes()[self._begin :].decode(errors="replace").strip()

    def last_words(self) -> str:
        """Return the last line of its output."""
        return self.output().rpartition("\n")[2].strip() or "nothing"

    def stop(self) -> None:
        """Ask the process to end; kill it if it does not."""
        self._child.terminate()
        try:
            self._child.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End the process with SIGKILL."""
        self._child.send_signal(signal.SIGKILL)
        self._child.wait()


def free_port() -> int:
    """Return a loopback TCP port that is free at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
