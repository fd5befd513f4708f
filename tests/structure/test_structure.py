"""The order of the rooms: imports point downwards, in no circle, and nobody reaches into another.

Four parts have an order of rooms (folders, or modules beside them), highest first. A module may
import from its own room and from rooms in lower lines. Rooms in one line do not import each other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.structure import modules
from tests.structure.modules import Module

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Part:
    """A tree of modules and the order of its rooms.

    Attributes:
        folder: where it lies, from the root of the checkout.
        name: under which it is imported; empty for a folder that is on the path itself.
        houses: packages that hold rooms and are none themselves.
        order: the rooms, highest first; a line with several holds rooms of equal height.
        leave_out: files in the folder that run elsewhere.
    """

    folder: str
    name: str
    houses: tuple[str, ...]
    order: tuple[str, ...]
    leave_out: tuple[str, ...] = ()

    def modules(self, root: Path = ROOT) -> list[Module]:
        return modules.read(root / self.folder, self.name, self.leave_out)

    def room(self, module: str) -> str:
        """Return the room of a module; a house's own ``__init__.py`` is the lowest."""
        house = max((h for h in self.houses if _within(module, h)), key=len, default="")
        return module.removeprefix(house).lstrip(".").partition(".")[0] or "__init__"


def _within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


BOARD_FILES = ("*_*/**/*.py",)  # these run on a tracker

PARTS = {
    "gateway": Part(
        "gateway",
        "coldtrail_gateway",
        ("coldtrail_gateway",),
        (
            "__main__",
            "web",
            "api",
            "cli",
            "integrations",
            "reports",
            "exports",
            "alarms",
            "insight",
            "shipments",
            "readings",
            "evidence",
            "ingest",
            "audit",
            "store",
            "contract",
            "clock",
            "keyfiles",
            "errors",
            "urls",
            "__init__",
        ),
    ),
    "simulator": Part(
        "simulator",
        "coldtrail_simulator",
        ("coldtrail_simulator",),
        (
            "cli",
            "report",
            "shipment",
            "services renode",
            "board",
            "esp32",
            "models",
            "network",
            "world",
            "energy files journal wires paths",
            "clock",
            "__init__",
        ),
        leave_out=("esp32/shims/*.py",),
    ),
    "shims": Part(
        "simulator/esp32/shims",
        "",
        ("",),
        ("_boot", "esp32 machine os select time", "_tasks _rare _flash", "_link"),
    ),
    "boards": Part(
        "boards",
        "coldtrail_boards",
        ("coldtrail_boards",),
        # What provisioning makes is what flashing writes, so it lies below.
        (
            "__main__",
            "cli",
            "flash cable logdump_command",
            "provision",
            "profiles",
            "files logdump",
            "records",
            "quantities",
            "errors printable",
            "__init__",
        ),
        leave_out=BOARD_FILES,
    ),
    "firmware": Part(
        "firmware",
        "",
        ("", "coldtrail"),
        (
            "main",
            "start",
            "provisioned tracker",
            "cable_session",
            "cannot_run sleep",
            "console selftest",
            "update",
            "uplink",
            "panel",
            "shipment",
            "outcome sample watchdog",
            "log",
            "judging",
            "sensing",
            "identity",
            "contract",
            "clock decimal utc",
            "ports",
            "drivers",
            "memories memory",
            "__init__",
        ),
    ),
}

HOST = ("gateway", "simulator", "boards")
ON_A_TRACKER = ("coldtrail", "drivers", "board", "coldtrail_firmware")

COMMAND_LINE = ("click", "rich_click")
FRONT_DOORS = re.compile(r"\.cli(\.|$)|[._]command$|\.cable\.console$")
"""Modules that define commands: only they know a command line's library."""


def upwards(part: Part, tree: Sequence[Module]) -> Iterator[str]:
    """Yield the imports of a room that is not below, and the rooms that have no place."""
    height = {room: n for n, line in enumerate(part.order) for room in line.split()}
    for module, targets in modules.arrows(tree).items():
        own = part.room(module.name)
        if own not in height:
            yield f"{module}: the room '{own}' has no place in the order"
            continue
        for target in targets:
            other = part.room(target)
            if other != own and height.get(other, -1) <= height[own]:
                yield f"{module} imports {target}: '{other}' is not below '{own}'"


def circles(tree: Sequence[Module]) -> Iterator[str]:
    graph = {module.name: set(targets) for module, targets in modules.arrows(tree).items()}
    for group in modules.circles(graph):
        yield f"{' '.join(group)}: they import each other in a circle"


def between(part: str, tree: Sequence[Module]) -> Iterator[str]:
    """Yield what a part of the host imports of another part, or of what runs on a tracker."""
    others = [PARTS[other].name for other in HOST if other != part]
    for module in tree:
        for name, _ in modules.imported(module):
            if name.partition(".")[0] in (*others, *ON_A_TRACKER):
                yield f"{module} imports {name}: another part"


def indoors(tree: Sequence[Module]) -> Iterator[str]:
    """Yield where the core knows a command line."""
    for module in tree:
        libraries = {name.partition(".")[0] for name, _ in modules.imported(module)}
        if libraries & set(COMMAND_LINE) and not FRONT_DOORS.search(module.name):
            yield f"{module} imports a command line's library, and is none"


def privates(tree: Sequence[Module]) -> Iterator[str]:
    known = {module.name for module in tree}
    for module in tree:
        for name, _ in modules.foreign_privates(module, known):
            yield f"{module} uses {name}: private elsewhere"


