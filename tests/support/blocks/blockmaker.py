"""Makes blocks and opens confirmations with cbor2 and pycose, without the gateway's code."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

import cbor2
from pycose.algorithms import HMAC256
from pycose.headers import KID, Algorithm, ContentType
from pycose.keys.symmetric import SymmetricKey
from pycose.messages.cosemessage import CoseMessage
from pycose.messages.mac0message import Mac0Message

UPLINK: Final = bytes(range(32))
DOWNLINK: Final = bytes(range(32, 64))
BLOCK: Final = 65001
CONFIRMATION: Final = 65002

Row = tuple[int, int, Sequence[int | None]]  # t, status, eight values


def sealed(
    payload: bytes,
    tracker: str = "CT-1",
    key: bytes = UPLINK,
    *,
    version: int = 1,
    content_type: int = BLOCK,
    direction: str = "up",
) -> bytes:
    """Return a payload in a COSE_Mac0 made by pycose."""
    message = Mac0Message(
        phdr={Algorithm: HMAC256, ContentType: content_type, KID: bytes((version,))},
        uhdr={},
        payload=payload,
        external_aad=cbor2.dumps(["coldtrail/1", direction, tracker]),
    )
    message.key = SymmetricKey(k=key)
    encoded: bytes = message.encode()
    return encoded


def opened(
    document: bytes, tracker: str = "CT-1", key: bytes = DOWNLINK, *, direction: str = "down"
) -> dict[int, Any]:
    """Return the content of a COSE_Mac0. Raises AssertionError unless pycose verifies it."""
    message: Any = CoseMessage.decode(document)
    message.key = SymmetricKey(k=key)
    message.external_aad = cbor2.dumps(["coldtrail/1", direction, tracker])
    assert message.verify_tag(), "the MAC does not verify"
    value: dict[int, Any] = cbor2.loads(message.payload)
    return value


def columns(rows: Sequence[Row], interval: int) -> dict[int, Any]:
    """Return samples in the columns of the contract."""
    times = [t for t, _, _ in rows]
    steps = [later - earlier - interval for earlier, later in pairwise(times)]
    statuses = [status for _, status, _ in rows]
    encoded: dict[int, Any] = {0: len(rows), 1: times[0], 2: interval}
    if any(steps):
        encoded[3] = steps
    if any(statuses):
        encoded[4] = statuses
    for channel in range(8):
        column: list[int | None] = []
        last = 0
        for _, _, values in rows:
            value = values[channel]
            column.append(None if value is None else value - last)
            last = last if value is None else value
        if any(entry is not None for entry in column):
            encoded[8 + channel] = column
    return encoded


def hash16(block: bytes) -> bytes:
    """Return the hash of a block, as in the `previous` of the next block."""
    return hashlib.sha256(block).digest()[:16]


@dataclass
class Maker:
    """A tracker that only makes blocks, with the number, hash and sequence of its chain."""

    tracker: str = "CT-1"
    key: bytes = UPLINK
    version: int = 1
    chain: bytes = b"chain  1"
    boot: int = 1
    shipment: str | None = "S-1"
    interval: int = 300
    number: int = 0
    sequence: int = 0
    previous: bytes = field(default=bytes(16))

    def payload(
        self,
        rows: Sequence[Row] = (),
        events: Sequence[Sequence[Any]] = (),
        sync: Sequence[int] | None = None,
        **changes: Any,
    ) -> dict[int, Any]:
        """Return the payload of the next block; `changes` sets entries by key (k3=…)."""
        payload: dict[int, Any] = {
            0: 1,
            1: self.chain,
            2: self.number + 1,
            3: self.previous,
            4: self.boot,
            5: self.sequence,
        }
        if sync is not None:
            payload[6] = list(sync)
        if self.shipment is not None:
            payload[7] = self.shipment
        if rows:
            payload[8] = columns(rows, self.interval)
        if events:
            payload[9] = [list(event) for event in events]
        payload |= {int(name[1:]): value for name, value in changes.items()}
        return payload

    def seal(self, payload: dict[int, Any]) -> bytes:
        """Seal a payload; the next block then continues the chain after it."""
        encoded = cbor2.dumps(payload, canonical=True)
        block = sealed(encoded, self.tracker, self.key, version=self.version)
        self.number = payload[2]
        self.previous = hash16(block)
        samples = payload.get(8)
        self.sequence += len(payload.get(9, ()))
        self.sequence += samples[0] if isinstance(samples, dict) else 0
        return block

    def block(self, *args: Any, **kwargs: Any) -> bytes:
        """Return the next block; parameters as for `payload`."""
        return self.seal(self.payload(*args, **kwargs))

    def copy(self) -> Maker:
        """Return a second tracker with a copy of this one's state."""
        return Maker(**self.__dict__)


def rows(count: int, start: int = 0, interval: int = 300, value: int = 500) -> list[Row]:
    """Return simple samples with payload and ambient temperature, humidity and battery."""
    return [
        (start + i * interval, 0, (value + i, 2000, 450, None, 3600, None, None, None))
        for i in range(count)
    ]


BOOT_EVENT: Final = (3, 0, 1, 1, 0, "1.0")
