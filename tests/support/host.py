"""Waiting for a condition, and full load, independent of the speed of the machine.

How long something takes depends on the load of the machine and does not indicate a fault. A test
therefore sets no time limits of its own: it waits here, and fails only after many minutes.
"""

from __future__ import annotations

import contextlib
import operator
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import psutil

PATIENCE_S = 900.0
"""Seconds after which a wait counts as a hang; every wait here takes less than a tenth of it."""

POLL_S = 0.01

BURN = "import os\nparent = os.getppid()\nwhile os.getppid() == parent: pass"


def until(condition: Callable[[], object], what: object = "it") -> None:
    """Wait in real time until a condition holds; ``what`` is text or a function that returns text.

    Raises:
        AssertionError: the condition does not hold after ``PATIENCE_S``.
    """
    end = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > end:
            said = what() if callable(what) else what
            raise AssertionError(f"{said} has not happened for {PATIENCE_S:.0f} s")
        time.sleep(POLL_S)


@contextlib.contextmanager
def full_load() -> Iterator[None]:
    """Keep every core busy with two processes during the ``with`` block.

    Raises:
        AssertionError: a load process has ended or uses no more CPU time.
    """
    burners = [
        subprocess.Popen([sys.executable, "-c", BURN]) for _ in range(2 * (os.cpu_count() or 1))
    ]
    try:
        _see_burn(burners)
        yield
        _see_burn(burners)
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()


def _see_burn(burners: list[subprocess.Popen[bytes]]) -> None:
    """Wait until each process has used more CPU time."""
    used = [_cpu_s(burner) for burner in burners]
    until(lambda: all(map(operator.gt, map(_cpu_s, burners), used)), "more of the load")


def _cpu_s(burner: subprocess.Popen[bytes]) -> float:
    assert burner.poll() is None, "the load has ended"
    return float(psutil.Process(burner.pid).cpu_times().user)
