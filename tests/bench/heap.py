"""The smallest heap of the 32-bit interpreter in which a scenario passes, by bisection.

    python -m tests.bench.heap [SCENARIO [HOURS]]

The story passes when its run, cut off after HOURS if they are given, ends without a MemoryError
on the console. The simulator's shims lie in the same heap; on the chip they are the port's own C
code. What they take is measured apart, and taken off.
"""

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from coldtrail_simulator.clock import RunInvalidError
from coldtrail_simulator.esp32 import interpreter
from coldtrail_simulator.services import tools
from coldtrail_simulator.shipment import shipment
from coldtrail_simulator.world import scenario

LOWEST_KIB, HIGHEST_KIB = 64, 256

SHIMS = """
import gc, sys
sys.path[:] = ["", ".frozen", {shims!r}]
gc.collect()
before = gc.mem_alloc()
import machine, esp32, time, select, os, _tasks
gc.collect()
print(gc.mem_alloc() - before)
"""


def shims_bytes() -> int:
    """Return the heap that the simulator's shims take on the 32-bit interpreter."""
    code = SHIMS.format(shims=interpreter.shims())
    here, there = socket.socketpair()

    def wire() -> None:
        for fd in (interpreter.BUS_IN_FD, interpreter.BUS_OUT_FD):
            os.dup2(there.fileno(), fd)

    with here, there:
        done = subprocess.run(
            [*tools.micropython32(), "-X", "heapsize=256k", "-c", code],
            capture_output=True,
            text=True,
            check=True,
            close_fds=False,
            preexec_fn=wire,
        )
    return int(done.stdout)


def passes(story: scenario.Scenario, kib: int) -> bool:
    """Run the story in a heap of that size; tell whether it never ran out of memory."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out")
        try:
            shipment.run(story, 1, out, argv=tools.micropython32(), heap_kib=kib)
        except RunInvalidError:
            return False  # it ran out where nothing can report it: the interpreter has ended
        return "MemoryError" not in (out / "console.log").read_text(encoding="utf-8")


def smallest_kib(story: scenario.Scenario) -> int:
    """Bisect."""
    low, high = LOWEST_KIB, HIGHEST_KIB
    if not passes(story, high):
        raise SystemExit(f"{story.name} does not pass in {high} KiB.")
    while high - low > 1:
        middle = (low + high) // 2
        passed = passes(story, middle)
        print(f"{middle} KiB: {'passes' if passed else 'runs out of memory'}", flush=True)
        low, high = (low, middle) if passed else (middle, high)
    return high


def main(arguments: list[str]) -> None:
    """Print the figures."""
    story = scenario.load(arguments[0] if arguments else "customs_hold")
    if len(arguments) > 1:
        header = story.scenario.model_copy(update={"duration_h": float(arguments[1])})
        story = story.model_copy(update={"scenario": header})
    shims = shims_bytes()
    kib = smallest_kib(story)
    print(
        f"{story.name}: smallest heap {kib} KiB, of which the simulator's shims take "
        f"{shims / 1024:.1f} KiB: {kib - shims / 1024:.1f} KiB for the firmware"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
