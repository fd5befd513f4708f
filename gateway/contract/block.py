"""Decodes a block's payload into samples and events, within the ranges of `uplink.cddl`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from coldtrail_gateway.contract import cbor
from coldtrail_gateway.contract.cbor import CborError, Value
from coldtrail_gateway.contract.events import SAMPLED, EventType
from coldtrail_gateway.contract.fields import (
    COUNTER,
    EVENTS,
    GAP_DIFFERENCE,
    INTERVAL,
    READING,
    SECONDS,
    SHIPMENT,
    SYNC,
    U32,
    Bytes,
    Field,
    Int,
    Optional,
    Range,
    Rows,
    Text,
)

CHAIN_SIZE: Final = 8
HASH_SIZE: Final = 16

_VERSION: Final = 1
_MAX_SAMPLES: Final = 96
_MAX_EVENTS: Final = 64
_FIRST_COLUMN: Final = 8


class BlockError(ValueError):
    """A payload that is not a block of this contract; the message says where."""


@dataclass(frozen=True, slots=True)
class Head:
    """The place of a block in its chain; keys 0 to 3 have the same meaning in every version."""

    chain: bytes
    number: int
    previous: bytes


@dataclass(frozen=True, slots=True)
class Sync:
    """A moment that is known both in ms since boot and in UTC (ms since 1970)."""

    t_ms: int
    utc_ms: int
    uncertainty_ms: int
    source: int


@dataclass(frozen=True, slots=True)
class Sample:
    """One reading of all channels, in the contract's units; None: absent, see the status."""

    t: int
    status: int
    values: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Event:
    """One record other than a sample, its fields by the contract's names."""

    type: EventType
    t: int
    fields: Mapping[str, Field]

    @property
    def name(self) -> str:
        """The contract's name of its type."""
        return self.type.label

    def number(self, name: str) -> int:
        """Return a field that is an integer."""
        return _number(self.fields, name)

    def sync(self) -> Sync | None:
        """Return the time that a source gave, also a doubted one; None for any other event."""
        told = self.type in {EventType.CLOCK_SYNC, EventType.DOUBTED_TIME}
        return _sync(self.fields) if told else None


@dataclass(frozen=True, slots=True)
class Block:
    """A decoded block. Every `t` counts seconds from boot number `boot`."""

    head: Head
    boot: int
    sequence: int
    sync: Sync | None
    shipment: str | None
    interval: int | None
    samples: tuple[Sample, ...]
    events: tuple[Event, ...]
    urgent: bool


def read_head(payload: bytes) -> Head:
    """Return chain, number and previous hash, whatever the rest of the payload is.

    Raises:
        BlockError: the payload does not begin as a block of any version.
    """
    try:
        entries = cbor.decode_entries_below(payload, 4)
    except CborError as error:
        raise BlockError(str(error)) from None
    return _head(entries)


def decode(payload: bytes) -> Block:
    """Return the block that a payload holds.

    Raises:
        BlockError: not deterministic CBOR, or a field is missing, unknown or out of its range.
    """
    try:
        value = cbor.decode(payload)
    except CborError as error:
        raise BlockError(str(error)) from None
    if not isinstance(value, dict):
        raise BlockError("not a map")
    if value.get(0) != _VERSION:
        raise BlockError(f"version {value.get(0)!r:.20} of the contract is not known here")
    if unknown := value.keys() - range(11):
        raise BlockError(f"key {min(unknown)} is unknown")
    interval, samples = _samples(value[8]) if 8 in value else (None, ())
    return Block(
        head=_head(value),
        boot=_int(value.get(4), COUNTER, "key 4 (boot)"),
        sequence=_int(value.get(5), U32, "key 5 (sequence)"),
        sync=_sync(_fields(value[6], SYNC, "key 6 (sync)")) if 6 in value else None,
        shipment=_text(value[7], SHIPMENT, "key 7 (shipment)") if 7 in value else None,
        interval=interval,
        samples=samples,
        events=_events(value[9]) if 9 in value else (),
        urgent=10 in value and _int(value[10], Int(1, 1), "key 10 (urgent)") == 1,
    )


def _head(entries: Mapping[int, Value]) -> Head:
    return Head(
        chain=_bytes(entries.get(1), Bytes(CHAIN_SIZE), "key 1 (chain)"),
        number=_int(entries.get(2), COUNTER, "key 2 (number)"),
        previous=_bytes(entries.get(3), Bytes(HASH_SIZE), "key 3 (previous hash)"),
    )


