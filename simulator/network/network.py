"""The internet as a modem finds it: names, and connections to a real broker.

Each connection is a link (link.py): its packets are real, only their times are the simulator's.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Mapping
from dataclasses import asdict

from coldtrail_simulator.clock import Clock
from coldtrail_simulator.journal import Journal
from coldtrail_simulator.network.link import Endpoint, Handshake, Link
from coldtrail_simulator.network.medium import ANSWER_LIMIT_S, FarSide, Medium


class Network(Medium):
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
        *,
        answer_limit_s: float = ANSWER_LIMIT_S,
    ) -> None:
        super().__init__(clock, rng, journal, far_side, answer_limit_s=answer_limit_s)
        self._resolve = dict(resolve)
        self._links: list[Link] = []

    def open(
        self, host: str, port: int, endpoint: Endpoint, handshake: Handshake | None = None
    ) -> Link:
        """Start to open a connection, for TLS with a handshake; the endpoint hears the outcome."""
        link = Link(self, endpoint, handshake, on_end=self._forget)
        self._links.append(link)
        target = self._resolve.get(host)
        delay = self.one_way_us()
        if not _is_address(host):
            delay += self.look_up_us()
            if target is None:
                self._forget(link)
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

    def freeze(self) -> bool:
        """Let every connection be half open from now on; return whether there is one."""
        for link in self._links:
            link.freeze()
        return bool(self._links)

    def summary(self) -> dict[str, int]:
        """Return the counts as plain values."""
        return asdict(self.counts)

    def _forget(self, link: Link) -> None:
        if link in self._links:
            self._links.remove(link)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
