"""The gateway's rooms: imports point downwards only, and private names stay in their module.

The source is parsed, so that an import inside a function or for the type checker counts, too.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = "coldtrail_gateway"
FOLDER = Path(__file__).resolve().parents[2] / "gateway"
# From the top down; a module may import from its own room and from those after it.
ROOMS = (
    *("__main__", "web", "api", "cli", "integrations", "reports", "exports", "alarms", "insight"),
    *("shipments", "readings", "evidence", "ingest", "audit", "store", "contract"),
    *("clock", "keyfiles", "errors", "urls"),
)
# What reads the command line, and nobody else.
FRONT_DOORS = {"cli"}


def _name(path: Path) -> str:
    parts = path.relative_to(FOLDER).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = {_name(path): path for path in sorted(FOLDER.rglob("*.py"))}


def _imports(module: str) -> Iterator[tuple[str, str | None]]:
    """Yield what a module imports: a full module name and the name out of it, if any."""
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: a relative import"
            yield from ((node.module or "", alias.name) for alias in node.names)


def _own_imports(module: str) -> Iterator[str]:
    """Yield the gateway's modules that a module imports."""
    for source, name in _imports(module):
        if source.split(".")[0] != PACKAGE:
            continue
        within = source.removeprefix(PACKAGE).lstrip(".")
        inner = ".".join(filter(None, (within, name)))
        yield inner if inner in MODULES else within


def _room(module: str) -> str:
    return module.split(".", maxsplit=1)[0]


@pytest.mark.parametrize("module", [name for name in MODULES if name])
def test_imports_point_downwards(module: str) -> None:
    upwards = [
        imported
        for imported in _own_imports(module)
        if ROOMS.index(_room(imported)) < ROOMS.index(_room(module))
    ]
    assert upwards == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {module: set(_own_imports(module)) - {module} for module in MODULES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a circle: {' > '.join(error.args[1])}")


@pytest.mark.parametrize("module", [name for name in MODULES if name])
def test_no_private_name_of_another_module_is_used(module: str) -> None:
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    private = [name for _, name in _imports(module) if name and _is_private(name)]
    private += [
        ast.unparse(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and _is_private(node.attr)
        and not (isinstance(node.value, ast.Name) and node.value.id in {"self", "cls"})
    ]
    assert private == []


@pytest.mark.parametrize(
    "module", [name for name in MODULES if _room(name) not in {*FRONT_DOORS, "__main__"}]
)
def test_the_core_knows_no_command_line(module: str) -> None:
    assert "click" not in {source.split(".")[0] for source, _ in _imports(module)}


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")
