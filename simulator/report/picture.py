"""The picture of a shipment: the gateway's data over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

GREEN, RED, BLUE, ORANGE, GREY = "#2e7d32", "#c62828", "#1565c0", "#ef6c00", "#9e9e9e"

Curve = Sequence[tuple[float, float]]
"""Points (hours since the start, degC)."""


@dataclass
class Drawing:
    """The content of the picture; times in hours since the start of the scenario."""

    title: str
    payload: Curve
    ambient: Curve
    twin: Curve = ()
    low_c: float | None = None
    high_c: float | None = None
    offline: Sequence[tuple[float, float]] = ()
    alarms: Sequence[tuple[float, str]] = ()
    events: Sequence[tuple[float, str]] = ()
    legs: Sequence[tuple[float, str]] = ()
    end_h: float = 0.0


def draw(drawing: Drawing, path: Path) -> None:
    """Write the picture as PNG: payload above, ambient below, one time axis."""
    figure, (upper, lower) = plt.subplots(
        2, 1, figsize=(12, 7.2), sharex=True, height_ratios=(3, 1.2), layout="constrained"
    )
    try:
        _payload(upper, drawing)
        lower.plot(*_split(drawing.ambient), color=ORANGE, linewidth=1.2)
        lower.set_ylabel("Ambient, °C")
        lower.set_xlabel("Hours since the start")
        for row, (start, place) in enumerate(drawing.legs):
            lower.axvline(start, color=GREY, linewidth=0.8)
            _label(lower, drawing, place, start, 0, 3 + 11 * (row % 2), 7.5, "#555555")
        for axes in (upper, lower):
            axes.grid(visible=True, alpha=0.25)
            for start, end in drawing.offline:
                axes.axvspan(start, end, color=GREY, alpha=0.18, linewidth=0)
        lower.set_xlim(0, drawing.end_h)
        figure.suptitle(drawing.title, fontweight="bold")
        figure.savefig(path, dpi=110)
    finally:
        plt.close(figure)


def _label(
    axes: Axes,
    drawing: Drawing,
    text: str,
    at: float,
    edge: int,
    dy: float,
    size: float,
    colour: str,
) -> None:
    """Label a time at the lower (0) or upper (1) edge, on the side with enough space."""
    late = at > 0.85 * drawing.end_h
    axes.annotate(
        text, (at, edge), (-4 if late else 4, dy),
        xycoords=("data", "axes fraction"), textcoords="offset points",
        ha="right" if late else "left", fontsize=size, color=colour,
        bbox={"boxstyle": "square,pad=0.1", "facecolor": "white", "alpha": 0.7, "linewidth": 0},
    )  # fmt: skip


def _split(curve: Curve) -> tuple[list[float], list[float]]:
    return [x for x, _ in curve], [y for _, y in curve]


def _payload(axes: Axes, drawing: Drawing) -> None:
    if drawing.low_c is not None and drawing.high_c is not None:
        axes.axhspan(drawing.low_c, drawing.high_c, color=GREEN, alpha=0.08, linewidth=0)
    for limit in (drawing.low_c, drawing.high_c):
        if limit is not None:
            axes.axhline(limit, color=GREEN, linewidth=1, linestyle="--")
            axes.annotate(
                f"{limit:g} °C",
                (0, limit),
                (4, 3),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                fontsize=8,
                color=GREEN,
            )
    if drawing.twin:
        axes.plot(
            *_split(drawing.twin), color=RED, linewidth=1, linestyle=":",
            label="payload of the control run",
        )  # fmt: skip
    axes.plot(
        *_split(drawing.payload),
        color=BLUE,
        linewidth=1.8,
        label="payload, as stored",
    )
    if drawing.offline:
        axes.axvspan(0, 0, color=GREY, alpha=0.3, label="no coverage")
    marks = [(at, text, RED) for at, text in drawing.alarms]
    marks += [(at, text, BLUE) for at, text in drawing.events]
    for row, (at, text, colour) in enumerate(sorted(marks)):
        axes.axvline(at, color=colour, linewidth=1.2)
        _label(axes, drawing, f"{text}, {at:.1f} h", at, 1, -12 - 13 * (row % 5), 8.5, colour)
    axes.set_ylabel("Payload, °C")
    axes.legend(loc="center left", fontsize=8.5, framealpha=0.9)
