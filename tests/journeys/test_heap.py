"""A tracker's memory: the heap on the 32-bit interpreter that holds a shipment's work."""

import contextlib
import sqlite3
from pathlib import Path

from coldtrail_simulator.services import tools
from coldtrail_simulator.shipment import shipment
from coldtrail_simulator.world import scenario
from tests.bench import heap

# What is asked for is 93.5. A stack that happens to look like pointers may cost the interpreter a
# KiB more than it did when the figure in tests/README.md was measured.
FIRMWARE_KIB = 93
HOURS = 2.2  # the call after the boot and two hourly ones


def test_a_shipment_fits_into_the_heap_beside_the_simulators_shims(tmp_path: Path) -> None:
    story = scenario.load("customs_hold")
    header = story.scenario.model_copy(update={"duration_h": HOURS})
    story = story.model_copy(update={"scenario": header})
    kib = FIRMWARE_KIB + heap.shims_bytes() // 1024
    run = shipment.run(story, 1, tmp_path / "out", argv=tools.micropython32(), heap_kib=kib)
    console = (run.out / "console.log").read_text(encoding="utf-8")
    assert "MemoryError" not in console, console
    with contextlib.closing(sqlite3.connect(run.database)) as database:
        (blocks,) = database.execute("SELECT max(number) FROM blocks").fetchone()
    assert blocks >= 3
    assert run.confirms(blocks)
    assert not [line for line in console.splitlines() if "uplink:" in line]
