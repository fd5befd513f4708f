"""Upload sessions of a whole tracker with a real broker that requires certificates.

Real MicroPython runs the firmware, and mosquitto is the broker. Instead of the gateway, a client
in this process confirms the blocks, so one broker can serve the sessions of many trackers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import cbor2
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from coldtrail_gateway.contract import confirmation, envelope, ranges
from coldtrail_gateway.contract.envelope import Kind
from coldtrail_simulator.board import file as boards
from coldtrail_simulator.clock import US_PER_S
from coldtrail_simulator.models.bg95.faults import Fault, Faults
from coldtrail_simulator.models.bg95.general import Sim
from coldtrail_simulator.models.bg95.modem import BG95
from coldtrail_simulator.models.bg95.radio import Cell
from coldtrail_simulator.network.contract import PREFIX
from coldtrail_simulator.network.network import Network
from coldtrail_simulator.services.services import Services
from coldtrail_simulator.shipment import identity, packing
from tests.support.host import until
from tests.support.trackers.rig import Still
from tests.support.trackers.tracker import Tracker

BOARD = "esp32_bg95"
WHO = identity.simulated(1, "sessions")
START = datetime(2025, 9, 1, 6, tzinfo=UTC)
POSITION_INTERVAL = 10
"""Key in profile.cbor."""
CONFIRMATION = f"{PREFIX}{WHO.tracker}/confirmation"


class Keeper:
    """Replaces a gateway: stores each authentic block and confirms the stored blocks."""

    def __init__(self, address: tuple[str, int], utc_ms: Callable[[], int]) -> None:
        self.kept: dict[int, bytes] = {}
        self._utc_ms = utc_ms
        subscribed: list[int] = []
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.on_subscribe = lambda *_: subscribed.append(1)
        self._client.on_message = self._take
        self._client.connect(*address)
        self._client.subscribe(PREFIX + "+/up", qos=1)
        self._client.loop_start()
        until(lambda: bool(subscribed))

    def _take(self, client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        sealed = bytes(message.payload)
        opened = envelope.open_sealed(
            sealed, Kind.BLOCK, WHO.tracker, {identity.KEY_VERSION: WHO.uplink_key}
        )
        block = cbor2.loads(opened.payload)
        self.kept.setdefault(block[2], sealed)
        held = tuple(ranges.join((number, number) for number in sorted(self.kept)))
        watermark = ranges.watermark(held)
        digest = hashlib.sha256(self.kept[watermark]).digest() if watermark else None
        document = confirmation.payload(confirmation.State(block[1], held, digest), self._utc_ms())
        told = envelope.seal(
            document, Kind.CONFIRMATION, WHO.tracker, identity.KEY_VERSION, WHO.downlink_key
        )
        client.publish(CONFIRMATION, told, retain=True)

    def clear(self, topic: str) -> None:
        """Clear the retained message of a topic."""
        self._client.publish(topic, b"", qos=1, retain=True).wait_for_publish()

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


class Site(Services):
    """Broker and Keeper, and the volume of a tracker that is provisioned for them.

    ``authority``: that of the broker, a folder made by `coldtrail provision ca`. ``trusted``: the
    one that the tracker trusts; the same by default.
    """

    START = START

    def __init__(
        self, work: Path, *, tls: bool = True, trusted: Path | None = None, host: str | None = None
    ) -> None:
        authority = work / "authority" if tls else None
        if authority and not authority.exists():
            packing.certify(authority, WHO.tracker, START)
        super().__init__(work, lambda: 0, "", authority=authority)
        self.volume = work / "volume"
        packing.build_volume(
            self.volume,
            BOARD,
            "refrigerated_2_8",
            WHO,
            packing.PORTS[tls],
            (trusted or authority) if tls else None,
        )
        # A position search makes a session long; test_position.py tests it.
        profile = self.volume / "profile.cbor"
        document = cbor2.loads(profile.read_bytes()) | {POSITION_INTERVAL: 0}
        profile.write_bytes(cbor2.dumps(document, canonical=True))
        self.utc_ms: Callable[[], int] = lambda: 0
        self.host = host or packing.BROKER_NAME
        self.start_broker()
        self.keeper = Keeper(self.broker_address, self.now_ms)

    def confirms(self, topic: str, payload: bytes) -> bool:
        return topic == f"{PREFIX}{WHO.tracker}/up"

    def now_ms(self) -> int:
        """Return the time of the current tracker."""
        return self.utc_ms()

    def restart(self) -> None:
        """Restart a killed broker, and reconnect the Keeper."""
        self.keeper.close()
        self.start_broker()
        self.keeper = Keeper(self.broker_address, self.now_ms)

    def forget(self) -> None:
        """Clear the stored blocks and the retained messages."""
        self.keeper.kept.clear()
        self.watch.retain(CONFIRMATION, b"")
        until(lambda: not self.watch.payload(CONFIRMATION))

    def close(self) -> None:
        self.keeper.close()
        super().close()


class Places:
    """Coverage that is controlled by a test."""

    def __init__(self) -> None:
        self.cell: Cell | None = Cell(rsrp=-95, rssi=-67)

    def coverage(self, _t_s: float) -> Cell | None:
        return self.cell


class CallingTracker(Tracker):
    """A tracker at a site, started by inserting its battery."""

    def __init__(
        self,
        site: Site,
        *,
        seed: int = 1,
        volume: Path | None = None,
        utc_ms: Callable[[int], int] | None = None,
        modem: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        site.forget()
        self.site = site
        self.places = Places()
        self.network: Network | None = None
        begin_ms = round(START.timestamp() * 1000)
        tell = utc_ms or (lambda now_us: begin_ms + now_us // 1000)

        def make(bench: Any, name: str, _entry: object) -> BG95:
            addresses = {site.host: site.tracker_address}
            clock = bench.clock
            site.utc_ms = lambda: tell(clock.now_us)
            self.network = Network(clock, bench.rng("network"), bench.journal, addresses, site)
            return BG95(
                clock,
                bench.rng(name),
                bench.journal,
                self.places,
                self.network,
                site.utc_ms,
                **(modem or {}),
            )

        self.world = Still()
        super().__init__(
            boards.named(BOARD),
            volume or site.volume,
            self.world,
            seed=seed,
            factories={"BG95-M3": make},
            **options,
        )
        self.modem: BG95 = self.parts["modem"]
        self.faults: Faults | None = None

    def break_at(self, exchange: int, fault: Fault) -> None:
        """Start a fault at one exchange with the modem."""
        self.faults = Faults(self.modem, self.rng("faults"), exchange, fault)

    def until(self, condition: Callable[[], bool], limit_s: float, step_s: float = 10) -> bool:
        """Advance time until a condition holds; return whether it did within the limit."""
        end_us = self.clock.now_us + round(limit_s * US_PER_S)
        while not condition():
            if self.clock.now_us >= end_us:
                return False
            self.wait(step_s)
        return True

    @property
    def asleep(self) -> bool:
        """Whether the chip sleeps and the modem has no supply."""
        return self.chip.state == "sleeping" and self.modem.power.value == "unpowered"

    @property
    def charge_uah(self) -> float:
        """Charge drawn by the modem."""
        return sum(spell.charge_uah for spell in self.modem.load.spells())

    def close(self) -> None:
        if self.network:
            self.network.close()
        super().close()

    def __enter__(self) -> Self:
        return self


@contextmanager
def site(work: Path, **options: Any) -> Iterator[Site]:
    """Yield a Site and close it."""
    with Site(work, **options) as found:
        yield found


__all__ = ["CallingTracker", "Cell", "Fault", "Sim", "Site", "site"]
