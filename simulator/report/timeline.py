"""The timeline of a shipment: button presses, LED signals, alarms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from coldtrail_simulator.clock import US_PER_S

TOGETHER_S = 1.0
"""Flashes within this many seconds belong to one signal."""


def timeline(
    notes: Iterable[Mapping[str, Any]], alarms: Sequence[tuple[float, str]]
) -> list[tuple[float, str]]:
    """Return hour and text of each button press, LED signal and alarm, in order.

    Args:
        notes: the journal.
        alarms: hour and text of each alarm.
    """
    notes = list(notes)
    presses = [
        (note["us"] / US_PER_S, f"button held for {note['ms'] / 1000:g} s")
        for note in notes
        if note["kind"] == "button"
    ]
    said = [(at_s / 3600, text) for at_s, text in presses + _signals(notes)]
    return sorted([*said, *alarms], key=lambda entry: entry[0])


def _signals(notes: Iterable[Mapping[str, Any]]) -> list[tuple[float, str]]:
    """Return second and text of each LED signal."""
    signals: list[list[tuple[float, str, bool]]] = []
    for note in notes:
        if note["kind"] != "led":
            continue
        edge = note["us"] / US_PER_S, note["name"], note["lit"]
        if signals and edge[0] - signals[-1][-1][0] <= TOGETHER_S + 2 * _is_lit(signals[-1]):
            signals[-1].append(edge)
        else:
            signals.append([edge])
    return [(signal[0][0], f"LED {_words(signal)}") for signal in signals]


def _is_lit(edges: Sequence[tuple[float, str, bool]]) -> bool:
    lit: dict[str, bool] = {name: on for _, name, on in edges}
    return any(lit.values())


def _words(edges: Sequence[tuple[float, str, bool]]) -> str:
    colours = sorted({name.removeprefix("led_") for _, name, on in edges if on})
    seconds = edges[-1][0] - edges[0][0]
    alternating = "alternating " if len(colours) > 1 else ""
    return f"{alternating}{' and '.join(colours)} for {seconds:.1f} s"
