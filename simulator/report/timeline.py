"""What a person at the box saw and did: presses, what the LED said, and the alarms between."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from coldtrail_simulator.clock import US_PER_S

TOGETHER_S = 1.0
"""Flashes that are closer are one answer."""


def timeline(
    notes: Iterable[Mapping[str, Any]], alarms: Sequence[tuple[float, str]]
) -> list[tuple[float, str]]:
    """Return hour and words of each press, answer of the LED and alarm, in order.

    Args:
        notes: the journal.
        alarms: hour and words of each.
    """
    notes = list(notes)
    presses = [
        (note["us"] / US_PER_S, f"button held for {note['ms'] / 1000:g} s")
        for note in notes
        if note["kind"] == "button"
    ]
    said = [(at_s / 3600, text) for at_s, text in presses + _answers(notes)]
    return sorted([*said, *alarms], key=lambda entry: entry[0])


def _answers(notes: Iterable[Mapping[str, Any]]) -> list[tuple[float, str]]:
    """Return second and colour of what the LED said each time."""
    answers: list[list[tuple[float, str, bool]]] = []
    for note in notes:
        if note["kind"] != "led":
            continue
        edge = note["us"] / US_PER_S, note["name"], note["lit"]
        if answers and edge[0] - answers[-1][-1][0] <= TOGETHER_S + 2 * _is_lit(answers[-1]):
            answers[-1].append(edge)
        else:
            answers.append([edge])
    return [(answer[0][0], f"LED {_colour(answer)}") for answer in answers]


def _is_lit(edges: Sequence[tuple[float, str, bool]]) -> bool:
    lit: dict[str, bool] = {name: on for _, name, on in edges}
    return any(lit.values())


def _colour(edges: Sequence[tuple[float, str, bool]]) -> str:
    colours = sorted({name.removeprefix("led_") for _, name, on in edges if on})
    seconds = edges[-1][0] - edges[0][0]
    words = " and ".join(colours) + (" by turns" if len(colours) > 1 else "")
    return f"{words} for {seconds:.1f} s"
