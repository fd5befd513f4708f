"""From the modem to the broker: names, latency and counts of modelled connections.

Each connection is a link (link.py) onto a real broker: the packets are real, only the moments
are the simulator's.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Protocol

from coldtrail_simulator.clock import US_PER_S, Clock
from coldtrail_simulator.journal import Journal
from coldtrail_simulator.network.link import Endpoint, Handshake, Link

# LTE-M in good coverage: some ten milliseconds each way, more to wake a radio that was idle.
ONE_WAY_US = (50_000, 180_000)
WAKE_RADIO_US = (250_000, 900_000)
RADIO_IDLE_US = 10 * US_PER_S
LOOK_UP_US = (100_000, 600_000)
GATEWAY_US = (20_000, 120_000)


class FarSide(Protocol):
    """What the network has to know of those beyond the broker."""

    def retained(self, topic_filter: str) -> list[str]:
        """Return the topics with a retained message, as far as one is known, that match."""

    def confirms(self, topic: str, payload: bytes) -> bool:
        """Return whether the gateway is going to publish a confirmation for this message."""

    def confirmations(self, topic: str) -> int:
        """Return how many messages have been seen on a confirmation topic."""

    def await_confirmation(self, topic: str, more_than: int, limit_s: float) -> bool:
        """Wait in real time until more messages have been seen; False when the limit passes."""

    def check(self) -> None:
        """Raise RunInvalidError if somebody who should be running is not."""


@dataclass
class Counts:
    """What went over the connections; bytes are TCP payload."""

    connections: int = 0
    bytes_up: int = 0
    bytes_down: int = 0
    packets_up: int = 0
    packets_down: int = 0
    messages_up: int = 0
    messages_down: int = 0


class Network:
    """The way from the modem to the broker, and the names it is known by.

    Args:
        resolve: what stands in for the internet's names: host as the tracker knows it to real
            host and port. A host that is not listed is taken as it is if it is a loopback
            address; any other name is unknown, any other address unreachable.
        far_side: what is known of broker, gateway and retained messages; without it only the
            broker's own answers are waited for.
    """

    def __init__(
        self,
        clock: Clock,
        rng: random.Random,
        journal: Journal,
        resolve: Mapping[str, tuple[str, int]],
        far_side: FarSide | None = None,
    ) -> None:
        self.clock = clock
        self.journal = journal
        self.counts = Counts()
        self.far_side = far_side
        self._rng = rng
        self._resolve = dict(resolve)
        self._links: list[Link] = []
        self._last_traffic_us = -RADIO_IDLE_US
        self.on_packet: Callable[[int, int], object] = lambda _up, _down: None
        """Told the bytes of each packet as it leaves the modem or reaches it: up, down."""

    def open(
        self, host: str, port: int, endpoint: Endpoint, handshake: Handshake | None = None
    ) -> Link:
        """Start to open a connection, for TLS with a handshake; the endpoint hears the outcome."""
        link = Link(self, endpoint, handshake)
        self._links.append(link)
        target = self._resolve.get(host)
        delay = self.one_way_us()
        if not _is_address(host):
            delay += self._rng.randint(*LOOK_UP_US)
            if target is None:
                self.forget(link)
                link.deliver_after(delay, lambda: endpoint.refused("name"))
                return link
        elif target is None and ipaddress.ip_address(host).is_loopback:
            target = host, port
        link.arrive_after(delay, lambda: link.connect(target))
        return link

    def broker_down(self) -> None:
        """The broker has died: every connection to it ends now, the modem hears it shortly."""
        for link in list(self._links):
            link.lose()

    def settle(self) -> None:
        """Take in what the broker sent without being asked, after a change on the far side.

        A broker answers a client in order, so all it had sent before is there when the answer
        to a ping is.
        """
        for link in list(self._links):
            link.settle()

    def close(self) -> None:
        """Close every real connection."""
        for link in list(self._links):
            link.drop()

    def one_way_us(self) -> int:
        """Return the latency of what is sent now."""
        latency = self._rng.randint(*ONE_WAY_US)
        if self.clock.now_us - self._last_traffic_us >= RADIO_IDLE_US:
            latency += self._rng.randint(*WAKE_RADIO_US)
        self._last_traffic_us = self.clock.now_us + latency
        return latency

    def gateway_us(self) -> int:
        """Return how long a gateway takes for one block."""
        return self._rng.randint(*GATEWAY_US)

    def freeze(self) -> bool:
        """Let every connection be half open from now on; return whether there is one."""
        for link in self._links:
            link.freeze()
        return bool(self._links)

    def summary(self) -> dict[str, int]:
        """Return the counts as plain values."""
        return asdict(self.counts)

    def forget(self, link: Link) -> None:
        """Drop a link that has ended."""
        if link in self._links:
            self._links.remove(link)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
