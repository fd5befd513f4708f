"""One shipment from end to end: a scenario, a tracker, the real broker and gateway.

All results are in one folder: the tracker's volume, the journal, the console's output, the
gateway's database and the logs. The gateway is used only through its commands.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import cbor2

from coldtrail_simulator.board import file as boards
from coldtrail_simulator.board.wiring import Factory
from coldtrail_simulator.clock import US_PER_S
from coldtrail_simulator.network.contract import Confirmation, Envelope
from coldtrail_simulator.shipment import identity as identities
from coldtrail_simulator.shipment.endurance import Endurance, contents, loads, supply
from coldtrail_simulator.shipment.identity import Identity
from coldtrail_simulator.shipment.packing import PORTS, Flashed, build_volume, certify, clear
from coldtrail_simulator.shipment.session import Session
from coldtrail_simulator.shipment.simulation import Simulation
from coldtrail_simulator.world.scenario import CableIn, Scenario
from coldtrail_simulator.world.world import World

STEP_S = 900
"""Virtual seconds between two progress reports."""

Progress = Callable[[float], None]
"""Called with the virtual hours that have passed."""


@dataclass
class Shipment:
    """The results of a run."""

    scenario: Scenario
    world: World
    identity: Identity
    out: Path
    notes: list[dict[str, Any]] = field(default_factory=list)
    traffic: dict[str, int] = field(default_factory=dict)
    confirmation: bytes = b""
    """The gateway's newest confirmation, a COSE_Mac0."""
    wall_s: float = 0.0
    energy: Endurance | None = None

    @property
    def database(self) -> Path:
        """The gateway's database."""
        return self.out / "gateway.db"

    def confirms(self, block: int) -> bool:
        """Return whether the gateway's newest confirmation covers a block."""
        if not self.confirmation:
            return False
        document = cbor2.loads(cbor2.loads(self.confirmation).value[Envelope.PAYLOAD])
        watermark: int = document[Confirmation.WATERMARK]
        ranges = document[Confirmation.RANGES]
        return block <= watermark or any(first <= block <= last for first, last in ranges)

    def of(self, kind: str) -> list[dict[str, Any]]:
        """Return the journal's notes of one kind."""
        return [note for note in self.notes if note["kind"] == kind]


def run(
    scenario: Scenario,
    seed: int,
    out: Path,
    *,
    broker_url: str | None = None,
    argv: Sequence[str] | None = None,
    heap_kib: int | None = None,
    progress: Progress | None = None,
    console: Callable[[str, Simulation], None] | None = None,
    speed: float = 1,
    flashed: Flashed | None = None,
) -> Shipment:
    """Run a scenario and write its results to ``out``, which is emptied first.

    ``broker_url`` is a running broker. ``argv`` and ``heap_kib`` select another interpreter and
    the size of its heap. ``console`` is called with the pseudo-terminal of the tracker's console
    and with the process behind it; the run then follows real time, multiplied by ``speed``. If the
    scenario has no cable event, the cable is connected from the start. ``flashed`` is used instead
    of a tracker made for the run.

    Raises:
        ShipmentError, BoardFileError, ServiceError, ToolError: it cannot be run.
        RunInvalidError: the run proves nothing.
    """
    begun = time.monotonic()
    header = scenario.scenario
    board = boards.named(header.board)
    world = World(scenario, seed)
    clear(out)
    identity = flashed.identity if flashed else identities.simulated(seed, header.name)
    shipment = Shipment(scenario, world, identity, out)
    authority = out / "authority" if header.tls else None
    if authority:
        certify(authority, identity.tracker, header.start)
    if flashed:
        volume, registration = flashed.image, flashed.registration
    else:
        volume, registration = out / "volume", out / "registration.json"
        port, flights = PORTS[header.tls], world.planned_flights
        build_volume(volume, header.board, header.profile, identity, port, authority, flights)
        identity.write_registration(registration)

    def fit(factories: Mapping[str, Factory]) -> Simulation:
        return Simulation(
            board,
            volume,
            world,
            seed=seed,
            out=out,
            factories=factories,
            argv=argv,
            heap_kib=heap_kib,
            speed=speed,
        )

    with Session(
        world, identity, registration, fit, out, broker_url=broker_url, authority=authority
    ) as session:
        simulation = session.simulation
        if console:
            _attach(simulation, world, out / "console", console)
        for at_s, event in world.events:
            simulation.clock.call_at(round(at_s * US_PER_S), partial(session.actions.do, event))
        simulation.power_on()
        end_us = round(scenario.duration_s * US_PER_S)
        while simulation.clock.now_us < end_us:
            simulation.run(min(end_us, simulation.clock.now_us + STEP_S * US_PER_S))
            if progress:
                progress(simulation.clock.now_us / US_PER_S / 3600)
        shipment.notes = simulation.journal.notes
        fitted = {"chip": simulation.chip, **simulation.parts}
        shipment.energy = Endurance(
            loads(fitted),
            list(fitted),
            end_us,
            supply(header.board),
            contents(shipment.notes),
        )
        shipment.traffic = session.network.summary()
        shipment.confirmation = session.confirmation()
        (out / "flash.bin").write_bytes(simulation.parts["flash"].array.cells)
    shipment.wall_s = time.monotonic() - begun
    return shipment


def _attach(
    simulation: Simulation, world: World, link: Path, console: Callable[[str, Simulation], None]
) -> None:
    comes_later = any(isinstance(event, CableIn) for _, event in world.events)
    name = simulation.console.attach(link.absolute(), plugged=not comes_later)
    if comes_later:
        name = "as soon as the cable is in"
    else:
        simulation.plug()
    console(f"{name} ({link})", simulation)
