"""The journal records what the device models did; a run is judged by it.

It is independent of the firmware. A ``measure`` note contains exactly the value that a sensor
model sent to the firmware, converted with the formula of the datasheet, and the true physical
value.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self, TextIO

from coldtrail_simulator.clock import Clock


class Journal:
    """Notes with virtual time stamps, in memory and, given a path, as JSON lines."""

    def __init__(self, clock: Clock, path: Path | None = None) -> None:
        self._clock = clock
        self.notes: list[dict[str, Any]] = []
        self._file: TextIO | None = path.open("w", encoding="utf-8") if path else None

    def note(self, kind: str, **fields: Any) -> None:
        """Write one note; ``fields`` are plain JSON values whose names include the unit."""
        entry = {"us": self._clock.now_us, "kind": kind, **fields}
        self.notes.append(entry)
        if self._file:
            self._file.write(json.dumps(entry, separators=(",", ":")) + "\n")

    def of(self, kind: str, **fields: Any) -> Iterator[dict[str, Any]]:
        """Yield the notes of a kind whose fields have the given values."""
        for entry in self.notes:
            if entry["kind"] == kind and all(entry.get(k) == v for k, v in fields.items()):
                yield entry

    def close(self) -> None:
        """Close the file; later notes are kept in memory only."""
        if self._file:
            self._file.close()
            self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
