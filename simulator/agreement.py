"""Does the gateway hold what the sensors answered? The models' journal against the export."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from .kernel import US_PER_S

TOGETHER_S = 2.0
"""Answers of the sensors that are closer than this belong to one sample."""


@dataclass
class Taken:
    """One sample as the sensors answered it."""

    t_s: float
    values: list[int | None] = field(default_factory=lambda: [None, None, None])
    """Payload and ambient temperature in 0.01 degC, relative humidity in 0.1 %."""


@dataclass(frozen=True)
class Agreement:
    """The journal (taken) against the export (stored)."""

    taken: int
    stored: int
    missing: tuple[float, ...]
    """Seconds of the run at which a sample was taken that is not stored."""
    invented: int
    """Stored samples that no sensor answered."""
    unplaced: int
    """Stored samples without a time."""
    worst_s: float
    """Largest difference between the time stored and the time taken, in seconds."""

    @property
    def complete(self) -> bool:
        """Whether nothing is missing or invented and every time holds within a second."""
        return not (self.missing or self.invented or self.unplaced) and self.worst_s <= 1.0


def samples_taken(notes: Iterable[Mapping[str, Any]]) -> list[Taken]:
    """Group the sensors' answers in the journal into samples."""
    samples: list[Taken] = []
    for note in notes:
        if note["kind"] != "measure" or note["sensor"] not in {"probe", "ambient"}:
            continue
        t_s = note["us"] / US_PER_S
        if not samples or t_s - samples[-1].t_s > TOGETHER_S:
            samples.append(Taken(t_s))
        values = samples[-1].values
        if note["sensor"] == "probe":
            values[0] = round(note["celsius"] * 100)
        else:
            values[1] = round(note["celsius"] * 100)
            values[2] = round(note["percent"] * 10)
    return samples


def samples_stored(rows: Iterable[Mapping[str, str]], start: datetime) -> list[Taken]:
    """Read the rows of the CSV export; a sample without a time has t_s = -1."""
    return [
        Taken(
            (datetime.fromisoformat(row["time_utc"]) - start).total_seconds()
            if row["time_utc"]
            else -1.0,
            [
                _scaled(row["payload_c"], 100),
                _scaled(row["ambient_c"], 100),
                _scaled(row["humidity_pct"], 10),
            ],
        )
        for row in rows
    ]


def _scaled(text: str, factor: int) -> int | None:
    return round(float(text) * factor) if text else None


def compare(taken: Sequence[Taken], stored: Sequence[Taken]) -> Agreement:
    """Match both in order; a sample matches only with equal values."""
    missing: list[float] = []
    invented = unplaced = 0
    worst = 0.0
    position = 0
    for sample in stored:
        found = next(
            (i for i in range(position, len(taken)) if taken[i].values == sample.values), None
        )
        if found is None:
            invented += 1
            continue
        missing += [skipped.t_s for skipped in taken[position:found]]
        position = found + 1
        if sample.t_s < 0:
            unplaced += 1
        else:
            worst = max(worst, abs(sample.t_s - taken[found].t_s))
    missing += [skipped.t_s for skipped in taken[position:]]
    return Agreement(len(taken), len(stored), tuple(missing), invented, unplaced, worst)
