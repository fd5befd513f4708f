"""The boards' rooms: imports point downwards only, nobody uses another module's private names.

The source is parsed, so that an import inside a function counts, too.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = "coldtrail_boards"
FOLDER = Path(__file__).resolve().parents[2] / "boards"
# From the top down; a module may import from its own room and from those after it.
ROOMS = (
    *("__main__", "cli", "logdump_command", "cable", "flash", "provision", "profiles"),
    *("logdump", "quantities", "files", "errors"),
)
# Modules that define a command; what they stand on knows no command line.
COMMANDS = {
    *("cli", "logdump_command", "profiles.command", "provision.command", "flash.command"),
    *("flash.volume_command", "cable.console", "cable.selftest_command"),
}
# What lies in a board's folder runs on the tracker or is data.
PATHS = [path for path in sorted(FOLDER.rglob("*.py")) if "_bg95" not in str(path.parent)]


def _name(path: Path) -> str:
    parts = path.relative_to(FOLDER).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


TREES = {_name(path): ast.parse(path.read_text(encoding="utf-8")) for path in PATHS}
MODULES = [name for name in TREES if name]


def _imports(module: str) -> Iterator[tuple[str, str]]:
    """Yield what a module imports: a module's full name and the name out of it, or nothing."""
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: a relative import"
            yield from ((node.module or "", alias.name) for alias in node.names)


def _own(module: str) -> set[str]:
    """Return the modules of this part that a module imports."""
    found = set()
    for source, name in _imports(module):
        if source.split(".")[0] == PACKAGE:
            within = source.removeprefix(PACKAGE).lstrip(".")
            inner = f"{within}.{name}".strip(".")
            found.add(inner if inner in TREES else within)
    return found - {module}


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_downwards(module: str) -> None:
    height = ROOMS.index(module.split(".", maxsplit=1)[0])
    upwards = {found for found in _own(module) if ROOMS.index(found.split(".")[0]) < height}
    assert upwards == set()


def test_no_modules_import_each_other_in_a_circle() -> None:
    try:
        TopologicalSorter({module: _own(module) for module in TREES}).prepare()
    except CycleError as error:
        pytest.fail(f"a circle: {' > '.join(error.args[1])}")


def test_commands_alone_know_the_command_line() -> None:
    assert {m for m in MODULES if ("click", "") in _imports(m)} == COMMANDS


@pytest.mark.parametrize("module", MODULES)
def test_other_parts_are_not_imported(module: str) -> None:
    parts = {source.split(".")[0] for source, _ in _imports(module)}
    assert not parts & {"coldtrail", "drivers", "coldtrail_gateway", "coldtrail_simulator"}


@pytest.mark.parametrize("module", MODULES)
def test_no_private_name_of_another_object_is_used(module: str) -> None:
    """A private attribute is reached by self or cls alone, a private name by no import."""
    private = [name for _, name in _imports(module) if _is_private(name)]
    private += [
        ast.unparse(node)
        for node in ast.walk(TREES[module])
        if isinstance(node, ast.Attribute)
        and _is_private(node.attr)
        and not (isinstance(node.value, ast.Name) and node.value.id in {"self", "cls"})
    ]
    assert private == []


def _is_private(name: str) -> bool:
    of_named_tuples = {"_asdict", "_replace"}
    return name.startswith("_") and not name.startswith("__") and name not in of_named_tuples
