"""The real connection to the broker behind a link. This module does not use virtual time."""

from __future__ import annotations

import socket
import ssl
import time

from coldtrail_simulator.clock import RunInvalidError
from coldtrail_simulator.network import tls_flight
from coldtrail_simulator.network.expected import Expected, of_type
from coldtrail_simulator.network.medium import FarSide
from coldtrail_simulator.network.mqtt_packet import PUBLISH, Packet, take_packet

SLICE_S = 0.25
"""Real seconds between two checks whether broker and gateway still run."""


class Connection:
    """One TCP connection, closed until ``open``. Every answer must arrive within ``limit_s``."""

    def __init__(self, far_side: FarSide | None, limit_s: float) -> None:
        self._far_side = far_side
        self._limit_s = limit_s
        self._real: socket.socket | None = None
        self._from_broker = bytearray()
        self.ended = False
        """Whether the broker has closed the connection."""

    @property
    def is_open(self) -> bool:
        """Whether it was opened and has not been closed from this end."""
        return self._real is not None

    def open(self, host: str, port: int) -> None:
        """Connect.

        Raises:
            OSError: the connection is refused.
            RunInvalidError: there is no answer in time.
        """
        try:
            self._real = socket.create_connection((host, port), timeout=self._limit_s)
        except TimeoutError:
            raise self._no_answer("connection") from None
        self._real.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def secure(self, context: ssl.SSLContext, name: str | None) -> bytes:
        """Start TLS and return the server's certificate (DER, empty without one).

        Raises:
            OSError: the handshake fails; this includes ssl.SSLError.
            RunInvalidError: the handshake does not end in time.
        """
        if self._real is None:
            raise ConnectionResetError
        try:
            secure = context.wrap_socket(self._real, server_hostname=name)
        except TimeoutError:
            raise self._no_answer("end of the TLS handshake") from None
        self._real = secure
        return secure.getpeercert(binary_form=True) or b""

    def close(self) -> None:
        """Close the connection; a second call has no effect."""
        if self._real:
            self._real.close()
            self._real = None

    def write(self, data: bytes) -> None:
        """Send bytes; after the end of the connection they are dropped.

        Raises:
            RunInvalidError: the broker does not accept them in time.
        """
        if self._real is None:
            return
        try:
            self._real.settimeout(self._limit_s)
            self._real.sendall(data)
        except TimeoutError:
            raise self._no_answer("room for more bytes") from None
        except OSError:
            self.ended = True

    def read_flight(self) -> bytes:
        """Return the server's answer to the first message of a TLS handshake.

        Raises:
            RunInvalidError: the answer does not arrive in time.
        """
        if self._real is None:
            return b""
        deadline = time.monotonic() + self._limit_s

        def is_over() -> bool:
            if time.monotonic() > deadline:
                raise self._no_answer("certificate")
            return False

        self._real.settimeout(SLICE_S)
        return tls_flight.read(self._real, is_over)

    def collect(
        self, expected: list[Expected], *, to_the_end: bool = False, any_message: bool = False
    ) -> list[tuple[Expected, Packet]]:
        """Read until every expected packet has arrived, or the connection has ended.

        Returns the packets in the order of ``expected``. With ``any_message`` it also returns
        other publications, in the order of arrival and before the rest. ``to_the_end`` reads until
        the broker has closed the connection.

        Raises:
            RunInvalidError: a packet does not arrive in time, or another packet arrives in its
                place.
        """
        came: dict[int, Packet] = {}
        others: list[tuple[Expected, Packet]] = []
        deadline = time.monotonic() + self._limit_s
        while not self.ended and (to_the_end or len(came) < len(expected)):
            missing = [i for i in range(len(expected)) if i not in came]
            what = expected[missing[0]].name if missing else "end of the connection"
            packet = self._read(deadline, what)
            if packet is None:
                continue
            match = next((i for i in missing if expected[i].matches(packet)), None)
            if match is not None:
                came[match] = packet
            elif any_message and packet.type == PUBLISH:
                others.append((of_type(PUBLISH), packet))
            elif not to_the_end:
                raise RunInvalidError(
                    f"The run is invalid: the broker sent {packet.name} where {what} was due."
                )
        return others + [(expected[i], came[i]) for i in sorted(came)]

    def _read(self, deadline: float, what: str) -> Packet | None:
        """Return the next packet, or None if there is none yet or the connection ended."""
        packet = take_packet(self._from_broker)
        if packet or self._real is None:
            return packet
        far_side = self._far_side
        if time.monotonic() > deadline:
            raise self._no_answer(what)
        try:
            self._real.settimeout(SLICE_S)
            data = self._real.recv(65536)
        except TimeoutError:
            data = None
        except OSError:
            data = b""
        if not data and far_side:
            far_side.check()
        self._from_broker += data or b""
        self.ended = data == b""
        return None

    def await_confirmation(self, topic: str, before: int) -> None:
        """Wait until the gateway has published more than ``before`` messages on a topic.

        Raises:
            RunInvalidError: the gateway does not do so in time.
        """
        far_side = self._far_side
        if far_side and not far_side.await_confirmation(topic, before, self._limit_s):
            raise self._no_answer(f"confirmation on {topic}")

    def _no_answer(self, what: str) -> RunInvalidError:
        return RunInvalidError(
            f"The run is invalid: no {what} came from the broker within {self._limit_s:.0f} s; "
            "see the broker's and the gateway's log for the cause."
        )
