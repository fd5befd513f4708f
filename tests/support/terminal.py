"""Runs a command with a terminal as its standard output."""

from __future__ import annotations

import os
import pty
import subprocess
import sys


def run(*arguments: str) -> tuple[int, str]:
    """Run ``coldtrail`` in a terminal; return its exit code and all that the terminal shows."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "coldtrail_gateway", *arguments],
        stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs,
    ) as process:  # fmt: skip
        os.close(theirs)
        shown = b""
        try:
            while piece := os.read(ours, 65536):
                shown += piece
        except OSError:
            pass  # the last writer has closed the terminal
        finally:
            os.close(ours)
        process.wait()
    return process.returncode, shown.decode("utf-8", "replace").replace("\r\n", "\n")
