"""Common to all connections of one modem: latency, counters, and the side beyond the broker."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from coldtrail_simulator.clock import US_PER_S, Clock
from coldtrail_simulator.journal import Journal

# LTE-M in good coverage: tens of milliseconds in each direction, more to wake an idle radio.
ONE_WAY_US = (50_000, 180_000)
WAKE_RADIO_US = (250_000, 900_000)
RADIO_IDLE_US = 10 * US_PER_S
LOOK_UP_US = (100_000, 600_000)
GATEWAY_US = (20_000, 120_000)

ANSWER_LIMIT_S = 300.0  # only for a hang: a busy host takes seconds


class FarSide(Protocol):
    """What the network needs to know about clients beyond the broker."""

    def retained(self, topic_filter: str) -> list[str]:
        """Return the matching topics that are known to have a retained message."""

    def confirms(self, topic: str, payload: bytes) -> bool:
        """Return whether the gateway will publish a confirmation for this message."""

    def confirmations(self, topic: str) -> int:
        """Return how many messages were received on a confirmation topic."""

    def await_confirmation(self, topic: str, more_than: int, limit_s: float) -> bool:
        """Wait in real time for more messages than ``more_than``; return False at the limit."""

    def check(self) -> None:
        """Raise RunInvalidError if broker or gateway has ended unexpectedly."""


@dataclass
class Counts:
    """Counters of all connections; bytes are TCP payload."""

    connections: int = 0
    bytes_up: int = 0
    bytes_down: int = 0
    packets_up: int = 0
    packets_down: int = 0
    messages_up: int = 0
    messages_down: int = 0


class Medium:
    """The latency of the radio and of the internet behind it.

    Args:
        far_side: state of broker, gateway and retained messages; without it only the broker's own
            answers are expected.
        answer_limit_s: real seconds after which an outstanding answer makes the run invalid.
    """

    def __init__(
        self,
        clock: Clock,
        rng: random.Random,
        journal: Journal,
        far_side: FarSide | None = None,
        *,
        answer_limit_s: float = ANSWER_LIMIT_S,
    ) -> None:
        self.clock = clock
        self.journal = journal
        self.counts = Counts()
        self.far_side = far_side
        self.answer_limit_s = answer_limit_s
        self._rng = rng
        self._last_traffic_us = -RADIO_IDLE_US
        self.on_packet: Callable[[int, int], object] = lambda _up, _down: None
        """Called with the bytes (up, down) of each packet when it leaves or reaches the modem."""

    def one_way_us(self) -> int:
        """Return the latency of data sent now."""
        latency = self._rng.randint(*ONE_WAY_US)
        if self.clock.now_us - self._last_traffic_us >= RADIO_IDLE_US:
            latency += self._rng.randint(*WAKE_RADIO_US)
        self._last_traffic_us = self.clock.now_us + latency
        return latency

    def look_up_us(self) -> int:
        """Return how long it takes to resolve a name."""
        return self._rng.randint(*LOOK_UP_US)

    def gateway_us(self) -> int:
        """Return the time that a gateway takes for one block."""
        return self._rng.randint(*GATEWAY_US)
