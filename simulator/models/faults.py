"""Faults of the sensors' models by name: each model lists in FAULTS what it can have."""

from typing import Any


def set_fault(part: Any, name: str, *, on: bool) -> None:
    """Give a part one of its faults, or take it away."""
    attribute, faulty, sound = part.FAULTS[name]
    setattr(part, attribute, faulty if on else sound)
