"""Programs that are run as child processes."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["ToolError", "run"]


class ToolError(RuntimeError):
    """A program is not here, cannot be run or fails; the message is one sentence."""


def run(
    argv: Sequence[str | Path],
    *,
    timeout: float,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    any_exit: bool = False,
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
