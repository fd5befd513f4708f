"""The contract of what may be provisioned, firmware/provisioning.toml, as the tests read it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Final

import pytest

FILE: Final = Path(__file__).resolve().parents[2] / "firmware" / "provisioning.toml"
TABLE: Final[dict[str, dict[str, Any]]] = tomllib.loads(FILE.read_text(encoding="utf-8"))


def values(name: str, what: str) -> list[Any]:
    """Return the ``good`` or the ``bad`` values of a field, as they stand in CBOR.

    Null is among the good ones of a field that may be null, else among the bad ones.
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
"""Every field's name, a value of it, and whether the field may hold it."""
