"""Decodes a tracker's flash log from a raw image of its flash, and reports damage.

The module is written from firmware/coldtrail/log/FLASHLOG.md alone and shares no code with the
firmware, so that each can be checked against the other.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

import cbor2

from coldtrail_boards.errors import BoardError
from coldtrail_boards.printable import printable
from coldtrail_boards.records import describe as describe_fields

SLOT, DATA, HEAD = 20, 40, 8
HEADER = struct.Struct("<2sBBHHIII")
SPAN = 1024
# Types of the contract (firmware/uplink.cddl); from 28 on, types of the log itself.
TYPES = {
    1: "sample", 2: "position", 3: "boot", 4: "clock sync", 5: "alarm start", 6: "alarm end",
    7: "configuration", 8: "key change", 9: "log gap", 10: "shipment start", 11: "shipment stop",
    12: "flight mode", 13: "fault", 14: "shock", 15: "free fall", 16: "calibration",
    17: "command outcome", 18: "radio", 19: "cell", 20: "service",
    21: "repeated", 22: "doubted time",
    28: "sealed block", 29: "confirmation", 30: "checkpoint",
}  # fmt: skip
BLOCK, CHECKPOINT = 28, 30
BLOCK_HEAD = struct.Struct("<IIB")


class ImageError(BoardError):
    """The image holds no readable log; the message gives the reason in one sentence."""


class State(StrEnum):
    """The state of a sector."""

    LOG = "part of the log"
    FREE = "free"
    RETIRED = "retired"
    UNKNOWN = "of another version"
    LOST = "header unreadable"


class Header(NamedTuple):
    """A sector's header."""

    geometry: int
    erases: int
    tail: int
    opening: int
    first: int
    repaired: bool


class Record(NamedTuple):
    """A record of the log."""

    sequence: int
    kind: int
    payload: bytes


@dataclass
class Dump:
    """The content of a log in an image."""

    records: list[Record] = field(default_factory=list)
    states: list[State] = field(default_factory=list)
    erases: list[int] = field(default_factory=list)
    damage: list[str] = field(default_factory=list)


def _slot(data: bytes) -> Header | int | None:
    """Return a header, the number of an unknown version, or None."""
    magic, version, geometry, erases, tail, opening, first, crc = HEADER.unpack(data)
    if magic != b"CL" or zlib.crc32(data[:16]) != crc:
        return None
    if version != 1:
        return int(version)
    return Header(geometry, erases, tail, opening, first, repaired=False)


