"""One shipment from end to end: a scenario, a tracker, the real broker and gateway around it.

Everything it leaves lies in one folder: the tracker's volume, the journal, the console, the
gateway's database and logs. The gateway is used as anybody would use it, by its commands.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import cbor2

from . import board as boards
from . import identity as identities
from .actions import Actions
from .endurance import Endurance, contents, loads, supply
from .identity import Identity
from .kernel import US_PER_S, Clock
from .models.bg95.gnss import Fix
from .models.bg95.modem import BG95
from .models.bg95.radio import Cell
from .network import Network
from .operator import Operator
from .process import ROOT, install, package
from .scenario import Cable, Scenario
from .services import Services
from .simulation import Simulation
from .wiring import Bench
from .world import World

TLS, FLIGHTS = 9, 10
"""Key of the identity's file."""
CERTIFICATES = ("ca.pem", "client.pem", "client.key")
COMMAND_LIMIT_S = 60
BROKER_NAME = "broker.example"
PORTS = (1883, 8883)
"""Of a broker without and with TLS, as the tracker has them."""
STEP_S = 900
"""Virtual seconds between two looks at the progress."""

Progress = Callable[[float], None]
"""Told the virtual hours that have passed."""


class ShipmentError(RuntimeError):
    """The shipment cannot be run; one sentence that says what to do."""


@dataclass
class Shipment:
    """What a run leaves behind."""

    scenario: Scenario
    world: World
    identity: Identity
    out: Path
    notes: list[dict[str, Any]] = field(default_factory=list)
    traffic: dict[str, int] = field(default_factory=dict)
    confirmation: bytes = b""
    """The gateway's last word to the tracker, a COSE_Mac0."""
    wall_s: float = 0.0
    energy: Endurance | None = None

    @property
    def database(self) -> Path:
        """The gateway's database."""
        return self.out / "gateway.db"

    def confirms(self, block: int) -> bool:
        """Return whether the gateway's last word to the tracker confirms a block."""
        if not self.confirmation:
            return False
        document = cbor2.loads(cbor2.loads(self.confirmation).value[2])
        watermark: int = document[2]
        return block <= watermark or any(first <= block <= last for first, last in document[4])

    def of(self, kind: str) -> list[dict[str, Any]]:
        """Return the journal's notes of one kind."""
        return [note for note in self.notes if note["kind"] == kind]


@dataclass(frozen=True)
class Flashed:
    """A tracker from the packing line: it boots an image of its chip's flash."""

    image: Path
    identity: Identity
    registration: Path
    """The file for its gateway."""


