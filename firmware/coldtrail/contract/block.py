"""Block: the log's records as columns, in a sealed message (firmware/uplink.cddl, `block`)."""

from micropython import const

from coldtrail.contract.cbor import NULL, Encoder, decode, encode, head_size, int_size
from coldtrail.contract.cose import BLOCK
from coldtrail.contract.limits import NUMBER, check, check_all
from coldtrail.contract.mac0 import Mac0

SAMPLE = const(1)  # record type; every other record type is an event type
_CLOCK_SYNC = const(4)

_VERSION = const(1)
_LARGEST = const(1349)  # bytes of payload in a sealed block of 1,400 bytes
_SAMPLES = const(96)
_EVENTS = const(64)
_CHANNELS = const(8)
_COLUMNS = const(10)  # times, status, channels
_FIXED = const(33)  # bytes: keys 0 to 5 and the head of the map, without the integers
_RESERVE = const(26)  # bytes: the longest `sync` and `urgent`, each with its key

_SECONDS = const(1073741823)
_LONGEST_INTERVAL = const(86400)
_VALUE = const(16777215)

# Limits of fields, in the notation of limits.py.
_UINT32 = (0, 4294967295)
_TIME = (0, _SECONDS)
_READING = (-_VALUE, _VALUE)
_AXIS = (-32767, 32767)
_NAME = (str, 1, 32)
_NAMED = {
    "t": _TIME,
    "u": _UINT32,
    "n": NUMBER,
    "v": _READING,
    "x": (1577836800, 4294967295),  # UTC, seconds since 1970
    "w": (0, 65535),
    "a": _AXIS,
    "p": (list, 0, 8, (_READING, _AXIS)),
}
# The fields of each event type: a name from _NAMED, an integer range smallest..largest, text of at
# most (s) or bytes of exactly (b) a length. The field after a question mark is optional. The table
# is text because it stays in memory and tuples would take twice as much.
_FIELDS = """
2 t -90000000..90000000 -180000000..180000000 u 1..2
3 0..0 n 1..5 t s16
4 t 0..999 x 0..999 u 1..3
5 t 0..255 1..4 0..9 1..4 v t v t
6 t 0..255 1..4 v v t
7 t s32 b8
8 t 1..255 1..255
9 t 1..3 u
10 t s32
11 t s32 1..4
12 t 0..1 1..4
13 t 0..31 0..15 0..1
14 t a a a
15 t w
16 t 0..4 s32 s32 x x p
17 t 1..9007199254740991 1..7 0..4 ?s64
18 t w w w w w w
19 t 0..999 0..999 w u 1..3 -200..0
20 t 0..1
21 t 0..7 v
"""
_ROW = (_TIME, _TIME) + (_READING + (None,),) * _CHANNELS  # a sample


def _limits(field):
    if field[0] in _NAMED:
        return _NAMED[field[0]]
    if field[0] == "s":
        return str, 1, int(field[1:])
    if field[0] == "b":
        return bytes, int(field[1:]), int(field[1:])
    low, high = field.split("..")
    return int(low), int(high)


def _check_event(name, event_type, values):
    """Raise ValueError unless `values` are valid fields of this event type."""
    line = _FIELDS.find("\n%d " % event_type)
    if line < 0:
        raise ValueError("%s is unknown" % name)
    fields = _FIELDS[line + 1 : _FIELDS.find("\n", line + 1)].split(" ")[1:]
    if fields[-1][0] == "?":
        optional = fields.pop()[1:]
        if isinstance(values, list) and len(values) > len(fields):
            fields.append(optional)
    check_all(name, values, [_limits(field) for field in fields])


def _silent(column):
    return 0 if column < 2 else None