def _samples(value: Value) -> tuple[int, tuple[Sample, ...]]:
    if not isinstance(value, dict):
        raise BlockError("key 8 (samples) is not a map")
    if unknown := value.keys() - {0, 1, 2, 3, 4, *range(8, 16)}:
        raise BlockError(f"key 8 (samples): key {min(unknown)} is unknown")
    count = _int(value.get(0), Int(1, _MAX_SAMPLES), "samples, key 0 (n)")
    interval = _int(value.get(2), INTERVAL, "samples, key 2 (interval)")
    times = [_int(value.get(1), SECONDS, "samples, key 1 (t)")]
    differences = [0] * (count - 1)
    if 3 in value:
        differences = _ints(value[3], count - 1, GAP_DIFFERENCE, "samples, key 3 (times)")
        if not any(differences):
            raise BlockError("samples, key 3 (times) says nothing")
    for difference in differences:
        times.append(times[-1] + interval + difference)
    if times[-1] > SECONDS.high or any(later < earlier for earlier, later in pairwise(times)):
        raise BlockError("samples, key 3 (times): a time lies before the one before it")
    status = [0] * count
    if 4 in value:
        status = _ints(value[4], count, SECONDS, "samples, key 4 (status)")
        if not any(status):
            raise BlockError("samples, key 4 (status) says nothing")
    columns = [
        _column(value[key], count, key) if key in value else (None,) * count
        for key in range(_FIRST_COLUMN, _FIRST_COLUMN + len(SAMPLED))
    ]
    rows = zip(times, status, zip(*columns, strict=True), strict=True)
    return interval, tuple(Sample(*row) for row in rows)


def _column(value: Value, count: int, key: int) -> tuple[int | None, ...]:
    where = f"samples, key {key} ({SAMPLED[key - _FIRST_COLUMN].label})"
    entries = _list(value, count, where)
    readings: list[int | None] = []
    last = 0
    low, high = READING
    for entry in entries:
        if entry is None:
            readings.append(None)
            continue
        # bool cannot come out of the reader, so int is exact.
        if not isinstance(entry, int) or not low <= entry <= high:
            raise BlockError(f"{where}: {entry!r:.20} is out of range")
        last += entry
        if not low <= last <= high:
            raise BlockError(f"{where}: the reading {last} is out of range")
        readings.append(last)
    if all(reading is None for reading in readings):
        raise BlockError(f"{where} has no reading")
    return tuple(readings)


def _events(value: Value) -> tuple[Event, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= _MAX_EVENTS:
        raise BlockError(f"key 9 (events) is not an array of 1 to {_MAX_EVENTS}")
    return tuple(_event(item, index) for index, item in enumerate(value))


def _event(value: Value, index: int) -> Event:
    where = f"event {index}"
    if not isinstance(value, list) or not value or not isinstance(value[0], int):
        raise BlockError(f"{where} is not an array that begins with its type")
    if value[0] not in EVENTS:
        raise BlockError(f"{where}: type {value[0]} is unknown")
    kind = EventType(value[0])
    fields = _fields(value[1:], EVENTS[kind], f"{where} ({kind.label})")
    return Event(kind, _number(fields, "t"), fields)


def _fields(value: Value, ranges: Mapping[str, Range], where: str) -> dict[str, Field]:
    names = list(ranges)
    if isinstance(value, list) and len(value) < len(names):
        names = [name for name in names if not isinstance(ranges[name], Optional)]
    return {
        name: _field(item, ranges[name], f"{where}, {name}")
        for name, item in zip(names, _list(value, len(names), where), strict=True)
    }


def _field(value: Value, limits: Range, where: str) -> Field:
    match limits:
        case Int():
            return _int(value, limits, where)
        case Text():
            return _text(value, limits, where)
        case Optional(present):
            return _text(value, present, where)
        case Bytes():
            return _bytes(value, limits, where)
        case Rows(longest, columns):
            if not isinstance(value, list) or len(value) > longest:
                raise BlockError(f"{where} is not an array of at most {longest}")
            return [_row(row, columns, where) for row in value]


def _row(value: Value, columns: tuple[Int, ...], where: str) -> list[int]:
    items = _list(value, len(columns), where)
    return [_int(item, limits, where) for item, limits in zip(items, columns, strict=True)]


def _sync(fields: Mapping[str, Field]) -> Sync:
    t, ms, unix, unix_ms, uncertainty, source = (_number(fields, name) for name in SYNC)
    return Sync(t * 1000 + ms, unix * 1000 + unix_ms, uncertainty, source)


def _number(fields: Mapping[str, Field], name: str) -> int:
    value = fields[name]
    if not isinstance(value, int):
        raise TypeError(f"{name} is no integer")
    return value


def _list(value: Value, count: int, where: str) -> list[Value]:
    if not isinstance(value, list) or len(value) != count:
        raise BlockError(f"{where} is not an array of {count}")
    return value


def _ints(value: Value, count: int, limits: Int, where: str) -> list[int]:
    return [_int(item, limits, where) for item in _list(value, count, where)]


def _int(value: Value, limits: Int, where: str) -> int:
    if not isinstance(value, int):
        raise BlockError(f"{where} is missing or not an integer")
    if not limits.low <= value <= limits.high:
        raise BlockError(f"{where}: {value} is not in {limits.low}..{limits.high}")
    return value


def _text(value: Value, limits: Text, where: str) -> str:
    if not isinstance(value, str) or not 1 <= len(value.encode()) <= limits.size:
        raise BlockError(f"{where} is not a text of 1 to {limits.size} bytes")
    return value


def _bytes(value: Value, limits: Bytes, where: str) -> bytes:
    if not isinstance(value, bytes) or len(value) != limits.size:
        raise BlockError(f"{where} is not {limits.size} bytes")
    return value
