"""One connection to the broker: real TCP with modelled latency.

A chunk of bytes reaches the broker's end of the connection a seeded latency after the modem has
sent it. There, whole MQTT 3.1.1 packets are sent to the real broker. Virtual time stops while an
answer of the broker is outstanding. The answer reaches the modem after another seeded latency, in
an order that the standard allows and that does not depend on the load of the host.

The expected answers (OASIS MQTT 3.1.1, chapter 3) are CONNACK, PUBACK, PUBREC, PUBCOMP, SUBACK,
UNSUBACK, PINGRESP, and the end of the connection after DISCONNECT. After SUBSCRIBE these include
the retained messages that are known, and after a block the confirmation of the gateway. If an
answer does not arrive the run is invalid, after a limit that only a hang reaches.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable
from dataclasses import KW_ONLY, dataclass, field
from typing import Protocol

from paho.mqtt.client import topic_matches_sub

from coldtrail_simulator.clock import US_PER_S
from coldtrail_simulator.network import tls_flight
from coldtrail_simulator.network.connection import Connection
from coldtrail_simulator.network.expected import (
    Expected,
    acknowledgement,
    confirmation_topic,
    message,
    of_type,
)
from coldtrail_simulator.network.medium import Medium
from coldtrail_simulator.network.mqtt_packet import (
    CONNACK,
    CONNECT,
    DISCONNECT,
    PINGREQ,
    PINGRESP,
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    SUBACK,
    SUBSCRIBE,
    UNSUBACK,
    UNSUBSCRIBE,
    MalformedError,
    Packet,
    take_packet,
)

# Sizes by RFC 5246, 7.4, with keys of 2,048 bits: a hello with its extensions; a key exchange or a
# signed certificate verification, with change of cipher and finish. Certificates are added.
HELLO, KEY_EXCHANGE = 220, 360
RECORD = 29
"""Overhead of a TLS 1.2 record in bytes: header, explicit nonce and tag of AES-GCM."""

PING = bytes([PINGREQ << 4, 0])


class Endpoint(Protocol):
    """The modem's end of a connection; called at virtual times only."""

    def opened(self) -> None:
        """The connection is open."""

    def refused(self, reason: str) -> None:
        """Opening failed: "name" is unknown, "connection" was refused, or "handshake" failed."""

    def data(self, data: bytes) -> None:
        """Bytes have arrived."""

    def closed(self) -> None:
        """The broker's end was closed or lost."""


@dataclass(frozen=True)
class Handshake:
    """The modem's part of a TLS handshake.

    ``name`` is sent as SNI, and checked if the context requires it. ``judge`` returns whether the
    server's certificate (DER) passes the checks that the context does not make.
    """

    context: ssl.SSLContext
    name: str | None
    judge: Callable[[bytes], bool]
    certificate: int = 0
    """Size of the modem's own certificate (DER) in bytes."""

    def sizes(self, server: int) -> tuple[int, int]:
        """Return the bytes up and down, for a server's certificate of this size (DER)."""
        up = HELLO + self.certificate + (KEY_EXCHANGE if self.certificate else 0)
        return up + KEY_EXCHANGE, HELLO + server + KEY_EXCHANGE


