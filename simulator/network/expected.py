"""Packets that the broker is expected to send (OASIS MQTT 3.1.1, chapter 3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from coldtrail_simulator.network.contract import CONFIRMATION, UP
from coldtrail_simulator.network.mqtt_packet import PUBLISH, TYPE_NAMES, Packet


@dataclass(frozen=True)
class Expected:
    """A packet that must arrive, and its name for messages."""

    name: str
    matches: Callable[[Packet], bool]
    from_gateway: bool = False


def of_type(kind: int) -> Expected:
    """Expect any packet of a type."""
    return Expected(TYPE_NAMES[kind], lambda packet: packet.type == kind)


def acknowledgement(kind: int, number: int) -> Expected:
    """Expect the packet of a type that acknowledges a packet id."""

    def matches(packet: Packet) -> bool:
        return packet.type == kind and packet.number(0) == number

    return Expected(f"{TYPE_NAMES[kind]} {number}", matches)


def message(topic: str, what: str, *, from_gateway: bool = False) -> Expected:
    """Expect a publication on a topic; ``what`` names it."""

    def matches(packet: Packet) -> bool:
        return packet.type == PUBLISH and packet.publication()[0] == topic

    return Expected(f"{what} on {topic}", matches, from_gateway)


def confirmation_topic(topic: str) -> str:
    """Return the topic on which the gateway confirms messages on ``topic`` (…/up)."""
    return topic.removesuffix(UP) + CONFIRMATION
