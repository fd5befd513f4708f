"""COSE_Mac0 (RFC 9052, 6.2) with HMAC 256/256 (RFC 9053, 3.1), the envelope of every message.

This module opens messages; mac0.py makes them.
"""

from hashlib import sha256

from micropython import const

from coldtrail.contract.cbor import BYTES, CborError, Encoder, decode, encode

BLOCK = const(65001)  # content types
CONFIRMATION = const(65002)
COMMAND = const(65003)

_MAC0 = const(17)  # CBOR tag
_HMAC_256 = const(5)  # algorithm
_ALG = const(1)  # header parameters, RFC 9052 table 3
_CONTENT_TYPE = const(3)
_KID = const(4)
_SHA256_BLOCK = const(64)  # bytes


class CoseError(ValueError):
    """The message violates the uplink contract or is not authentic."""


def hmac_sha256(key, *parts):
    """Return the HMAC-SHA-256 (RFC 2104), 32 bytes, over the concatenated parts."""
    if len(key) > _SHA256_BLOCK:
        key = sha256(key).digest()
    pad = bytearray(_SHA256_BLOCK)
    pad[: len(key)] = key
    for i in range(_SHA256_BLOCK):
        pad[i] ^= 0x36
    digest = sha256(pad)
    for part in parts:
        digest.update(part)
    for i in range(_SHA256_BLOCK):
        pad[i] ^= 0x36 ^ 0x5C
    outer = sha256(pad)
    outer.update(digest.digest())
    return outer.digest()


def _same(a, b):
    # Compare every byte, so that the time does not depend on where the two differ.
    difference = len(a) ^ len(b)
    for x, y in zip(a, b):
        difference |= x ^ y
    return difference == 0


def headers(kid, content_type):
    """Return the protected headers; ``kid``: key version, one byte."""
    return {_ALG: _HMAC_256, _CONTENT_TYPE: content_type, _KID: kid}


def tag(key, protected, direction, tracker_id, payload):
    """Return the MAC, 32 bytes; ``protected``: the encoded headers."""
    # The MAC_structure of RFC 9052, 6.3. Its last item, the payload, is hashed without a copy.
    structure = Encoder(bytearray(96), grow=True)
    structure.array(4)
    structure.text("MAC0")
    structure.bytes(protected)
    structure.bytes(encode(("coldtrail/1", direction, tracker_id)))
    structure.head(BYTES, len(payload))
    return hmac_sha256(key, structure.written(), payload)


def open_mac0(message, key_for_kid, content_type, direction, tracker_id):
    """Return the payload of an authentic message.

    key_for_kid(kid) returns the key of a key version, or None. Raises CoseError unless the message
    is exactly what `Mac0` makes from the same arguments.
    """
    if not len(message) or message[0] != 0xC0 | _MAC0:
        raise CoseError("not a tagged COSE_Mac0")
    try:
        parts = decode(memoryview(message)[1:], 2)
        if not isinstance(parts, list) or len(parts) != 4 or parts[1] != {}:
            raise CoseError("not a COSE_Mac0 without unprotected headers")
        protected, _, payload, mac = parts
        if not (isinstance(protected, bytes) and isinstance(payload, bytes)):
            raise CoseError("not a COSE_Mac0 with its payload")
        header = decode(protected, 1)
    except CborError as error:
        raise CoseError("not deterministic CBOR: %s" % error)
    kid = header.get(_KID) if isinstance(header, dict) else None
    if not isinstance(kid, bytes) or len(kid) != 1:
        raise CoseError("no key version")
    if header != headers(kid, content_type):
        raise CoseError("other algorithm, content type or headers")
    key = key_for_kid(kid[0]) if kid[0] else None
    if key is None:
        raise CoseError("key version %d is unknown" % kid[0])
    if not isinstance(mac, bytes) or not _same(
        mac, tag(key, protected, direction, tracker_id, payload)
    ):
        raise CoseError("wrong MAC")
    return payload


def digest(message):
    """Return the first 16 bytes of SHA-256 over a message, as in the next block's `previous`."""
    return sha256(message).digest()[:16]
