"""Carries out the events of a scenario on the tracker and on the services."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from coldtrail_simulator.clock import US_PER_MS, US_PER_S
from coldtrail_simulator.models.bg95.modem import BG95, Power
from coldtrail_simulator.models.faults import set_fault
from coldtrail_simulator.models.w25q64 import W25Q64
from coldtrail_simulator.network.network import Network
from coldtrail_simulator.services.services import Services
from coldtrail_simulator.shipment.gateway_user import GatewayUser
from coldtrail_simulator.shipment.tracker import Tracker
from coldtrail_simulator.world.scenario import (
    BrokerDown,
    ButtonPress,
    CableIn,
    Command,
    Door,
    Drop,
    Event,
    Flight,
    GatewayDown,
    Hang,
    Intruder,
    PowerCut,
    ReIce,
    SensorFailure,
    Tilt,
)

AWAKE_US = 400 * US_PER_MS
COMMAND_US = 200 * US_PER_MS
"""Approximate time that a command takes, in microseconds."""
LOOK_US = 20 * US_PER_MS


class Actions:
    """Carries out the events of a scenario on the tracker and on the services."""

    def __init__(
        self, simulation: Tracker, services: Services, network: Network, gateway_user: GatewayUser
    ) -> None:
        self._simulation = simulation
        self._services = services
        self._gateway_user = gateway_user
        self._network = network
        self._clock = simulation.clock
        self._rng = simulation.rng("actions")

    def do(self, event: Event) -> None:
        """Carry out an event now; the world handles its own events itself."""
        self._simulation.journal.note("event", event=event.kind)
        match event:
            case PowerCut():
                self._cut_power(event)
            case BrokerDown():
                self._services.kill_broker()
                self._network.broker_down()
                self._later(event.for_h, self._start_broker)
            case GatewayDown():
                self._services.kill_gateway()
                self._later(event.for_h, self._start_gateway)
            case SensorFailure():
                part = self._simulation.parts[event.sensor]
                set_fault(part, event.fault, on=True)
                self._later(event.for_h, partial(set_fault, part, event.fault, on=False))
            case Hang():
                self._simulation.hang()
            case ButtonPress():
                self._simulation.parts["button"].press(round(event.hold_s * US_PER_S))
            case Command():
                self._gateway_user.command(event.arguments)
            case Intruder():
                self._gateway_user.intrude(event.what)
            case CableIn():
                self._simulation.plug()
                self._later(event.for_h, self._simulation.unplug)
            case ReIce() | Door() | Drop() | Tilt() | Flight():
                pass

    def _later(self, hours: float, action: Callable[[], object]) -> None:
        self._clock.call_after(round(hours * 3600 * US_PER_S), action)

    def _cut_power(self, event: PowerCut) -> None:
        off_us = round(event.off_s * US_PER_S)
        if event.during == "any":
            self._simulation.power_cut(off_us)
        elif event.during == "flash_write":
            self._cut_in_write(event.share, off_us)
        elif event.during == "awake" and self._simulation.awake:
            # At any point of the present wake: most wakes end within half a second.
            self._cut_within(AWAKE_US, off_us)
        elif event.during == "after_call" and self._modem is not Power.UNPOWERED:
            self._cut_after_call(off_us)
        else:
            self._clock.call_after(LOOK_US, partial(self._cut_power, event))

    def _cut_after_call(self, off_us: int) -> None:
        if self._modem is Power.UNPOWERED:
            self._cut_within(COMMAND_US, off_us)
        else:
            self._clock.call_after(LOOK_US, partial(self._cut_after_call, off_us))

    def _cut_in_write(self, share: float | None, off_us: int) -> None:
        flash: W25Q64 = self._simulation.parts["flash"]

        nothing = flash.on_write

        def begun(took_us: int) -> None:
            flash.on_write = nothing
            done = self._rng.random() if share is None else share
            cut = partial(self._simulation.power_cut, off_us)
            self._clock.call_after(int(took_us * done), cut)

        flash.on_write = begun

    def _cut_within(self, span_us: int, off_us: int) -> None:
        delay_us = self._rng.randrange(span_us)
        self._clock.call_after(delay_us, partial(self._simulation.power_cut, off_us))

    @property
    def _modem(self) -> Power:
        modem: BG95 = self._simulation.parts["modem"]
        return modem.power

    def _start_broker(self) -> None:
        self._services.start_broker()
        self._network.settle()

    def _start_gateway(self) -> None:
        self._services.start_gateway()
        self._network.settle()
