"""Sets faults of the sensor models by name; each model lists its faults in FAULTS."""

from typing import Any


def set_fault(part: Any, name: str, *, on: bool) -> None:
    """Set one fault of a part, or clear it."""
    attribute, faulty, sound = part.FAULTS[name]
    setattr(part, attribute, faulty if on else sound)
