"""MQTT 3.1.1 control packets in their wire format (OASIS standard, chapters 2 and 3)."""

from __future__ import annotations

from dataclasses import dataclass

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = range(1, 8)
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT = range(8, 15)
TYPE_NAMES = (
    "reserved CONNECT CONNACK PUBLISH PUBACK PUBREC PUBREL PUBCOMP "
    "SUBSCRIBE SUBACK UNSUBSCRIBE UNSUBACK PINGREQ PINGRESP DISCONNECT reserved"
).split()


class MalformedError(ValueError):
    """The bytes are not an MQTT packet."""


@dataclass(frozen=True)
class Packet:
    """One MQTT control packet with its whole encoding."""

    raw: bytes
    body: int
    """Offset of the variable header."""

    @property
    def type(self) -> int:
        return self.raw[0] >> 4

    @property
    def name(self) -> str:
        return TYPE_NAMES[self.type]

    @property
    def qos(self) -> int:
        return self.raw[0] >> 1 & 3

    def number(self, at: int) -> int:
        """Return the two-byte integer at an offset of the variable header."""
        field_ = self.raw[self.body + at : self.body + at + 2]
        if len(field_) < 2:
            raise MalformedError(f"{self.name} ends too early")
        return int.from_bytes(field_, "big")

    def text(self, at: int) -> tuple[str, int]:
        """Return the string at an offset of the variable header, and the offset after it."""
        end = at + 2 + self.number(at)
        text = self.raw[self.body + at + 2 : self.body + end]
        if len(text) < end - at - 2:
            raise MalformedError(f"{self.name} ends too early")
        try:
            return text.decode(), end
        except UnicodeDecodeError:
            raise MalformedError(f"{self.name} has a string that is not UTF-8") from None

    def publication(self) -> tuple[str, int, bytes]:
        """Return topic, packet id (0 at QoS 0) and payload of a PUBLISH."""
        topic, at = self.text(0)
        if not self.qos:
            return topic, 0, self.raw[self.body + at :]
        return topic, self.number(at), self.raw[self.body + at + 2 :]

    def filters(self) -> list[str]:
        """Return the topic filters of a SUBSCRIBE or UNSUBSCRIBE."""
        found, at = [], 2
        while self.body + at < len(self.raw):
            topic_filter, at = self.text(at)
            found.append(topic_filter)
            at += self.type == SUBSCRIBE
        return found


def take_packet(stream: bytearray) -> Packet | None:
    """Remove and return the first complete packet of a stream; None if it is incomplete.

    Raises:
        MalformedError: a remaining length of more than four bytes (2.2.3).
    """
    length = 0
    for at in range(1, 5):
        if at >= len(stream):
            return None
        length |= (stream[at] & 0x7F) << 7 * (at - 1)
        if not stream[at] & 0x80:
            break
    else:
        raise MalformedError("the remaining length has more than four bytes")
    end = at + 1 + length
    if len(stream) < end:
        return None
    packet = Packet(bytes(stream[:end]), at + 1)
    del stream[:end]
    return packet