@dataclass(eq=False)
class Link:
    """One TCP connection: virtual towards the modem, real towards the broker."""

    medium: Medium
    endpoint: Endpoint
    handshake: Handshake | None = None
    _: KW_ONLY
    on_end: Callable[[Link], object]
    """Called when no more data can reach the broker over this connection."""
    sent: int = 0
    """Bytes sent by the modem."""
    acked: int = 0
    """Bytes of them that have arrived."""
    paused: bool = False
    """Coverage is lost: no data moves in either direction."""
    _dead: bool = False
    """No more data reaches the broker."""
    _frozen: bool = False
    _connected: bool = False
    """The broker has accepted a CONNECT."""
    _gone: bool = False
    """The modem has closed its end."""
    _up_us: int = 0
    _down_us: int = 0
    _waiting_up: list[Callable[[], None]] = field(default_factory=list)
    _waiting_down: list[Callable[[], None]] = field(default_factory=list)
    _from_modem: bytearray = field(default_factory=bytearray)
    _from_broker: bytearray = field(default_factory=bytearray)
    _filters: set[str] = field(default_factory=set)
    _heard_us: int = 0
    _keep_alive_us: int = 0

    def __post_init__(self) -> None:
        self._real = Connection(self.medium.far_side, self.medium.answer_limit_s)

    # --- the modem's side

    @property
    def _overhead(self) -> int:
        return RECORD if self.handshake else 0

    def send(self, data: bytes) -> None:
        """Send bytes from the modem."""
        self.sent += len(data)
        self.medium.on_packet(len(data) + self._overhead, 0)
        self.arrive_after(self.medium.one_way_us(), lambda: self._arrived(data))

    def close(self) -> None:
        """Close the modem's end: sent data still arrives, but no data comes back."""
        self._gone = True
        if not self.paused:
            self.arrive_after(self.medium.one_way_us(), self.drop)
        else:
            self.drop()

    def abort(self) -> None:
        """Drop the connection at once, as a modem does at a loss of power."""
        self._gone = True
        self.drop()

    def freeze(self) -> None:
        """Stop all data in both directions without notice to either end."""
        self._dead = self._frozen = True

    def pause(self) -> None:
        """Stop all data in both directions, because coverage is lost."""
        self.paused = True

    def resume(self) -> None:
        """Move the waiting data, because coverage is back."""
        if not self.paused:
            return
        self.paused = False
        up, self._waiting_up = self._waiting_up, []
        down, self._waiting_down = self._waiting_down, []
        for arrive in up:
            self.arrive_after(self.medium.one_way_us(), arrive)
        for deliver in down:
            self.deliver_after(self.medium.one_way_us(), deliver)

    # --- scheduled actions: in order in each direction, for any latency

    def arrive_after(self, us: int, arrive: Callable[[], None]) -> None:
        """Schedule an action at the broker's end; skipped if the connection is dead by then."""

        def now() -> None:
            if self.paused:
                self._waiting_up.append(arrive)
            elif not self._dead:
                arrive()

        self._up_us = max(self._up_us, self.medium.clock.now_us + us)
        self.medium.clock.call_at(self._up_us, now)

    def deliver_after(self, us: int, deliver: Callable[[], None]) -> None:
        """Schedule an action at the modem's end; skipped if the modem has closed it by then."""

        def now() -> None:
            if self.paused:
                self._waiting_down.append(deliver)
            elif not self._gone and not self._frozen:
                deliver()

        self._down_us = max(self._down_us, self.medium.clock.now_us + us)
        self.medium.clock.call_at(self._down_us, now)

    # --- the broker's side

    def connect(self, target: tuple[str, int] | None) -> None:
        """Open the real connection now; None means an unreachable address."""
        medium, endpoint = self.medium, self.endpoint
        try:
            if target is None:
                raise ConnectionRefusedError
            self._real.open(*target)
        except OSError:
            medium.journal.note("connection-refused")
            self.on_end(self)
            self.deliver_after(medium.one_way_us(), lambda: endpoint.refused("connection"))
            return
        medium.counts.connections += 1
        latency_us = medium.one_way_us()
        if self.handshake:
            # RFC 5246, figure 1: two round trips in addition to those of TCP.
            latency_us += sum(medium.one_way_us() for _ in range(4))
            if not self._shake_hands(self.handshake):
                self.drop()
                self.deliver_after(latency_us, lambda: endpoint.refused("handshake"))
                return
        medium.journal.note("connection-opened")
        self.deliver_after(latency_us, endpoint.opened)

    def _shake_hands(self, handshake: Handshake) -> bool:
        try:
            server = self._real.secure(handshake.context, handshake.name)
        except OSError as error:  # includes ssl.SSLError
            self.medium.journal.note("handshake-failed", why=getattr(error, "reason", None))
            return False
        self.medium.on_packet(*handshake.sizes(len(server)))
        if not handshake.judge(server):
            self.medium.journal.note("handshake-failed", why="CERTIFICATE_OUT_OF_DATE")
            return False
        return True

    def drop(self) -> None:
        """Close the real connection."""
        self._dead = True
        self._real.close()
        self.on_end(self)

    def lose(self) -> None:
        """Close the real connection and inform the modem, as if the broker had closed it."""
        if not self._real.is_open:
            return
        self.drop()
        self.medium.journal.note("connection-closed")
        self.deliver_after(self.medium.one_way_us(), self.endpoint.closed)

    def settle(self) -> None:
        """Process unsolicited data from the broker."""
        if not self._connected:
            return
        self._real.write(PING)
        for _, packet in self._real.collect([of_type(PINGRESP)], any_message=True):
            if packet.type == PUBLISH:
                self._hand_down(packet)
        if self._real.ended:
            self.lose()

    def _arrived(self, data: bytes) -> None:
        self.acked += len(data)
        self.medium.counts.bytes_up += len(data)
        self._from_modem += data
        if not self._connected and self._from_modem[0] == tls_flight.HANDSHAKE:
            self._pass_hello()
            return
        try:
            while not self._dead and (packet := take_packet(self._from_modem)):
                self._forward(packet)
        except MalformedError:
            # The broker must receive it as well, so that it ends the connection.
            self._real.write(bytes(self._from_modem))
            self._real.collect([], to_the_end=True)
            self.lose()

    def _pass_hello(self) -> None:
        """Forward the start of a TLS handshake that the modem model does not make itself."""
        hello = self._from_modem
        if not self._real.is_open or len(hello) < tls_flight.record_size(hello):
            return
        self._real.write(bytes(self._from_modem))
        self._from_modem.clear()
        flight = self._real.read_flight()
        self.medium.journal.note("tls-hello", bytes=len(flight))
        if flight:
            self.medium.on_packet(0, len(flight))
            self.deliver_after(self.medium.one_way_us(), lambda: self.endpoint.data(flight))

    def _forward(self, packet: Packet) -> None:
        raw = packet.raw
        note: dict[str, object] = {}
        expected: list[Expected] = []
        confirmed: tuple[str, int] | None = None
        try:
            if packet.type == PUBLISH:
                note["topic"] = packet.publication()[0]
                expected, confirmed = self._expected_after_publish(packet)
            elif packet.type == CONNECT:
                raw = self._take_over_keep_alive(packet)
                expected = [of_type(CONNACK)]
            else:
                expected = self._expected_after(packet)
        except MalformedError:
            self._from_modem[:0] = raw
            raise
        medium = self.medium
        self._heard_us = medium.clock.now_us
        medium.counts.packets_up += 1
        medium.counts.messages_up += packet.type == PUBLISH
        medium.journal.note("mqtt-up", packet=packet.name, bytes=len(raw), **note)
        self._real.write(raw)
        # If the block reports the outcome of a command, its replacement is published before the
        # confirmation.
        came = self._real.collect(
            expected, to_the_end=packet.type == DISCONNECT, any_message=confirmed is not None
        )
        if packet.type == CONNECT and not self._real.ended:
            self._connected = came[0][1].number(0) & 0xFF == 0
            if not self._connected:
                self._real.collect([], to_the_end=True)
        if confirmed and not self._real.ended:
            self._real.await_confirmation(*confirmed)
        for answer, packet_down in came:
            extra_us = medium.gateway_us() if answer.from_gateway else 0
            self._hand_down(packet_down, extra_us)
        if self._real.ended:
            self.lose()

    def _expected_after_publish(
        self, packet: Packet
    ) -> tuple[list[Expected], tuple[str, int] | None]:
        topic, number, payload = packet.publication()
        expected = []
        if packet.qos:
            expected.append(acknowledgement(PUBACK if packet.qos == 1 else PUBREC, number))
        far_side = self.medium.far_side
        if far_side is None or not far_side.confirms(topic, payload):
            return expected, None
        reply = confirmation_topic(topic)
        if any(topic_matches_sub(each, reply) for each in self._filters):
            expected.append(message(reply, "confirmation", from_gateway=True))
        return expected, (reply, far_side.confirmations(reply))

    def _expected_after(self, packet: Packet) -> list[Expected]:
        kind = packet.type
        if kind == SUBSCRIBE:
            filters = packet.filters()
            self._filters.update(filters)
            return [acknowledgement(SUBACK, packet.number(0)), *self._retained(filters)]
        if kind == UNSUBSCRIBE:
            self._filters.difference_update(packet.filters())
            return [acknowledgement(UNSUBACK, packet.number(0))]
        if kind == PUBREL:
            return [acknowledgement(PUBCOMP, packet.number(0))]
        if kind == PINGREQ:
            return [of_type(PINGRESP)]
        if kind in (PUBACK, PUBREC, PUBCOMP, DISCONNECT):
            return []
        raise MalformedError(f"{packet.name} is not for a client to send")

    def _retained(self, filters: Iterable[str]) -> list[Expected]:
        far_side = self.medium.far_side
        if far_side is None:
            return []
        return [
            message(topic, "retained message")
            for topic_filter in filters
            for topic in sorted(far_side.retained(topic_filter))
        ]

    def _take_over_keep_alive(self, packet: Packet) -> bytes:
        """Remove the keep-alive from CONNECT and enforce it here, in virtual time.

        A server closes a connection after one and a half times the keep-alive without a packet
        (3.1.2.10).
        """
        at = packet.body + packet.text(0)[1] + 2
        seconds = int.from_bytes(packet.raw[at : at + 2], "big")
        self._keep_alive_us = seconds * US_PER_S * 3 // 2
        if seconds:
            self.medium.clock.call_after(self._keep_alive_us, self._check_keep_alive)
        return packet.raw[:at] + bytes(2) + packet.raw[at + 2 :]

    def _check_keep_alive(self) -> None:
        due_us = self._heard_us + self._keep_alive_us
        if self._dead:
            return
        if self.medium.clock.now_us < due_us:
            self.medium.clock.call_at(due_us, self._check_keep_alive)
        else:
            self.medium.journal.note("keep-alive-expired")
            self.lose()

    def _hand_down(self, packet: Packet, extra_us: int = 0) -> None:
        medium, endpoint = self.medium, self.endpoint
        note = {"topic": packet.publication()[0]} if packet.type == PUBLISH else {}
        medium.counts.packets_down += 1
        medium.counts.messages_down += packet.type == PUBLISH
        medium.counts.bytes_down += len(packet.raw)
        medium.journal.note("mqtt-down", packet=packet.name, bytes=len(packet.raw), **note)

        def deliver() -> None:
            medium.on_packet(0, len(packet.raw) + self._overhead)
            endpoint.data(packet.raw)

        self.deliver_after(extra_us + medium.one_way_us(), deliver)
