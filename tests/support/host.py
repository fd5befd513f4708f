"""What a test may ask of the machine it runs on: to wait for something, and to be busy.

How long something takes says how busy the machine is, not what is wrong. So no test sets a limit
of its own to what the host does: it waits here, and only what hangs for many minutes fails.
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
"""After so long something hangs. A guard, never a measure: nothing here takes a tenth of it."""

POLL_S = 0.01

BURN = "import os\nparent = os.getppid()\nwhile os.getppid() == parent: pass"


def until(condition: Callable[[], object], what: object = "it") -> None:
    """Wait in real time until a condition holds; ``what`` may be a function that says more.

    Raises:
        AssertionError: it does not hold after ``PATIENCE_S``.
    """
    end = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > end:
            said = what() if callable(what) else what
            raise AssertionError(f"{said} has not happened for {PATIENCE_S:.0f} s")
        time.sleep(POLL_S)


@contextlib.contextmanager
def full_load() -> Iterator[None]:
    """Keep every core busy twice over, from the beginning to the end.

    Raises:
        AssertionError: a load has ended meanwhile, or burns no more.
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
    """Wait until each has used the processor once more."""
    used = [_cpu_s(burner) for burner in burners]
    until(lambda: all(map(operator.gt, map(_cpu_s, burners), used)), "more of the load")


def _cpu_s(burner: subprocess.Popen[bytes]) -> float:
    assert burner.poll() is None, "the load has ended"
    return float(psutil.Process(burner.pid).cpu_times().user)
