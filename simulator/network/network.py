"""The internet as seen by a modem: names, and connections to a real broker.

Each connection is a link (link.py): its packets are real, only their times are simulated.
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
    """The network between the modem and the broker, with the broker's names.

    Args:
        resolve: replaces DNS: the host and port that the tracker uses, mapped to a real host and
            port. A host that is not listed must be a loopback address; any other name is unknown
            and any other address unreachable.
        far_side: state of broker, gateway and retained messages; without it only the broker's own
            answers are expected.
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
        """Start to open a connection; the endpoint gets the result.

        With a ``handshake`` the connection uses TLS.
        """
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
        """End every connection, because the broker has died; the modem learns it later."""
        for link in list(self._links):
            link.lose()

    def settle(self) -> None:
        """Process unsolicited data from the broker after a change on the far side.

        A broker answers a client in order, so when the answer to a ping has arrived, all earlier
        data has arrived as well.
        """
        for link in list(self._links):
            link.settle()

    def close(self) -> None:
        """Close every real connection."""
        for link in list(self._links):
            link.drop()

    def freeze(self) -> bool:
        """Make every connection half-open from now on; return whether there is one."""
        for link in self._links:
            link.freeze()
        return bool(self._links)

    def summary(self) -> dict[str, int]:
        """Return the counters as plain values."""
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
