"""The firmware's imports point downwards, also those within functions, and never in a circle."""

from __future__ import annotations

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

FIRMWARE = Path(__file__).resolve().parents[2] / "firmware"

# From top to bottom; a folder stands for all that is in it.
ORDER = """
main
coldtrail/start
coldtrail/cannot_run
coldtrail/tracker
coldtrail/cable_session
coldtrail/console
coldtrail/selftest
coldtrail/panel
coldtrail/uplink
coldtrail/sleep
coldtrail/shipment
coldtrail/outcome
coldtrail/provisioned
coldtrail/identity
coldtrail/log
coldtrail/judging
coldtrail/sensing
coldtrail/contract
coldtrail/ports
drivers/bg95
drivers
coldtrail/memories
coldtrail/watchdog
coldtrail/decimal
coldtrail/__init__
memory
""".split()


def module(path: Path) -> str:
    """Return a file's name below the firmware, as in ORDER, without a package's `__init__`."""
    name = path.relative_to(FIRMWARE).with_suffix("").as_posix()
    return name if name == "coldtrail/__init__" else name.removesuffix("/__init__")


FILES = {module(path): path for path in FIRMWARE.rglob("*.py")}


def imports(path: Path) -> set[str]:
    """Return the modules of the firmware that a module imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                found.add(whole if whole.replace(".", "/") in FILES else str(node.module))
    names = {name.replace(".", "/") for name in found}
    names = {"coldtrail/__init__" if name == "coldtrail" else name for name in names}
    return names & FILES.keys()


GRAPH = {name: imports(path) for name, path in FILES.items()}


def rank(name: str) -> int:
    """Return a module's place in ORDER, by the longest entry that it is, or lies in."""
    entries = [entry for entry in ORDER if name == entry or name.startswith(entry + "/")]
    assert entries, f"{name} has no place in the order"
    return ORDER.index(max(entries, key=len))


def test_every_entry_of_the_order_is_there() -> None:
    assert {ORDER[rank(name)] for name in FILES} == set(ORDER)
    assert len(GRAPH["coldtrail/tracker"]) > 5


def test_no_import_points_upwards() -> None:
    upwards = [
        f"{name} imports {other}"
        for name, others in GRAPH.items()
        for other in others
        if rank(other) < rank(name)
    ]
    assert not upwards


def test_no_imports_in_a_circle() -> None:
    TopologicalSorter(GRAPH).prepare()  # CycleError names the circle


def test_no_module_uses_anothers_private_names() -> None:
    private = re.compile(r"_[a-z]\w*\Z")
    found = []
    for name, path in FILES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Attribute(value=ast.Name(id="self" | "cls")):
                    pass
                case ast.Attribute(value=ast.Call(func=ast.Name(id="super"))):
                    pass
                case ast.Attribute(attr=attribute) if private.match(attribute):
                    found.append(f"{name}: {ast.unparse(node)}")
                case ast.ImportFrom(names=names):
                    found += [f"{name}: {a.name}" for a in names if private.match(a.name)]
    assert not found