def command(*arguments: str) -> str:
    """Run the ``coldtrail`` command and return what it prints.

    Raises:
        ShipmentError: it fails; the message is the command's own.
    """
    done = subprocess.run(
        [sys.executable, "-m", "boards", *arguments],
        capture_output=True,
        text=True,
        timeout=COMMAND_LIMIT_S,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise ShipmentError(f"coldtrail {' '.join(arguments[:2])}: {said}")
    return done.stdout


def certify(folder: Path, tracker: str, start: datetime) -> None:
    """Make an authority with certificates for a broker and a tracker, valid as a scenario starts.

    Raises:
        ShipmentError: it cannot be made.
    """
    # A real broker judges the tracker's by the host's clock.
    since = min(start, datetime.now(UTC)) - timedelta(days=1)
    options = ["--broker", BROKER_NAME, "--tracker", tracker, "--from", f"{since:%Y-%m-%d}"]
    command("provision", "ca", str(folder), *options)


def build_volume(
    volume: Path,
    board: str,
    profile: str,
    identity: Identity,
    port: int,
    authority: Path | None = None,
    flights: Sequence[Sequence[int]] = (),
) -> None:
    """Put firmware, board file, profile and identity on a tracker's file system.

    With an ``authority`` (see ``certify``) also what it needs for TLS; ``flights`` are planned.

    Raises:
        ShipmentError: there is no such profile.
    """
    install(volume, package(ROOT / "firmware"))
    install(volume, {"board.py": boards.BOARDS / board / "board.py"})
    command("profile", profile, "-o", str(volume / "profile.cbor"))
    options: dict[int, object] = {TLS: 1} if authority else {}
    if flights:
        options[FLIGHTS] = flights
    (volume / "identity.cbor").write_bytes(
        identity.device_file(BROKER_NAME, port, options=options)
    )
    if authority:
        for name in CERTIFICATES:
            shutil.copyfile(authority / name, volume / name)


def clear(out: Path) -> None:
    """Make ``out`` an empty folder; one with anything but a run's results in it is left alone.

    Raises:
        ShipmentError: it is no folder of ours.
    """
    if out.exists():
        if any(out.iterdir()) and not (out / "journal.jsonl").exists():
            raise ShipmentError(
                f"{out} holds something else than the results of a run: name another folder."
            )
        shutil.rmtree(out)
    out.mkdir(parents=True)
    # What marks the folder as a run's, also after one that was broken off.
    (out / "journal.jsonl").touch()


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
    """Run a scenario and leave its results in ``out``, which is emptied first.

    ``broker_url`` names a broker that is running; ``argv`` and ``heap_kib`` another interpreter
    and the size of its heap. ``console`` is told the pseudo-terminal that is the tracker's
    console, and given what runs behind it; the run then keeps real time, or ``speed`` times that.
    Without a cable among the scenario's events it is in from the start. ``flashed`` travels
    instead of one made for the run.

    Raises:
        ShipmentError, BoardError, ServiceError, ToolError: it cannot be run.
        RunInvalidError: it proves nothing.
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
    command("gateway", "register", str(registration), "--db", str(shipment.database))
    with ExitStack() as stack:
        start_ms = round(header.start.timestamp() * 1000)
        moment = Moment(start_ms)
        services = stack.enter_context(
            Services(out, moment.utc_ms, str(shipment.database), broker_url, authority=authority)
        )
        services.start_broker()
        services.start_gateway()
        links: list[Network] = []

        def modem(bench: Bench, name: str, entry: Mapping[str, Any]) -> BG95:
            del entry
            addresses = {BROKER_NAME: services.tracker_address}
            links.append(
                Network(bench.clock, bench.rng("network"), bench.journal, addresses, services)
            )
            stack.callback(links[0].close)
            return BG95(
                bench.clock,
                bench.rng(name),
                bench.journal,
                Cells(world),
                links[0],
                moment.utc_ms,
                sky=partial(satellites, world),
            )

        simulation = stack.enter_context(
            Simulation(
                board,
                volume,
                world,
                seed=seed,
                out=out,
                factories={"BG95-M3": modem},
                argv=argv,
                heap_kib=heap_kib,
                speed=speed,
            )
        )
        moment.clock = simulation.clock
        if console:
            _attach(simulation, world, out / "console", console)
        network = links[0]
        operator = Operator(
            shipment.identity.tracker, services, out, str(shipment.database), command
        )
        actions = Actions(simulation, services, network, operator)
        for at_s, event in world.events:
            simulation.clock.call_at(round(at_s * US_PER_S), partial(actions.do, event))
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
        shipment.traffic = network.summary()
        if services.observer:
            topic = f"coldtrail/1/{shipment.identity.tracker}/confirmation"
            shipment.confirmation = services.observer.payload(topic)
        (out / "flash.bin").write_bytes(simulation.parts["flash"].array.cells)
    shipment.wall_s = time.monotonic() - begun
    return shipment


def _attach(
    simulation: Simulation, world: World, link: Path, console: Callable[[str, Simulation], None]
) -> None:
    comes_later = any(isinstance(event, Cable) for _, event in world.events)
    name = simulation.console.attach(link.absolute(), plugged=not comes_later)
    if comes_later:
        name = "as soon as the cable is in"
    else:
        simulation.plug()
    console(f"{name} ({link})", simulation)


class Cells:
    """The coverage of the world's legs, as a modem finds it."""

    TECHNOLOGIES: ClassVar = {"LTE-M": "CAT-M1", "NB-IoT": "CAT-NB1", "GSM": "GSM"}

    def __init__(self, world: World) -> None:
        self._world = world

    def coverage(self, t_s: float) -> Cell | None:
        """Return the cell in reach, or None."""
        leg = self._world.leg(t_s)
        if leg.coverage == "none":
            return None
        rsrp = leg.signal_dbm
        # A carrier's 50 resource elements of one symbol, 10 MHz wide, over one of them: 28 dB.
        return Cell(self.TECHNOLOGIES[leg.coverage], rsrp=rsrp, rssi=rsrp + 28)


def satellites(world: World, t_s: float) -> Fix | None:
    """Return the position as satellites see it, or None where none are in view."""
    return Fix(*world.position(t_s)) if world.leg(t_s).satellites else None


class Moment:
    """The virtual UTC, which others ask before there is a run and from other threads."""

    def __init__(self, start_ms: int) -> None:
        self._start_ms = start_ms
        self.clock: Clock | None = None

    def utc_ms(self) -> int:
        """Return milliseconds since 1970."""
        return self._start_ms + (self.clock.now_us // 1000 if self.clock else 0)
