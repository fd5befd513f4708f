"""The rules for provisioned values (firmware/provisioning.toml) as test cases."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Final

import pytest

FILE: Final = Path(__file__).resolve().parents[2] / "firmware" / "provisioning.toml"
TABLE: Final[dict[str, dict[str, Any]]] = tomllib.loads(FILE.read_text(encoding="utf-8"))


def values(name: str, what: str) -> list[Any]:
    """Return the ``good`` or the ``bad`` values of a field as CBOR values.

    Null is a good value of an optional field and a bad value of every other field.
    """
    entry = TABLE[name]
    found = [bytes.fromhex(value) if entry.get("hex") else value for value in entry[what]]
    return found + [None] * (entry.get("null", False) == (what == "good"))


CASES: Final = [
    pytest.param(name, value, what == "good", id=f"{name}-{what}-{place}")
    for name in TABLE
    for what in ("good", "bad")
    for place, value in enumerate(values(name, what))
]
"""Field name, value, and whether the field allows it, for all fields."""
