"""COSE_Mac0 (RFC 9052, 6.2) with HMAC 256/256 (RFC 9053, 3.1), the envelope of every message."""

from hashlib import sha256

from micropython import const

from coldtrail.contract.cbor import BYTES, CborError, Encoder, decode, encode, head_size

BLOCK = const(65001)  # content types
CONFIRMATION = const(65002)
COMMAND = const(65003)

_MAC0 = const(17)  # CBOR tag
_HMAC_256 = const(5)  # algorithm
_ALG = const(1)  # header parameters, RFC 9052 table 3
_CONTENT_TYPE = const(3)
_KID = const(4)
_SHA256_BLOCK = const(64)  # bytes
_OVERHEAD = const(48)  # bytes of a message beyond its payload and the payload's head


class CoseError(ValueError):
    """Not a message of the uplink contract, or not authentic."""


def hmac_sha256(key, *parts):
    """Return HMAC-SHA-256 (RFC 2104), 32 bytes, over the parts as if they were one string."""
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
    # Takes the same time wherever the two differ.
    difference = len(a) ^ len(b)
    for x, y in zip(a, b):
        difference |= x ^ y
    return difference == 0


def _tag(key, protected, direction, tracker_id, payload):
    # MAC_structure, RFC 9052, 6.3; its last item, the payload, is hashed where it lies.
    structure = Encoder(bytearray(96), grow=True)
    structure.array(4)
    structure.text("MAC0")
    structure.bytes(protected)
    structure.bytes(encode(("coldtrail/1", direction, tracker_id)))
    structure.head(BYTES, len(payload))
    return hmac_sha256(key, structure.written(), payload)


class Mac0(Encoder):
    """A COSE_Mac0 that is written where it will stand, so that a payload is never copied.

    The caller writes the payload with the encoder's methods, then calls `seal`.
    """

    def __init__(self, kid, content_type, size):
        """kid: key version, 1 to 255. content_type: BLOCK, ... size: that of the payload."""
        if not 1 <= kid <= 255:
            raise CoseError("key version %d is not 1 to 255" % kid)
        super().__init__(bytearray(_OVERHEAD + head_size(size) + size))
        headers = {_ALG: _HMAC_256, _CONTENT_TYPE: content_type, _KID: bytes((kid,))}
        self._protected = encode(headers)
        self.tag(_MAC0)
        self.array(4)
        self.bytes(self._protected)
        self.map(0)
        self.head(BYTES, size)
        self._payload = self.length
        self._end = self.length + size

    def seal(self, key, direction, tracker_id):
        """Return the message, a bytearray. key: 32 bytes. direction: "up" or "down"."""
        if self.length != self._end:
            raise CoseError("payload is not of the size announced")
        payload = memoryview(self.buffer)[self._payload : self._end]
        self.bytes(_tag(key, self._protected, direction, tracker_id, payload))
        return self.buffer


def mac0(key, kid, content_type, direction, tracker_id, payload):
    """Return the tagged COSE_Mac0 over `payload`, a bytearray; see Mac0 for the arguments.

    The same arguments give the same bytes.
    """
    message = Mac0(kid, content_type, len(payload))
    message.raw(payload)
    return message.seal(key, direction, tracker_id)


def open_mac0(message, key_for_kid, content_type, direction, tracker_id):
    """Return the payload of an authentic message.

    key_for_kid(kid) returns the key of a key version, or None. Raises CoseError for anything but
    a message that `mac0` makes from these very arguments.
    """
    if not len(message) or message[0] != 0xC0 | _MAC0:
        raise CoseError("not a tagged COSE_Mac0")
    try:
        parts = decode(memoryview(message)[1:], 2)
        if not isinstance(parts, list) or len(parts) != 4 or parts[1] != {}:
            raise CoseError("not a COSE_Mac0 without unprotected headers")
        protected, _, payload, tag = parts
        if not (isinstance(protected, bytes) and isinstance(payload, bytes)):
            raise CoseError("not a COSE_Mac0 with its payload")
        header = decode(protected, 1)
    except CborError as error:
        raise CoseError("not deterministic CBOR: %s" % error)
    kid = header.get(_KID) if isinstance(header, dict) else None
    if not isinstance(kid, bytes) or len(kid) != 1:
        raise CoseError("no key version")
    if header != {_ALG: _HMAC_256, _CONTENT_TYPE: content_type, _KID: kid}:
        raise CoseError("other algorithm, content type or headers")
    key = key_for_kid(kid[0]) if kid[0] else None
    if key is None:
        raise CoseError("key version %d is unknown" % kid[0])
    if not isinstance(tag, bytes) or not _same(
        tag, _tag(key, protected, direction, tracker_id, payload)
    ):
        raise CoseError("wrong MAC")
    return payload


def digest(message):
    """Return the first 16 bytes of SHA-256 over a message; each block holds that of the last."""
    return sha256(message).digest()[:16]
