"""The envelope of every message: COSE_Mac0 (RFC 9052, 6.2) as `uplink.cddl` fixes it.

The envelope's own encoding is not covered by the MAC, so it is compared byte for byte before the
MAC is looked at. Otherwise anyone could write a genuine block in other bytes (a longer head, an
unprotected header), and its hash would make it a fork.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from functools import lru_cache
from typing import Final

import cbor2
from cwt import COSE, COSEKey, VerifyError
from cwt.cose_key_interface import COSEKeyInterface

MAX_SIZE: Final = 4096
KEY_SIZE: Final = 32
TRACKER_ID: Final = re.compile(r"[A-Z0-9-]{1,23}")

_ALG, _CONTENT_TYPE, _KID = 1, 3, 4
_HMAC_256_256: Final = 5
_TAG_SIZE: Final = 32

# tag 17, array of 4, bstr of 10: {1: 5, 3: (two bytes), 4: bstr (one byte)}, {}, then the payload.
_START: Final = bytes.fromhex("d1844aa301050319")
_KID_HEAD: Final = bytes.fromhex("0441")
_UNPROTECTED: Final = 0xA0
_PAYLOAD_AT: Final = 14
_TAG_HEAD: Final = bytes.fromhex("5820")

_cose = COSE.new()


class Kind(Enum):
    """The kind of a message: its content type, and the direction that its MAC covers."""

    BLOCK = (65001, "up")
    CONFIRMATION = (65002, "down")
    COMMAND = (65003, "down")

    def __init__(self, content_type: int, direction: str) -> None:
        self.content_type = content_type
        self.direction = direction


class Reason(StrEnum):
    """The reason why a message is not believed."""

    TOPIC = "topic names no tracker"
    TOO_LONG = "too long"
    NOT_COSE = "not the contract's COSE_Mac0"
    CONTENT_TYPE = "wrong content type"
    UNKNOWN_TRACKER = "unknown tracker"
    UNKNOWN_KEY = "unknown key version"
    WRONG_MAC = "MAC does not verify"
    NOT_STORED = "genuine, but the database does not take it"


class Refused(ValueError):
    """A message that is not believed."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else str(reason))
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Envelope:
    """The parts of a COSE_Mac0 whose form is right; nothing here is authenticated."""

    kind: Kind
    key_version: int
    payload: bytes


def parse(sealed: bytes) -> Envelope:
    """Parse an envelope.

    Raises:
        Refused: it is longer than `MAX_SIZE`, or not encoded exactly as the contract says.
    """
    if len(sealed) > MAX_SIZE:
        raise Refused(Reason.TOO_LONG, f"{len(sealed)} bytes, at most {MAX_SIZE}")
    if not sealed.startswith(_START) or len(sealed) < _PAYLOAD_AT + 1:
        raise Refused(Reason.NOT_COSE, "it does not begin as one")
    content_type = int.from_bytes(sealed[8:10], "big")
    kind = next((kind for kind in Kind if kind.content_type == content_type), None)
    key_version = sealed[12]
    if sealed[10:12] != _KID_HEAD or sealed[13] != _UNPROTECTED or key_version == 0:
        raise Refused(Reason.NOT_COSE, "its headers are others")
    if kind is None:
        raise Refused(Reason.CONTENT_TYPE, str(content_type))
    length, start = _bstr_head(sealed, _PAYLOAD_AT)
    end = start + length
    if sealed[end : end + 2] != _TAG_HEAD or len(sealed) != end + 2 + _TAG_SIZE:
        raise Refused(Reason.NOT_COSE, "payload and tag do not fill it")
    return Envelope(kind, key_version, sealed[start:end])


def open_sealed(sealed: bytes, kind: Kind, tracker: str, keys: Mapping[int, bytes]) -> Envelope:
    """Return the envelope of a message that verifies.

    `keys` maps key versions to the keys of this tracker and direction.

    Raises:
        Refused: form, kind, key version or MAC is wrong.
    """
    envelope = parse(sealed)
    if envelope.kind is not kind:
        raise Refused(Reason.CONTENT_TYPE, str(envelope.kind.content_type))
    key = keys.get(envelope.key_version)
    if key is None:
        raise Refused(Reason.UNKNOWN_KEY, str(envelope.key_version))
    try:
        _cose.decode(
            sealed, _key(key, envelope.key_version), external_aad=_external_aad(kind, tracker)
        )
    except VerifyError:
        raise Refused(Reason.WRONG_MAC) from None
    return envelope


def seal(payload: bytes, kind: Kind, tracker: str, key_version: int, key: bytes) -> bytes:
    """Return `payload` in its envelope, under version `key_version` of the tracker's key."""
    protected = {
        _ALG: _HMAC_256_256,
        _CONTENT_TYPE: kind.content_type,
        _KID: bytes((key_version,)),
    }
    sealed: bytes = _cose.encode(
        payload, _key(key, key_version), protected, {}, external_aad=_external_aad(kind, tracker)
    )
    return sealed


def _bstr_head(sealed: bytes, position: int) -> tuple[int, int]:
    """Return length and start of a byte string whose head is the shortest."""
    initial = sealed[position]
    if 0x40 <= initial < 0x58:
        return initial - 0x40, position + 1
    for head, size, shortest in ((0x58, 1, 24), (0x59, 2, 256)):
        if initial == head:
            start = position + 1 + size
            length = int.from_bytes(sealed[position + 1 : start], "big")
            if length >= shortest:
                return length, start
    raise Refused(Reason.NOT_COSE, "the head of its payload is wrong")


@lru_cache(maxsize=4096)
def _key(key: bytes, version: int) -> COSEKeyInterface:
    return COSEKey.from_symmetric_key(key, alg="HS256", kid=bytes((version,)))


@lru_cache(maxsize=4096)
def _external_aad(kind: Kind, tracker: str) -> bytes:
    return cbor2.dumps(["coldtrail/1", kind.direction, tracker])