def offences(part: str, root: Path = ROOT) -> set[str]:
    """Return everything that is wrong in a part, a sentence each."""
    tree = PARTS[part].modules(root)
    found = {*upwards(PARTS[part], tree), *circles(tree), *privates(tree)}
    if part in HOST:
        found |= {*between(part, tree), *indoors(tree)}
    return found


@pytest.mark.parametrize("part", PARTS)
def test_a_part_keeps_its_order(part: str) -> None:
    assert PARTS[part].modules(), "no files were read"
    assert not offences(part)


# --- the reader finds what is there, and only that


HOUSE = Part("house", "house", ("house",), ("roof", "left right", "cellar", "__init__"))


def built(tmp_path: Path, **files: str) -> list[Module]:
    """Write modules of a package `house`, each ``room__module=source``, and read them."""
    for name, source in {"__init__": "", **files}.items():
        path = tmp_path / "house" / f"{name.replace('__in__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, encoding="utf-8")
    return HOUSE.modules(tmp_path)


@pytest.mark.parametrize(
    "source",
    [
        "import house.roof",
        "import house.roof.tiles as t",
        "from house import roof",
        "from house.roof import tiles",
        "from .. import roof",
        "from ..roof.tiles import RED",
        "def f():\n    from house.roof import tiles",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from house import roof",
        "from importlib import import_module\nimport_module('house.roof.tiles')",
        "import importlib\nimportlib.import_module('..roof', __package__)",
        "x = __import__('house.roof')",
    ],
)
def test_an_arrow_upwards_is_found(tmp_path: Path, source: str) -> None:
    tree = built(
        tmp_path, roof__in____init__="", roof__in__tiles="RED = 1",
        cellar__in____init__="", cellar__in__wine=source,
    )  # fmt: skip
    [said] = upwards(HOUSE, tree)
    assert said.startswith("house.cellar.wine imports house.roof")


def test_rooms_of_one_height_do_not_import_each_other(tmp_path: Path) -> None:
    tree = built(tmp_path, left="", right="from house import left")
    assert list(upwards(HOUSE, tree)) == [
        "house.right imports house.left: 'left' is not below 'right'"
    ]


def test_arrows_downwards_within_a_room_and_to_others_are_no_offence(tmp_path: Path) -> None:
    tree = built(
        tmp_path,
        roof__in____init__="",
        roof__in__tiles="import json\nfrom house import left, cellar\nfrom .beams import OAK",
        roof__in__beams="OAK = 'house.roof'",
        left="from . import cellar",
        cellar="import roof",
    )
    assert not [*upwards(HOUSE, tree), *circles(tree), *privates(tree)]


def test_a_room_without_a_place_is_named(tmp_path: Path) -> None:
    assert list(upwards(HOUSE, built(tmp_path, garage=""))) == [
        "house.garage: the room 'garage' has no place in the order"
    ]


@pytest.mark.parametrize("back", ["from . import a", "def f():\n    import house.cellar.a"])
def test_a_circle_is_found_however_late_it_closes(tmp_path: Path, back: str) -> None:
    tree = built(
        tmp_path, cellar__in____init__="", cellar__in__a="from . import b",
        cellar__in__b="from . import c", cellar__in__c=back, cellar__in__d="from . import a",
    )  # fmt: skip
    assert list(circles(tree)) == [
        "house.cellar.a house.cellar.b house.cellar.c: they import each other in a circle"
    ]


@pytest.mark.parametrize(
    "source",
    [
        "from coldtrail_gateway.store import database",
        "def f():\n    import coldtrail_gateway",
        "from coldtrail.contract import cbor",
        "import drivers.fault",
    ],
)
def test_an_import_of_another_part_is_found(tmp_path: Path, source: str) -> None:
    (tmp_path / "boards").mkdir()
    (tmp_path / "boards" / "files.py").write_text(source, encoding="utf-8")
    [said] = offences("boards", tmp_path)
    assert said.startswith("coldtrail_boards.files imports ")
    (tmp_path / "boards" / "new_board").mkdir()
    (tmp_path / "boards" / "files.py").rename(tmp_path / "boards" / "new_board" / "board.py")
    assert not offences("boards", tmp_path)


def test_a_command_line_in_the_core_is_found(tmp_path: Path) -> None:
    tree = built(tmp_path, cli="import click", cellar__in__wine="from click import echo")
    assert list(indoors(tree)) == [
        "house.cellar.wine imports a command line's library, and is none"
    ]


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("from house.cellar import _wine", ["_wine"]),
        ("from .cellar import _wine as wine", ["_wine"]),
        ("import house.cellar as c\nprint(c._wine)", ["_wine"]),
        ("def f(other):\n    other._door = 1", ["_door"]),
        ("def f(other):\n    return other.room._door()", ["_door"]),
        ("class A:\n    def f(self):\n        return self.other._door", ["_door"]),
        ("def f(other):\n    return getattr(other, '_door')", ["_door"]),
    ],
)
def test_a_private_name_of_another_module_is_found(
    tmp_path: Path, source: str, names: Iterable[str]
) -> None:
    tree = built(tmp_path, roof=source, cellar="_wine = 1")
    assert list(privates(tree)) == [f"house.roof uses {name}: private elsewhere" for name in names]


@pytest.mark.parametrize(
    "source",
    [
        "class A:\n    def f(self):\n        self._door = 1\n\ndef g(a):\n    return a._door",
        "class A:\n    _door = 1\n    def f(self, other):\n        return other._door",
        "class A(B):\n    def f(self):\n        return self._door",
        "def f(pair, other):\n    return pair._replace(a=1), other.__class__",
        "from other_house import _thing",
    ],
)
def test_a_private_name_of_its_own_is_no_offence(tmp_path: Path, source: str) -> None:
    assert not list(privates(built(tmp_path, roof=source)))
