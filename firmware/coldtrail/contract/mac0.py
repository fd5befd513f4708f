"""Makes a COSE_Mac0 (cose.py). Imported for each message, then unloaded."""

from micropython import const

from coldtrail.contract.cbor import BYTES, Encoder, encode, head_size
from coldtrail.contract.cose import CoseError, headers, tag

_MAC0 = const(17)  # CBOR tag
_OVERHEAD = const(48)  # bytes of a message besides its payload and the payload's head


class Mac0(Encoder):
    """A COSE_Mac0 whose payload is written in place, so that it is never copied.

    The caller writes the payload with the encoder's methods, then calls `seal`.
    """

    def __init__(self, kid, content_type, size):
        """kid: key version, 1 to 255. content_type: BLOCK, ... size: bytes of the payload."""
        if not 1 <= kid <= 255:
            raise CoseError("key version %d is not 1 to 255" % kid)
        super().__init__(bytearray(_OVERHEAD + head_size(size) + size))
        self._protected = encode(headers(bytes((kid,)), content_type))
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
        self.bytes(tag(key, self._protected, direction, tracker_id, payload))
        return self.buffer
