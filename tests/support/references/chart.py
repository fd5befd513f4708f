"""Reads the picture of a shipment from its pixels: the frame, the lines and their colours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

GREEN, RED, BLUE = (0x2E, 0x7D, 0x32), (0xC6, 0x28, 0x28), (0x15, 0x65, 0xC0)
LIMITS_C = (2.0, 8.0)
"""The temperatures of the two dashed lines, which give the scale."""


class Chart:
    """The upper half: the payload temperature over time, between two limits.

    Raises:
        AssertionError: the picture has no frame, or not two limits.
    """

    def __init__(self, path: Path, hours: float) -> None:
        with Image.open(path) as picture:
            self._pixels = np.asarray(picture.convert("RGB")).astype(int)
        dark = self._pixels.max(axis=2) < 90
        height, width = dark.shape
        columns = np.flatnonzero(dark.sum(axis=0) > height / 2)
        rows = np.flatnonzero(dark.sum(axis=1) > width / 2)
        assert len(columns) >= 2, "the picture has no frame"
        assert len(rows) >= 4, "the picture has not two halves"
        self._left, self._right = int(columns[0]), int(columns[-1])
        self._top, self._bottom = int(rows[0]), int(rows[1])
        self._hours = hours
        green = self._like(GREEN, 150)
        lines = _middles(np.flatnonzero(green.sum(axis=1) > (self._right - self._left) / 3))
        assert len(lines) == 2, f"limits in rows {lines}"
        self._high_row, self._low_row = lines

    def _like(self, colour: tuple[int, int, int], tolerance: int = 60) -> np.ndarray:
        """Return for each pixel within the frame, without margins, whether it has the colour."""
        inside = self._pixels[self._top + 2 : self._bottom - 1, self._left + 2 : self._right - 1]
        near: np.ndarray = np.abs(inside - np.array(colour)).sum(axis=2) <= tolerance
        return near

    def _hour(self, column: float) -> float:
        return (column + 2) / (self._right - self._left) * self._hours

    def marks(self, colour: tuple[int, int, int]) -> list[float]:
        """Return the hours of the vertical lines with this colour."""
        found = self._like(colour)
        return [
            self._hour(column)
            # 0.9 and not 1, because other lines cross it.
            for column in _middles(np.flatnonzero(found.mean(axis=0) > 0.9))
        ]

    def celsius(self, hour: float, colour: tuple[int, int, int]) -> tuple[float, float]:
        """Return the lowest and the highest temperature of a curve at an hour."""
        column = round(hour / self._hours * (self._right - self._left)) - 2
        rows = np.flatnonzero(self._like(colour)[:, column])
        assert len(rows), f"nothing is drawn at hour {hour}"
        low, high = LIMITS_C
        scale = (high - low) / (self._low_row - self._high_row)
        return (
            low + (self._low_row - float(rows[-1])) * scale,
            low + (self._low_row - float(rows[0])) * scale,
        )

    def first_beyond(self, colour: tuple[int, int, int], since_h: float) -> float | None:
        """Return the first hour from ``since_h`` on at which a curve is above the upper limit."""
        above = self._like(colour)[: int(self._high_row) - 1]
        hours = [self._hour(float(column)) for column in np.flatnonzero(above.any(axis=0))]
        return next((hour for hour in hours if hour >= since_h), None)


def _middles(places: np.ndarray) -> list[float]:
    """Return the middle of each group of consecutive numbers."""
    groups = np.split(places, np.flatnonzero(np.diff(places) > 1) + 1)
    return [float(group.mean()) for group in groups if len(group)]
