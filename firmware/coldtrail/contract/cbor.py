"""Deterministic CBOR (RFC 8949, 4.2.1), limited to what the uplink contract uses.

Supported are integers, byte and text strings, arrays, maps with unsigned integer keys, false, true
and null. Floats, tags inside data, other simple values and indefinite lengths are neither written
nor read.
"""

from micropython import const

_UINT = const(0x00)
_NINT = const(0x20)
BYTES = const(0x40)
_TEXT = const(0x60)
_ARRAY = const(0x80)
_MAP = const(0xA0)
_TAG = const(0xC0)
_FALSE = const(0xF4)
_TRUE = const(0xF5)
NULL = const(0xF6)

_GROWTH = const(64)  # bytes
_LONGEST = const(4096)  # bytes


class CborError(ValueError):
    """The data is not deterministic CBOR as supported here, or a buffer is too small."""


def head_size(argument):
    """Return the size in bytes of a head with this argument (0 to 2**64 - 1): 1, 2, 3, 5 or 9."""
    if argument < 24:
        return 1
    if argument < 0x100:
        return 2
    if argument < 0x10000:
        return 3
    return 5 if argument >> 32 == 0 else 9


def int_size(value):
    """Return the encoded size of an integer in bytes."""
    return head_size(value if value >= 0 else -1 - value)


class Encoder:
    """Writes data items one after the other into `buffer`, a bytearray.

    `length` is the number of bytes written. Raises CborError when the buffer is full, unless the
    encoder may `grow` it.
    """

    def __init__(self, buffer, grow=False):
        self.buffer = buffer
        self.length = 0
        self._grow = grow

    def reserve(self, size):
        """Skip `size` bytes, which the caller fills, and return their offset."""
        start = self.length
        missing = start + size - len(self.buffer)
        if missing > 0:
            if not self._grow:
                raise CborError("buffer of %d bytes is full" % len(self.buffer))
            self.buffer.extend(bytes(max(missing, _GROWTH)))
        self.length = start + size
        return start

    def written(self):
        """Return a view of the bytes written so far."""
        return memoryview(self.buffer)[: self.length]

    def head(self, major, argument):
        """Write a head: major type (0x00 to 0xC0) and argument, 0 to 2**64 - 1."""
        if argument < 0 or argument >> 64:
            raise CborError("%d is beyond 64 bits" % argument)
        following = head_size(argument) - 1
        at = self.reserve(1 + following)
        if following == 0:
            self.buffer[at] = major | argument
            return
        info = 24
        while 1 << (info - 24) < following:
            info += 1
        self.buffer[at] = major | info
        for i in range(at + following, at, -1):
            self.buffer[i] = argument & 0xFF
            argument >>= 8

    def raw(self, items):
        """Write bytes that are already encoded items."""
        at = self.reserve(len(items))
        self.buffer[at : self.length] = items

    def int(self, value):
        """Write an integer, -2**64 to 2**64 - 1."""
        if value < 0:
            self.head(_NINT, -1 - value)
        else:
            self.head(_UINT, value)

    def bytes(self, value):
        """Write a byte string."""
        self.head(BYTES, len(value))
        self.raw(value)

    def text(self, value):
        """Write a text string."""
        value = value.encode()
        self.head(_TEXT, len(value))
        self.raw(value)

    def array(self, count):
        """Begin an array of `count` items."""
        self.head(_ARRAY, count)

    def map(self, count):
        """Begin a map of `count` pairs; the caller writes its keys in ascending order."""
        self.head(_MAP, count)

    def tag(self, number):
        """Tag the item that follows."""
        self.head(_TAG, number)

    def null(self):
        """Write null."""
        self.buffer[self.reserve(1)] = NULL

    def item(self, value):
        """Write None, a bool, an int, bytes, a str, or a list, tuple or dict of these."""
        if value is None:
            self.null()
        elif value is False or value is True:
            self.buffer[self.reserve(1)] = _TRUE if value else _FALSE
        elif isinstance(value, int):
            self.int(value)
        elif isinstance(value, str):
            self.text(value)
        elif isinstance(value, (bytes, bytearray, memoryview)):
            self.bytes(value)
        elif isinstance(value, (list, tuple)):
            self.array(len(value))
            for element in value:
                self.item(element)
        elif isinstance(value, dict):
            self.map(len(value))
            for key in sorted(value):
                self.head(_UINT, key)
                self.item(value[key])
        else:
            raise CborError("cannot encode %r" % type(value))


def encode(value):
    """Return the encoding of a small value of a type that `Encoder.item` accepts."""
    encoder = Encoder(bytearray(_GROWTH), grow=True)
    encoder.item(value)
    return bytes(encoder.written())


def _text(utf8):
    try:
        text = str(utf8, "utf-8")
    except UnicodeError:
        raise CborError("text is not UTF-8")
    # MicroPython accepts overlong forms, surrogates and code points beyond Unicode.
    size = 0
    for character in text:
        point = ord(character)
        if 0xD800 <= point <= 0xDFFF or point > 0x10FFFF:
            raise CborError("text is not UTF-8")
        size += 1 if point < 0x80 else 2 if point < 0x800 else 3 if point < 0x10000 else 4
    if size != len(utf8):
        raise CborError("text is not UTF-8")
    return text


class _Decoder:
    def __init__(self, buffer):
        self.buffer = memoryview(buffer)
        self.at = 0

    def take(self, size):
        start = self.at
        if size > len(self.buffer) - start:
            raise CborError("ends within an item")
        self.at = start + size
        return self.buffer[start : self.at]

    def argument(self, info):
        if info < 24:
            return info
        if info > 27:
            raise CborError("indefinite length or reserved head")
        size = 1 << (info - 24)
        argument = int.from_bytes(self.take(size), "big")
        if argument < (24 if size == 1 else 1 << (4 * size)):
            raise CborError("head is not the shortest")
        return argument

    def item(self, depth):
        initial = self.take(1)[0]
        major = initial & 0xE0
        if major > _MAP:
            if initial == NULL:
                return None
            if initial == _TRUE:
                return True
            if initial == _FALSE:
                return False
            raise CborError("tag, float or simple value 0x%02x" % initial)
        argument = self.argument(initial & 0x1F)
        if major == _UINT:
            return argument
        if major == _NINT:
            return -1 - argument
        if major == BYTES:
            return bytes(self.take(argument))
        if major == _TEXT:
            return _text(self.take(argument))
        if depth == 0:
            raise CborError("nested too deeply")
        # Each element takes at least one byte. Check before a list is allocated for a false count.
        if argument > len(self.buffer) - self.at:
            raise CborError("ends within an item")
        if major == _ARRAY:
            return [self.item(depth - 1) for _ in range(argument)]
        pairs = {}
        previous = -1
        for _ in range(argument):
            initial = self.take(1)[0]
            key = self.argument(initial & 0x1F)
            if initial & 0xE0 != _UINT or key <= previous:
                raise CborError("map keys are not ascending unsigned integers")
            previous = key
            pairs[key] = self.item(depth - 1)
        return pairs


def decode(buffer, max_depth=8):
    """Return the single item in `buffer` (at most 4,096 bytes).

    Raises CborError when the item is not encoded deterministically, has an unsupported type, is
    nested deeper than `max_depth` arrays and maps, is incomplete, or is followed by more bytes.
    """
    if len(buffer) > _LONGEST:
        raise CborError("%d bytes are more than %d" % (len(buffer), _LONGEST))
    decoder = _Decoder(buffer)
    value = decoder.item(max_depth)
    if decoder.at != len(buffer):
        raise CborError("bytes follow the item")
    return value
