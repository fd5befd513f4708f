"""Calibrations: certificates' readings as TOML for people, as calibration.cbor for the tracker.

```toml
[[sensor]]
channel = "payload"
instrument = "PT1000 4711"
certificate = "DKD-2026-0815"
date = 2026-05-04
due = 2027-05-04
points = [["-20.00 °C", "-0.05 °C"], ["5.00 °C", "0.12 °C"]]   # what it read, what to add
```
"""

from __future__ import annotations

import datetime as dt
import tomllib
from pathlib import Path
from typing import Annotated, Literal, Self

import cbor2
from pydantic import Field, ValidationError, model_validator

from coldtrail_boards import files
from coldtrail_boards.errors import BoardError
from coldtrail_boards.quantities import CHANNELS, Model, quantity, sentence

# The range of times that the tracker accepts (event 16 of firmware/uplink.cddl).
_FIRST, _LAST = dt.date(2020, 1, 1), dt.date(2106, 2, 7)
Name = Annotated[str, Field(min_length=1, max_length=32)]


class Sensor(Model):
    """The calibration of one channel: `calibration` in uplink.cddl, without its time."""

    channel: Literal["payload", "ambient", "humidity", "light", "battery"]
    instrument: Name
    certificate: Name
    date: dt.date
    due: dt.date
    points: list[list[str]] = Field(default=[], max_length=8)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        for name in (self.instrument, self.certificate):
            if len(name.encode()) > 32:
                raise ValueError(f"'{name}' is longer than 32 bytes")
        if not _FIRST <= self.date < self.due <= _LAST:
            raise ValueError(f"due must be after date, and both from {_FIRST} to {_LAST}")
        readings = [raw for raw, _ in self.wire_points()]
        if readings != sorted(set(readings)):
            raise ValueError("points must be in the order of their readings")
        return self

    def wire_points(self) -> list[list[int]]:
        """Return pairs (reading, correction to add) in the unit of the channel."""
        points = []
        for pair in self.points:
            if len(pair) != 2:
                raise ValueError("a point is a pair: what it read, what to add")
            raw, offset = (quantity(text, self.channel) for text in pair)
            if not -32767 <= offset <= 32767 or not -(2**24) < raw < 2**24:
                raise ValueError(f"{pair} is too large")
            points.append([raw, offset])
        return points

    def wire(self) -> list[object]:
        """Return the array of calibration.cbor."""
        return [
            CHANNELS.index(self.channel), self.instrument, self.certificate,
            _unix(self.date), _unix(self.due), self.wire_points(),
        ]  # fmt: skip


class Calibration(Model):
    """The calibrations of a tracker's sensors."""

    sensor: list[Sensor] = Field(min_length=1, max_length=5)

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        named = [sensor.channel for sensor in self.sensor]
        for channel in named:
            if named.count(channel) > 1:
                raise ValueError(f"{channel} is calibrated twice")
        return self

    def encode(self) -> bytes:
        """Return calibration.cbor."""
        return cbor2.dumps([sensor.wire() for sensor in self.sensor], canonical=True)


def load(path: Path) -> Calibration:
    """Read a calibration file.

    Raises:
        BoardError: the file is not valid; one sentence names the place.
    """
    try:
        return Calibration.model_validate(tomllib.loads(files.read_text(path)))
    except ValidationError as error:
        raise BoardError(f"{path}: {sentence(error)}") from error
    except ValueError as error:
        raise BoardError(f"{path}: {error}.") from error


def _unix(day: dt.date) -> int:
    return int(dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC).timestamp())
