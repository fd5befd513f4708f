"""A modem that says nothing at all: every wait ends, and the watchdog has nothing to do."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from coldtrail_simulator.board import file as boards
from coldtrail_simulator.models.bg95.faults import Fault
from coldtrail_simulator.shipment.simulation import Simulation
from tests.support.trackers.bench import NoModem
from tests.support.trackers.rig import Still
from tests.support.trackers.sessions import BOARD, CallingTracker, site

HOURS = 6
AWAKE_S = 120
"""What a call may take with a modem that does not answer."""


@pytest.mark.parametrize("status", ["high", "low"])
def test_a_modem_that_never_says_anything(tmp_path: Path, status: str) -> None:
    with site(tmp_path) as place, CallingTracker(place) as tracker:
        simulation: Simulation = tracker
        if status == "high":  # it runs, as far as its pin tells
            tracker.break_at(1, Fault.SILENCE)
        else:
            simulation = Simulation(
                boards.named(BOARD), place.volume, Still(), factories={"BG95-M3": NoModem}
            )
        with simulation:
            simulation.power_on()
            simulation.run(HOURS * 3600 * 1_000_000)
            notes = simulation.journal.notes
    check(notes)


def check(notes: list[dict[str, Any]]) -> None:
    """Calls are repeated after 5, 10, 20, 40, then every 60 minutes; between them it sleeps."""
    causes = [note["cause"] for note in notes if note["kind"] == "boot"]
    assert causes[0] == "power-on"
    assert set(causes[1:]) == {"deep sleep"}
    awake, since = [], 0
    for note in notes:
        if note["kind"] == "boot":
            since = note["us"]
        elif note["kind"] == "deep-sleep":
            awake.append(((note["us"] - since) / 1e6, since / 1e6))
    assert max(seconds for seconds, _ in awake) < AWAKE_S
    calls = [begin for seconds, begin in awake if seconds > 10]
    gaps = [later - earlier for earlier, later in pairwise(calls)]
    assert len(calls) >= 8
    for gap, due in zip(gaps, (300, 600, 1200, 2400, 3600, 3600, 3600), strict=False):
        # From the end of one call to the next wake for a sample, every 5 minutes.
        assert due <= gap <= due + 300 + AWAKE_S
