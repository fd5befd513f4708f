"""A shipment in progress: a tracker with its modem, and the real broker and gateway.

The caller advances virtual time, and may trigger events and inspect the tracker in between.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

from coldtrail_simulator.board.wiring import Bench, Factory
from coldtrail_simulator.clock import Clock
from coldtrail_simulator.models.bg95.gnss import Fix
from coldtrail_simulator.models.bg95.modem import BG95
from coldtrail_simulator.models.bg95.radio import Cell
from coldtrail_simulator.network.contract import CONFIRMATION, topic
from coldtrail_simulator.network.network import Network
from coldtrail_simulator.services.services import Services
from coldtrail_simulator.shipment.actions import Actions
from coldtrail_simulator.shipment.gateway_user import GatewayUser
from coldtrail_simulator.shipment.identity import Identity
from coldtrail_simulator.shipment.packing import BROKER_NAME, command
from coldtrail_simulator.shipment.tracker import Tracker
from coldtrail_simulator.world.world import World

T = TypeVar("T", bound=Tracker)


class Session(Generic[T]):
    """A shipment in progress, from the start to the end of the ``with`` block.

    Args:
        world: the world of the journey.
        identity: the identity of the tracker.
        registration: the registration file for the gateway.
        fit: creates the tracker, with the given factories for parts that reach beyond it.
        out: folder for the files of broker, gateway and database.
        broker_url: a running broker; otherwise one is started.
        authority: the certificates if the tracker uses TLS.

    Raises:
        ShipmentError, BoardFileError, ServiceError, ToolError: it cannot be set up.
    """

    def __init__(
        self,
        world: World,
        identity: Identity,
        registration: Path,
        fit: Callable[[Mapping[str, Factory]], T],
        out: Path,
        *,
        broker_url: str | None = None,
        authority: Path | None = None,
    ) -> None:
        self.world = world
        self.identity = identity
        self._fit = fit
        self._authority = authority
        self._stack = ExitStack()
        self._links: list[Network] = []
        self.database = out / "gateway.db"
        command("gateway", "register", str(registration), "--db", str(self.database))
        start_ms = round(world.scenario.scenario.start.timestamp() * 1000)
        self.moment = Moment(start_ms)
        self._out = out
        self.services = Services(
            out, self.moment.utc_ms, str(self.database), broker_url, authority=authority
        )

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self.services)
            self.services.start_broker()
            self.services.start_gateway()
            stack.callback(self._hang_up)
            self.simulation = stack.enter_context(self._fit({"BG95-M3": self._modem}))
            self.moment.clock = self.simulation.clock
            gateway_user = GatewayUser(
                self.identity.tracker, self.services, self._out, str(self.database), command
            )
            self.actions = Actions(self.simulation, self.services, self.network, gateway_user)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def network(self) -> Network:
        """The network between the modem and the broker."""
        return self._links[0]

    def confirmation(self) -> bytes:
        """Return the gateway's newest confirmation, a COSE_Mac0; b"" without one."""
        return self.services.watch.payload(topic(self.identity.tracker, CONFIRMATION))

    def _hang_up(self) -> None:
        for network in self._links:
            network.close()

    def _modem(self, bench: Bench, name: str, entry: Mapping[str, Any]) -> BG95:
        del entry
        addresses = {BROKER_NAME: self.services.tracker_address}
        self._links.append(
            Network(bench.clock, bench.rng("network"), bench.journal, addresses, self.services)
        )
        return BG95(
            bench.clock,
            bench.rng(name),
            bench.journal,
            Cells(self.world),
            self.network,
            self.moment.utc_ms,
            sky=partial(satellites, self.world),
        )


class Cells:
    """The coverage of the world's legs, for the modem model."""

    TECHNOLOGIES: ClassVar = {"LTE-M": "CAT-M1", "NB-IoT": "CAT-NB1", "GSM": "GSM"}

    def __init__(self, world: World) -> None:
        self._world = world

    def coverage(self, t_s: float) -> Cell | None:
        """Return the cell in reach, or None."""
        leg = self._world.leg(t_s)
        if leg.coverage == "none":
            return None
        rsrp = leg.signal_dbm
        # The carrier has 50 resource elements in one symbol (10 MHz), which is 28 dB more than one
        # element.
        return Cell(self.TECHNOLOGIES[leg.coverage], rsrp=rsrp, rssi=rsrp + 28)


def satellites(world: World, t_s: float) -> Fix | None:
    """Return the position from satellites, or None without reception."""
    return Fix(*world.position(t_s)) if world.leg(t_s).satellites else None


class Moment:
    """The virtual UTC. It may be read before the run, and from other threads."""

    def __init__(self, start_ms: int) -> None:
        self._start_ms = start_ms
        self.clock: Clock | None = None

    def utc_ms(self) -> int:
        """Return milliseconds since 1970."""
        return self._start_ms + (self.clock.now_us // 1000 if self.clock else 0)
