"""The modules' own copies of the contract's constants are those of records.py."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

FIRMWARE = Path(__file__).resolve().parents[3] / "firmware" / "coldtrail"
MODULES = sorted(path for path in FIRMWARE.rglob("*.py") if path.name != "records.py")


def constants(path: Path) -> Iterator[tuple[str, object]]:
    """Return the names that a module assigns with ``const()``, and their values."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        match node:
            case ast.Assign(
                targets=[ast.Name(id=name)],
                value=ast.Call(func=ast.Name(id="const"), args=[ast.Constant(value=value)]),
            ):
                yield name, value


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_a_copy_has_the_value_of_the_original(path: Path) -> None:
    original = dict(constants(FIRMWARE / "log" / "records.py"))
    assert len(original) > 50
    for name, value in constants(path):
        if name.startswith("_"):
            assert original.get(name[1:], value) == value, name


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_no_module_pays_for_the_names(path: Path) -> None:
    imports = [
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom)
    ]
    named = [f"{node.module}.{alias.name}" for node in imports for alias in node.names]
    assert not [name for name in named if name.startswith("coldtrail.log.records")]