def _header(data: bytes) -> Header | State:
    slots = (data[SLOT:DATA], data[:SLOT])
    for slot in slots:
        found = _slot(slot)
        if isinstance(found, Header):
            return found
        if found is not None:
            return State.UNKNOWN
    if data == b"\xff" * DATA:
        return State.FREE
    if sum(byte != 0 for byte in data) <= 4:
        return State.RETIRED
    for bit in range(8 * SLOT):
        mended = bytearray(slots[1])
        mended[bit // 8] ^= 1 << bit % 8
        found = _slot(bytes(mended))
        if isinstance(found, Header):
            return found._replace(repaired=True)
    return State.LOST


class Ring:
    """The sectors of one log.

    Args:
        image: the raw bytes of the flash, or of the part that holds the log.

    Raises:
        ImageError: the image has no sector header.
    """

    def __init__(self, image: bytes) -> None:
        self._image = image
        geometry = self._geometry()
        self.size = 1 << (geometry & 31)
        self._unit = 1 << (geometry >> 5)
        self.count = len(image) // self.size
        self.headers = [
            _header(image[at : at + DATA]) for at in range(0, self.count * self.size, self.size)
        ]

    def _geometry(self) -> int:
        # A sector size is a power of two from 256 bytes on. The first header found states it.
        unknown = False
        for at in range(0, len(self._image) - DATA, 256):
            if self._image[at] != 0x43 and self._image[at + SLOT] != 0x43:
                continue
            found = _header(self._image[at : at + DATA])
            if isinstance(found, Header) and at % (1 << (found.geometry & 31)) == 0:
                return found.geometry
            unknown = unknown or found is State.UNKNOWN
        if unknown:
            raise ImageError("the log is of a newer version than this program knows; update it.")
        raise ImageError(
            "no log is in this image; read it from where the ring begins (see --offset)."
        )

    def _space(self, length: int) -> int:
        return -(-(HEAD + length) // self._unit) * self._unit

    def record(self, sector: int, offset: int, first: int) -> Record | None:
        """Return the valid record at ``offset``, or None."""
        if offset + HEAD > self.size:
            return None
        at = sector * self.size + offset
        word, low, crc = struct.unpack_from("<HHI", self._image, at)
        length, kind = word & 0x7FF, word >> 11
        sequence = first + (low - first) % 65536
        if sequence - first >= SPAN or not 1 <= kind <= 30:
            return None
        if offset + self._space(length) > self.size:
            return None
        payload = self._image[at + HEAD : at + HEAD + length]
        if zlib.crc32(payload, zlib.crc32(self._image[at : at + 4], sequence >> 16)) != crc:
            return None
        return Record(sequence, kind, payload)

    def records(self, sector: int, first: int) -> list[Record]:
        """Return the records of a sector that no later record replaces."""
        found: list[Record] = []
        offset = DATA
        while offset + HEAD <= self.size:
            record = self.record(sector, offset, first)
            if record is None:
                offset += self._unit
                continue
            while found and found[-1].sequence >= record.sequence:
                found.pop()
            found.append(record)
            offset += self._space(len(record.payload))
        return found

    def head(self) -> int | None:
        """Return the newest sector that holds a record."""
        openings = sorted(
            (
                (header.opening, sector)
                for sector, header in enumerate(self.headers)
                if isinstance(header, Header) and header.opening
            ),
            reverse=True,
        )
        for _, sector in openings:
            header = self.headers[sector]
            if isinstance(header, Header) and self.records(sector, header.first):
                return sector
        return None

    def live(self, head: int) -> Iterator[tuple[int, Header | State]]:
        """Yield the sectors from tail to head, oldest first."""
        newest = self.headers[head]
        if not isinstance(newest, Header):
            return
        oldest = 0
        sector = newest.tail % self.count
        while True:
            header = self.headers[sector]
            if isinstance(header, Header):
                if oldest <= header.opening <= newest.opening and header.opening:
                    oldest = oldest or header.opening
                    yield sector, header
            elif oldest and header is not State.RETIRED:
                yield sector, header
            if sector == head:
                return
            sector = (sector + 1) % self.count


def decode(image: bytes) -> Dump:
    """Decode an image.

    Raises:
        ImageError: the image holds no log.
    """
    ring = Ring(image)
    dump = Dump()
    dump.states = [h if isinstance(h, State) else State.FREE for h in ring.headers]
    dump.erases = [h.erases for h in ring.headers if isinstance(h, Header)]
    head = ring.head()
    if head is None:
        return dump
    live = list(ring.live(head))
    expected: int | None = None
    for place, (sector, header) in enumerate(live):
        if not isinstance(header, Header):
            if header is State.LOST:
                dump.damage.append(f"sector {sector}: its header cannot be read")
            continue
        dump.states[sector] = State.LOG
        if header.repaired:
            dump.damage.append(f"sector {sector}: one flipped bit in its header, corrected")
        later = [h.first for _, h in live[place + 1 :] if isinstance(h, Header)]
        bound = later[0] if later else None
        expected = header.first if expected is None else expected
        for record in ring.records(sector, header.first):
            if bound is not None and record.sequence >= bound:
                break
            if record.sequence > expected:
                dump.damage.append(_missing(expected, record.sequence - 1))
            if record.sequence >= expected:
                dump.records.append(record)
                expected = record.sequence + 1
        if bound is not None and bound > expected:
            dump.damage.append(_missing(expected, bound - 1))
            expected = bound
    return dump


def _missing(first: int, last: int) -> str:
    if first == last:
        return f"record {first} is damaged"
    return f"records {first} to {last} are damaged"


def describe(record: Record) -> str:
    """Return a record as one line of text."""
    name = TYPES.get(record.kind, f"type {record.kind}")
    if record.kind == BLOCK and len(record.payload) > BLOCK_HEAD.size:
        number, last, _ = BLOCK_HEAD.unpack_from(record.payload)
        size = len(record.payload) - BLOCK_HEAD.size
        text = f"number {number}, up to record {last}, {size} bytes"
    elif record.kind == CHECKPOINT:
        text = f"{len(record.payload)} bytes"  # only the firmware that wrote it can read it
    else:
        try:
            value = cbor2.loads(record.payload)
        except (cbor2.CBORDecodeError, ValueError):
            text = record.payload.hex()
        else:
            named = describe_fields(record.kind, value) if isinstance(value, list) else None
            text = printable(named or str(value))
    return f"{record.sequence:>9}  {name:<15}  {text}"


def summary(dump: Dump) -> list[str]:
    """Return the result as lines of text: records, sectors, wear, damage."""
    lines = []
    if dump.records:
        first, last = dump.records[0].sequence, dump.records[-1].sequence
        lines.append(f"{len(dump.records)} records, {first} to {last}")
    else:
        lines.append("no records")
    counts = {state: dump.states.count(state) for state in State}
    lines.append(
        f"{len(dump.states)} sectors: "
        + ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    )
    if dump.erases:
        lines.append(f"erases of a sector: {min(dump.erases)} to {max(dump.erases)}")
    lines += dump.damage or ["no damage"]
    return lines
