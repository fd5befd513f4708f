"""Does the gateway hold what the sensors answered? The models' journal against the export."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from coldtrail_simulator.clock import US_PER_S

TOGETHER_S = 2.0
"""Answers of the sensors that are closer than this belong to one sample, if no sensor but the
battery, which is asked several times, answers twice."""


COLUMNS = {
    "payload_c": 100,
    "ambient_c": 100,
    "humidity_pct": 10,
    "light_lux": 100,
    "battery_mv": 1,
    "acc_x_mg": 1,
    "acc_y_mg": 1,
    "acc_z_mg": 1,
}
"""Columns of the export, in the order of the channels, and how many of the wire's units make one
of theirs."""
SCALE_C = -45, 130
"""The ambient sensor's."""
BATTERY_CONVERSIONS = 4
"""The tracker takes the mean of so many, rounded down to a millivolt."""


@dataclass
class Taken:
    """One sample as the sensors answered it."""

    t_s: float
    values: list[int | None] = field(default_factory=lambda: [None] * len(COLUMNS))
    """One for each of COLUMNS, as an integer in the unit of the wire."""
    payloads: list[int] = field(default_factory=list)
    """What the probe answered, which is asked again where an answer looks wrong."""

    def fits(self, stored: Sequence[int | None]) -> bool:
        """Tell whether that is what was answered; of the probe's answers, any."""
        payload = stored[0]
        return stored[1:] == self.values[1:] and (
            payload in self.payloads if payload is not None else not self.payloads
        )


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
    """Group the sensors' answers in the journal into samples; the probe is asked first."""
    samples: list[Taken] = []
    battery: list[float] = []
    answered: set[str] = set()
    for note in notes:
        if note["kind"] != "measure":
            continue
        t_s = note["us"] / US_PER_S
        again = note["sensor"] in answered and answered != {"probe"}
        if not samples or t_s - samples[-1].t_s > TOGETHER_S or again:
            samples.append(Taken(t_s))
            battery = []
            answered = set()
        if note["sensor"] != "battery":
            answered.add(note["sensor"])
        values = samples[-1].values
        match note["sensor"]:
            case "probe":
                samples[-1].payloads.append(round(note["celsius"] * 100))
                values[0] = samples[-1].payloads[-1]
            case "ambient":
                if SCALE_C[0] < note["celsius"] < SCALE_C[1]:  # at its ends it is no reading
                    values[1:3] = round(note["celsius"] * 100), round(note["percent"] * 10)
            case "light":
                values[3] = round(note["lux"] * 100)
            case "battery":
                battery.append(note["millivolts"])
                if len(battery) == BATTERY_CONVERSIONS:
                    values[4] = int(sum(battery) / BATTERY_CONVERSIONS + 1e-6)
            case "accelerometer":
                values[5:8] = map(round, note["mg"])
    return samples


def samples_stored(rows: Iterable[Mapping[str, str]], start: datetime) -> list[Taken]:
    """Read the rows of the CSV export; a sample without a time has t_s = -1."""
    return [
        Taken(
            (datetime.fromisoformat(row["time_utc"]) - start).total_seconds()
            if row["time_utc"]
            else -1.0,
            [_scaled(row[column], factor) for column, factor in COLUMNS.items()],
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
            (i for i in range(position, len(taken)) if taken[i].fits(sample.values)), None
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
