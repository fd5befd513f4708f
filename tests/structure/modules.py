"""Reads the imports and the private names of a tree of Python files, without running any."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

IMPORTERS = ("import_module", "__import__")
"""Functions that import the module which their first argument names."""

PUBLIC_ALL_THE_SAME = frozenset({"_asdict", "_fields", "_make", "_replace", "_exit", "_getframe"})
"""Names of the standard library that are documented in spite of their underscore."""


@dataclass(frozen=True)
class Module:
    """A file, by the name it is imported as; a package's ``__init__.py`` by the package's name."""

    name: str
    path: Path
    is_package: bool
    tree: ast.Module

    def __repr__(self) -> str:
        return self.name


def read(folder: Path, prefix: str = "", leave_out: Iterable[str] = ()) -> list[Module]:
    """Read every Python file below a folder.

    Args:
        folder: where to look.
        prefix: the dotted name under which the folder is imported; empty for a folder that is
            on the path itself.
        leave_out: patterns of files, relative to the folder, that are no modules of this tree.
    """
    left_out = {path for pattern in leave_out for path in folder.glob(pattern)}
    modules = []
    for path in sorted(set(folder.rglob("*.py")) - left_out):
        parts = [prefix, *path.relative_to(folder).with_suffix("").parts]
        is_package = parts[-1] == "__init__"
        name = ".".join(part for part in parts[: -1 if is_package else None] if part)
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
        modules.append(Module(name, path, is_package, tree))
    return modules


def imported(module: Module) -> Iterator[tuple[str, int]]:
    """Yield every name that a module imports, wherever in the file, and the line.

    ``from a import b`` yields ``a.b``: whether b is a module or something inside one is for
    :func:`arrows` to find out. A relative name is made absolute.
    """
    for node in ast.walk(module.tree):
        match node:
            case ast.Import(names=names):
                yield from ((alias.name, node.lineno) for alias in names)
            case ast.ImportFrom(module=source, names=names, level=level):
                source = _absolute(module, source or "", level)
                yield from ((f"{source}.{alias.name}", node.lineno) for alias in names)
            case ast.Call(
                func=ast.Name(id=called) | ast.Attribute(attr=called),
                args=[ast.Constant(value=str(name)), *_],
            ) if called in IMPORTERS:
                level = len(name) - len(name.lstrip("."))
                yield _absolute(module, name.lstrip("."), level), node.lineno


def _absolute(module: Module, name: str, level: int) -> str:
    if not level:
        return name
    package = module.name.split(".")
    package = package[: len(package) - level + (1 if module.is_package else 0)]
    return ".".join([*package, name]) if name else ".".join(package)


def arrows(modules: Iterable[Module]) -> dict[Module, dict[str, int]]:
    """Return for each module the modules among these that it imports, each with a line.

    A name inside a module counts as the module; the packages around it do not count.
    """
    modules = list(modules)
    known = {module.name for module in modules}
    found: dict[Module, dict[str, int]] = {}
    for module in modules:
        found[module] = {}
        for name, line in imported(module):
            target = _longest(name, known)
            if target and target != module.name:
                found[module].setdefault(target, line)
    return found


def _longest(name: str, known: set[str]) -> str | None:
    while name and name not in known:
        name = name.rpartition(".")[0]
    return name or None


def circles(graph: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Return every group of modules that reach each other, sorted (Tarjan's components)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    groups: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for target in graph.get(node, ()):
            if target not in index:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in stack:
                low[node] = min(low[node], index[target])
        if low[node] == index[node]:
            group = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(group) > 1:
                groups.append(sorted(group))

    for node in sorted(graph):
        if node not in index:
            visit(node)
    return sorted(groups)


def foreign_privates(module: Module, known: set[str]) -> Iterator[tuple[str, int]]:
    """Yield the private names of other modules that a module uses, each with its line.

    A name is private with one leading underscore. It is foreign when it is imported from one of
    the known modules, or taken as an attribute of anything but ``self`` or ``cls`` although this
    module defines no such name.
    """
    own = set(_defined(module.tree))
    for node in ast.walk(module.tree):
        match node:
            case ast.ImportFrom(module=source, names=names, level=level):
                if level or _longest(source or "", known):
                    yield from ((a.name, node.lineno) for a in names if _is_private(a.name))
            case ast.Attribute(value=ast.Name(id="self" | "cls")):
                pass
            case (
                ast.Attribute(attr=name)
                | ast.Call(
                    func=ast.Name(id="getattr" | "setattr"),
                    args=[_, ast.Constant(value=str(name)), *_],
                )
            ) if _is_private(name) and name not in own:
                yield name, node.lineno


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in PUBLIC_ALL_THE_SAME


def _defined(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.ClassDef(name=name) | ast.Name(id=name, ctx=ast.Store()):
                yield name
            case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=name, ctx=ast.Store()):
                yield name