class Builder:
    """Collects records, in log order, until they fill a block.

    chain: 8 bytes. number: of the block, from 1. previous: 16 bytes, `digest` of the block before
    (zeros for block 1). boot: boot number of every record. first_sequence: sequence number of the
    first record. interval: seconds between samples, the same for the whole block. shipment: id of
    1 to 32 bytes of UTF-8, or None. Any other value raises ValueError.

    Two attributes may be set until `seal`. `urgent`: True when a person must act. `sync`: the
    newest clock sync of this boot as (t, ms, unix, unix_ms, uncertainty, source), or None. A sync
    equal to the last clock-sync event of the block is not written a second time.
    """

    def __init__(self, chain, number, previous, boot, first_sequence, interval, shipment):
        check("chain", chain, (bytes, 8, 8))
        check("number", number, NUMBER)
        check("previous", previous, (bytes, 16, 16))
        check("boot", boot, NUMBER)
        check("first_sequence", first_sequence, _UINT32)
        check("interval", interval, (1, _LONGEST_INTERVAL))
        if shipment is not None:
            check("shipment", shipment, _NAME)
        self.urgent = False
        self.sync = None
        self._last_sync = None
        self._identity = (_VERSION, chain, number, previous, boot, first_sequence)
        self._shipment = shipment
        self._interval = interval
        self._count = 0
        self._first = 0
        self._last = 0
        self._values: list = [None] * _CHANNELS
        # The values of times, status and channels, encoded as in the block but stored row by row.
        # A column starts with the row of its first non-silent value. Each silent value before that
        # takes one byte in the block and none here.
        self._rows = Encoder(bytearray(0), grow=True)
        self._begins: list = [None] * _COLUMNS
        self._lengths = [0] * _COLUMNS
        self._samples_size = 0
        self._events = Encoder(bytearray(0), grow=True)
        self._event_count = 0
        self._events_size = 0
        self._fixed_size = _FIXED + _RESERVE
        for value in self._identity:
            if isinstance(value, int):
                self._fixed_size += head_size(value)
        if shipment is not None:
            self._fixed_size += 1 + head_size(len(shipment.encode())) + len(shipment.encode())

    def add(self, record_type, payload):
        """Add a record (type and payload as in the log); return False, adding nothing, if full.

        Raises ValueError when the type is unknown or the payload violates the contract.
        """
        if record_type == SAMPLE:
            return self._add_sample(payload)
        values = decode(payload, 3)
        _check_event("record type %d" % record_type, record_type, values)
        count = self._event_count + 1
        # The one-byte array head of the payload is replaced by a longer array head and the type.
        size = 1 + head_size(count) + self._events.length + len(payload) + 1
        if count > _EVENTS or self._fixed_size + self._samples_size + size > _LARGEST:
            return False
        self._events.array(len(values) + 1)
        self._events.int(record_type)
        self._events.raw(memoryview(payload)[1:])
        self._event_count = count
        self._events_size = size
        if record_type == _CLOCK_SYNC:
            self._last_sync = tuple(values)
        return True

    def _add_sample(self, payload):
        row = decode(payload, 1)
        check_all("sample", row, _ROW)
        count = self._count + 1
        t = row[0]
        if count == 1:
            first = t
            row[0] = 0
        else:
            first = self._first
            row[0] = t - self._last - self._interval
            if t < self._last:
                raise ValueError("sample: %d s after one at %d s" % (t, self._last))
        values = row[2:]
        for channel in range(_CHANNELS):
            last = self._values[channel]
            if values[channel] is None:
                values[channel] = last
            elif last is not None:
                row[2 + channel] -= last
                if not -_VALUE <= row[2 + channel] <= _VALUE:
                    return False
        size = 5 + head_size(count) + head_size(first) + head_size(self._interval)
        for i in range(_COLUMNS):
            if self._begins[i] is not None or row[i] != _silent(i):
                entries = count - 1 if i == 0 else count
                size += 1 + head_size(entries) + (1 if row[i] is None else int_size(row[i]))
                size += entries - 1 if self._begins[i] is None else self._lengths[i]
        if count > _SAMPLES or self._fixed_size + self._events_size + size > _LARGEST:
            return False
        for i in range(_COLUMNS):
            if self._begins[i] is None:
                if row[i] == _silent(i):
                    continue
                self._begins[i] = count - 1
                self._lengths[i] = count - 2 if i == 0 else count - 1
            start = self._rows.length
            self._rows.item(row[i])
            self._lengths[i] += self._rows.length - start
        self._count = count
        self._first = first
        self._last = t
        self._values = values
        self._samples_size = size
        return True

    def seal(self, key, kid, tracker_id):
        """Return the sealed block, at most 1,400 bytes; the same records give the same bytes.

        key: the tracker's uplink key of version `kid`, 32 bytes. tracker_id: [A-Z0-9-]{1,23}.
        """
        sync = self.sync
        if sync is not None:
            _check_event("sync", _CLOCK_SYNC, list(sync))
            sync = None if tuple(sync) == self._last_sync else encode(sync)
        size = self._fixed_size - _RESERVE + self._samples_size + self._events_size
        size += (0 if sync is None else 1 + len(sync)) + (2 if self.urgent else 0)
        optional = (sync, self._shipment, self._count or None, self._event_count or None)
        payload = Mac0(kid, BLOCK, size)
        payload.map(len(self._identity) + 4 - optional.count(None) + bool(self.urgent))
        for i, value in enumerate(self._identity):
            payload.int(i)
            payload.item(value)
        if sync is not None:
            payload.int(6)
            payload.raw(sync)
        if self._shipment is not None:
            payload.int(7)
            payload.text(self._shipment)
        if self._count:
            payload.int(8)
            self._write_samples(payload)
        if self._event_count:
            payload.int(9)
            payload.array(self._event_count)
            payload.raw(self._events.written())
        if self.urgent:
            payload.int(10)
            payload.int(1)
        return payload.seal(key, "up", tracker_id)

    def _write_samples(self, payload):
        begins = self._begins
        payload.map(3 + _COLUMNS - begins.count(None))
        for i, value in enumerate((self._count, self._first, self._interval)):
            payload.int(i)
            payload.int(value)
        ends = [0] * _COLUMNS
        for i in range(_COLUMNS):
            if begins[i] is not None:
                payload.int(3 + i if i < 2 else 6 + i)
                payload.array(self._count - 1 if i == 0 else self._count)
                ends[i] = payload.reserve(self._lengths[i])
                for _ in range(begins[i] - 1 if i == 0 else begins[i]):
                    payload.buffer[ends[i]] = NULL if _silent(i) is None else 0
                    ends[i] += 1
        rows = self._rows.buffer
        at = 0
        for row in range(self._count):
            for i in range(_COLUMNS):
                if begins[i] is not None and begins[i] <= row:
                    info = rows[at] & 0x1F
                    for _ in range(1 if info < 24 else 1 + (1 << (info - 24))):
                        payload.buffer[ends[i]] = rows[at]
                        ends[i] += 1
                        at += 1
