"""Runs firmware on both interpreters."""

import pytest

from coldtrail_simulator.esp32 import interpreter
from coldtrail_simulator.services import tools
from coldtrail_simulator.shipment.simulation import Simulation
from tests.support.trackers.rig import DRIVERS, S, Still, small_board


@pytest.fixture(params=["micropython", "micropython32"])
def argv(request):
    return getattr(tools, request.param)()


@pytest.fixture
def prepared(tmp_path, argv):
    """Return a function that makes a simulation whose main.py is given, not powered yet."""
    made: list[Simulation] = []

    def prepare(main, *, board=None, world=None, files=None, **options):
        volume = tmp_path / f"volume{len(made)}"
        drivers = {f"lib/drivers/{n}": p for n, p in interpreter.package(DRIVERS).items()}
        firmware = {"lib/memory.py": DRIVERS.parent / "memory.py", **drivers}
        interpreter.install(volume, {"main.py": main, **firmware, **(files or {})})
        options = {"argv": argv, "heap_kib": 96} | options
        sim = Simulation(board or small_board(), volume, world or Still(), **options)
        made.append(sim)
        return sim

    yield prepare
    for sim in made:
        sim.close()


@pytest.fixture
def run(prepared):
    """Return a function that runs main.py for so many seconds of virtual time."""

    def run(main, seconds, **options):
        sim = prepared(main, **options)
        sim.power_on()
        sim.run(seconds * S)
        return sim

    return run
