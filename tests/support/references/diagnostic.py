"""CBOR diagnostic notation (RFC 8949, 8; embedded CBOR as in RFC 8610, G.3)."""

from __future__ import annotations

import json
from typing import Any

import cbor2

_WIDTH = 96


def envelope(sealed: bytes) -> str:
    """Return a message of the contract in diagnostic notation, with its embedded CBOR decoded."""
    message = cbor2.loads(sealed)
    protected, unprotected, payload, tag = message.value
    parts = [f"<< {_inline(cbor2.loads(protected))} >>", _inline(unprotected)]
    parts += [f"<< {item(cbor2.loads(payload), 1)} >>", _inline(tag)]
    lines = ",\n".join(_indent(1) + part for part in parts)
    return f"{message.tag}([\n{lines}\n])\n"


def item(value: Any, depth: int = 0) -> str:
    """Return a value on one line if it fits, else with one element on each line."""
    line = _inline(value)
    if len(line) + 2 * depth <= _WIDTH or not isinstance(value, dict | list):
        return line
    if isinstance(value, dict):
        parts = [f"{key}: {item(element, depth + 1)}" for key, element in value.items()]
        return "{\n" + _lines(parts, depth + 1) + "\n" + _indent(depth) + "}"
    if all(isinstance(element, int | None) for element in value):
        return line
    parts = [item(element, depth + 1) for element in value]
    return "[\n" + _lines(parts, depth + 1) + "\n" + _indent(depth) + "]"


def _lines(parts: list[str], depth: int) -> str:
    return ",\n".join(_indent(depth) + part for part in parts)


def _indent(depth: int) -> str:
    return "  " * depth


def _inline(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bytes):
        return f"h'{value.hex()}'"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return "[" + ", ".join(map(_inline, value)) + "]"
    if isinstance(value, dict):
        pairs = (f"{key}: {_inline(element)}" for key, element in value.items())
        return "{" + ", ".join(pairs) + "}"
    return str(value)
