"""ESP32 partition tables: read from a board's CSV, encoded for and decoded from flash.

The format is that of ESP-IDF, "Partition Tables": 32 bytes for each entry, then `EB EB`, 14 bytes
FF and the MD5 of the entries. The rest of the sector stays erased.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from pathlib import Path

from coldtrail_boards import files
from coldtrail_boards.errors import BoardError

OFFSET = 0x8000
SIZE = 0x1000
SECTOR = 0x1000
ROOM = 0xC00  # the bootloader reads no more

_ENTRY = struct.Struct("<2sBBII16sI")
_MAGIC = b"\xaa\x50"
_MD5 = b"\xeb\xeb" + b"\xff" * 14
_TYPES = {"app": 0, "data": 1}
_SUBTYPES = {"factory": 0, "phy": 1, "nvs": 2, "fat": 0x81}


@dataclass(frozen=True)
class Partition:
    """One entry; offset and size in bytes."""

    name: str
    type: int
    subtype: int
    offset: int
    size: int

    @property
    def end(self) -> int:
        """Offset of the first byte after the partition."""
        return self.offset + self.size


Table = tuple[Partition, ...]


def load(path: Path) -> Table:
    """Read a board's `partitions.csv`.

    Raises:
        BoardError: the file is missing or malformed.
    """
    try:
        lines = files.read_text(path).splitlines()
        rows = [line.split(",") for line in lines if line.strip() and not line.startswith("#")]
        table = tuple(_row(*(cell.strip() for cell in row)) for row in rows)
    except (KeyError, TypeError, ValueError) as error:
        raise BoardError(f"{path} is not a partition table ({error}).") from error
    end = OFFSET + SIZE
    for entry in table:
        if entry.offset < end or entry.offset % SECTOR or entry.size % SECTOR:
            raise BoardError(f"{path}: {entry.name} overlaps or is no multiple of {SECTOR:#x}.")
        end = entry.end
    return table


def _row(name: str, kind: str, subtype: str, offset: str, size: str) -> Partition:
    return Partition(name, _TYPES[kind], _SUBTYPES[subtype], int(offset, 0), int(size, 0))


def encode(table: Table) -> bytes:
    """Return the sector as the bootloader reads it."""
    entries = b"".join(
        _ENTRY.pack(
            _MAGIC, entry.type, entry.subtype, entry.offset, entry.size, entry.name.encode(), 0
        )
        for entry in table
    )
    return (entries + _MD5 + _digest(entries)).ljust(SIZE, b"\xff")


def decode(data: bytes) -> Table | None:
    """Return the table in a sector, or None when it is not complete."""
    table: list[Partition] = []
    for at in range(0, min(len(data), ROOM) - _ENTRY.size + 1, _ENTRY.size):
        if data[at : at + 16] == _MD5:
            whole = data[at + 16 : at + 32] == _digest(data[:at])
            return tuple(table) if whole else None
        magic, kind, subtype, offset, size, name, _ = _ENTRY.unpack_from(data, at)
        if magic != _MAGIC:
            return None
        table.append(
            Partition(name.rstrip(b"\0").decode("ascii", "replace"), kind, subtype, offset, size)
        )
    return None


def _digest(entries: bytes) -> bytes:
    return hashlib.md5(entries, usedforsecurity=False).digest()


def find(table: Table, name: str) -> Partition:
    """Return a partition by its name. Raises KeyError when the table does not have it."""
    for entry in table:
        if entry.name == name:
            return entry
    raise KeyError(name)
