"""Compares the samples that the gateway exports with the readings of the sensor models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from coldtrail_simulator.clock import US_PER_S
from coldtrail_simulator.network.contract import UNITS, Channel

TOGETHER_S = 2.0
"""Measurements within this many seconds belong to one sample, unless a sensor occurs twice.

Only the battery may occur twice, because it is measured several times for a sample.
"""


COLUMNS = {
    "payload_c": Channel.PAYLOAD_TEMPERATURE,
    "ambient_c": Channel.AMBIENT_TEMPERATURE,
    "humidity_pct": Channel.HUMIDITY,
    "light_lux": Channel.ILLUMINANCE,
    "battery_mv": Channel.BATTERY,
    "acc_x_mg": Channel.ACCELERATION_X,
    "acc_y_mg": Channel.ACCELERATION_Y,
    "acc_z_mg": Channel.ACCELERATION_Z,
}
"""Columns of the CSV export and their channels."""
SCALE_C = -45, 130
"""Scale of the ambient sensor in degC; at its ends there is no reading."""
BATTERY_CONVERSIONS = 4
"""The tracker takes the mean of so many conversions, rounded down to a millivolt."""


@dataclass
class Taken:
    """One sample as measured by the sensors."""

    t_s: float
    values: list[int | None] = field(default_factory=lambda: [None] * len(Channel))
    """One value for each channel, as the integer on the wire."""
    payloads: list[int | None] = field(default_factory=list)
    """Readings of the probe; it is read again if a reading differs too much from the last."""

    def fits(self, stored: Sequence[int | None]) -> bool:
        """Return whether these values were measured; each of the probe's readings counts."""
        payload = Channel.PAYLOAD_TEMPERATURE
        answered = list(self.values)
        answered[payload] = stored[payload]
        return list(stored) == answered and stored[payload] in (self.payloads or [None])


@dataclass(frozen=True)
class Comparison:
    """The comparison of the journal (taken) with the export (stored)."""

    taken: int
    stored: int
    missing: tuple[float, ...]
    """Times of the run, in seconds, of samples that were taken but are not stored."""
    invented: int
    """Number of stored samples that no sensor has measured."""
    unplaced: int
    """Number of stored samples without a time."""
    worst_s: float
    """Largest difference between stored and true time, in seconds."""

    @property
    def complete(self) -> bool:
        """Whether no sample is missing or invented, and every time is correct within a second."""
        return not (self.missing or self.invented or self.unplaced) and self.worst_s <= 1.0


def samples_taken(notes: Iterable[Mapping[str, Any]]) -> list[Taken]:
    """Group the sensor readings in the journal into samples; a sample starts with the probe."""
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
                _put(values, Channel.PAYLOAD_TEMPERATURE, note["celsius"])
                samples[-1].payloads.append(values[Channel.PAYLOAD_TEMPERATURE])
            case "ambient" if SCALE_C[0] < note["celsius"] < SCALE_C[1]:
                _put(values, Channel.AMBIENT_TEMPERATURE, note["celsius"])
                _put(values, Channel.HUMIDITY, note["percent"])
            case "light":
                _put(values, Channel.ILLUMINANCE, note["lux"])
            case "battery":
                battery.append(note["millivolts"])
                if len(battery) == BATTERY_CONVERSIONS:
                    mean = sum(battery) / BATTERY_CONVERSIONS
                    values[Channel.BATTERY] = int(mean + 1e-6)
            case "accelerometer":
                axes = (Channel.ACCELERATION_X, Channel.ACCELERATION_Y, Channel.ACCELERATION_Z)
                for axis, mg in zip(axes, note["mg"], strict=True):
                    _put(values, axis, mg)
    return samples


def _put(values: list[int | None], channel: Channel, quantity: float) -> None:
    values[channel] = round(quantity * UNITS[channel][0])


def samples_stored(rows: Iterable[Mapping[str, str]], start: datetime) -> list[Taken]:
    """Read the rows of the CSV export; a sample without a time has t_s = -1."""
    return [
        Taken(
            (datetime.fromisoformat(row["time_utc"]) - start).total_seconds()
            if row["time_utc"]
            else -1.0,
            [_scaled(row[column], UNITS[channel][0]) for column, channel in COLUMNS.items()],
        )
        for row in rows
    ]


def _scaled(text: str, factor: int) -> int | None:
    return round(float(text) * factor) if text else None


def compare(taken: Sequence[Taken], stored: Sequence[Taken]) -> Comparison:
    """Match both in order; samples match only if their values are equal."""
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
    return Comparison(len(taken), len(stored), tuple(missing), invented, unplaced, worst)
