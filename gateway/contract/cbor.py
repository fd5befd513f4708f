"""Reads the contract's subset of CBOR (RFC 8949), and nothing else.

The subset is deterministic (RFC 8949, 4.2.1): shortest heads, definite lengths, integer map keys
in ascending order; no tags, no floats, no simple values except null. A general decoder cannot be
used here. It acts on tags before the caller can refuse them (a regular expression in tag 35 takes
a third of a second for 500 bytes), and it accepts encodings that are not deterministic.
"""

from __future__ import annotations

from typing import Final, TypeAlias

Value: TypeAlias = int | bytes | str | list["Value"] | dict[int, "Value"] | None

MAX_DEPTH: Final = 8

_BYTES, _TEXT, _ARRAY, _MAP = range(2, 6)
_NULL: Final = 0xF6


class CborError(ValueError):
    """Not in the contract's subset of CBOR; the message says what and at which byte."""


def decode(data: bytes) -> Value:
    """Return the one item that `data` holds.

    Raises:
        CborError: not in the subset, nested deeper than `MAX_DEPTH`, or bytes left over.
    """
    value, position = _item(data, 0, MAX_DEPTH)
    if position != len(data):
        raise CborError(f"{len(data) - position} bytes follow the item at byte {position}")
    return value


def decode_entries_below(data: bytes, limit: int) -> dict[int, Value]:
    """Return the leading entries of a map whose keys are below `limit`.

    The function does not read what follows them. So an entry of a later version does not hide the
    entries that every version has.

    Raises:
        CborError: `data` is not a map, or an entry before the first key at `limit` is malformed.
    """
    major, count, position = _head(data, 0)
    if major != _MAP:
        raise CborError("not a map")
    entries: dict[int, Value] = {}
    for _ in range(count):
        key, position = _key(data, position, max(entries, default=None))
        if key >= limit:
            break
        entries[key], position = _item(data, position, MAX_DEPTH - 1)
    return entries


def _head(data: bytes, position: int) -> tuple[int, int, int]:
    """Return major type, argument and the position after the head."""
    try:
        initial = data[position]
    except IndexError:
        raise CborError(f"ends at byte {position}, where an item is due") from None
    major, info = initial >> 5, initial & 0x1F
    position += 1
    if info < 24:
        return major, info, position
    if info > 27:
        raise CborError(f"byte {position - 1} (0x{initial:02x}) is no definite length")
    size = 1 << (info - 24)
    argument = int.from_bytes(data[position : position + size], "big")
    if position + size > len(data):
        raise CborError(f"ends in the head at byte {position - 1}")
    if argument < (24 if size == 1 else 1 << (size * 4)):
        raise CborError(f"the head at byte {position - 1} is not the shortest")
    return major, argument, position + size


def _key(data: bytes, position: int, last: int | None) -> tuple[int, int]:
    start = position
    major, key, position = _head(data, position)
    if major != 0:
        raise CborError(f"the map key at byte {start} is not an unsigned integer")
    if last is not None and key <= last:
        raise CborError(f"map key {key} at byte {start} does not come after {last}")
    return key, position


def _item(data: bytes, position: int, depth: int) -> tuple[Value, int]:
    start = position
    if data[start : start + 1] == bytes((_NULL,)):
        return None, start + 1
    major, argument, position = _head(data, position)
    if major < _BYTES:
        return (-1 - argument if major else argument), position
    if major > _MAP:
        raise CborError(f"byte {start} (0x{data[start]:02x}) is of a kind the contract has not")
    # Every element takes a byte at least: a length beyond the data is refused before a loop.
    if argument > len(data) - position:
        raise CborError(f"the length {argument} at byte {start} runs past the end")
    if major == _BYTES:
        return data[position : position + argument], position + argument
    if major == _TEXT:
        try:
            return data[position : position + argument].decode(), position + argument
        except UnicodeDecodeError:
            raise CborError(f"the text at byte {start} is not UTF-8") from None
    if depth == 0:
        raise CborError(f"nested deeper than {MAX_DEPTH} at byte {start}")
    if major == _ARRAY:
        return _array(data, position, argument, depth - 1)
    entries: dict[int, Value] = {}
    last = None
    for _ in range(argument):
        last, position = _key(data, position, last)
        entries[last], position = _item(data, position, depth - 1)
    return entries, position


def _array(data: bytes, position: int, count: int, depth: int) -> tuple[list[Value], int]:
    items: list[Value] = []
    append = items.append
    size = len(data)
    for _ in range(count):
        # Most of a block is one-byte integers in columns: these are read without a call.
        initial = data[position] if position < size else -1
        if 0 <= initial < 0x18:
            append(initial)
            position += 1
        elif 0x20 <= initial < 0x38:
            append(0x1F - initial)
            position += 1
        else:
            value, position = _item(data, position, depth)
            append(value)
    return items, position
