"""A copy of a record's constant that is misspelt is no copy: nothing else would notice it."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterator
from pathlib import Path

import pytest

FIRMWARE = Path(__file__).resolve().parents[3] / "firmware" / "coldtrail"
ORIGINALS = FIRMWARE / "log" / "records.py", FIRMWARE / "memories.py"
MODULES = sorted(set(FIRMWARE.rglob("*.py")) - set(ORIGINALS))

Constants = dict[str, tuple[int, object]]
"""Line and value of each name."""


def constants(source: str) -> Constants:
    """Return what a module assigns with ``const()``."""
    found: Constants = {}
    for node in ast.parse(source).body:
        match node:
            case ast.Assign(
                targets=[ast.Name(id=name)],
                value=ast.Call(func=ast.Name(id="const"), args=[ast.Constant(value=value)]),
            ):
                found[name] = node.lineno, value
    return found


def originals() -> Constants:
    return {
        name: place
        for path in ORIGINALS
        if path.exists()
        for name, place in constants(path.read_text(encoding="utf-8")).items()
    }


def misspelt(source: str, known: Constants) -> Iterator[str]:
    """Yield the private constants that look like copies and have no original.

    A constant looks like a copy when it stands in one group with copies, on the next line; or
    when its value is that of an original whose name is almost the same.
    """
    found = constants(source)
    copies = {line for name, (line, _) in found.items() if name[1:] in known}
    lines = {line for line, _ in found.values()}
    for name, (line, value) in found.items():
        if not name.startswith("_") or name[1:] in known:
            continue
        group = {line}
        while grown := {n + d for n in group for d in (-1, 1)} & lines - group:
            group |= grown
        alike = difflib.get_close_matches(name[1:], known, cutoff=0.8)
        if group & copies or any(known[other][1] == value for other in alike):
            yield name


@pytest.mark.parametrize("path", MODULES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_what_looks_like_a_copy_has_an_original(path: Path) -> None:
    assert list(misspelt(path.read_text(encoding="utf-8"), originals())) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("_SHOCK = const(14)\n_FREE_FAL = const(15)", ["_FREE_FAL"]),
        ("_FREE_FALL = const(15)\n_ANYTHING = const(15)", ["_ANYTHING"]),
        ("_FLIGTH_MODE = const(12)", ["_FLIGTH_MODE"]),
        ("_SAMPLE = const(1)\n\n_SAMPLES = const(96)", []),
        ("_SHOCK = const(14)\n_FREE_FALL = const(15)\n\n_LOOP_MS = const(250)", []),
    ],
)
def test_a_misspelt_copy_is_found(source: str, found: list[str]) -> None:
    assert list(misspelt(source, originals())) == found
