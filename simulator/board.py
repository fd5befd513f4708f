"""Reads a board's file, builds its parts and wires them to the chip."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from .process import ROOT

BOARDS = ROOT / "boards"


class BoardError(ValueError):
    """The board cannot exist; the message is one sentence that says why."""


class World(Protocol):
    """What the sensors measure; ``t_s`` is virtual time in seconds."""

    def ambient_c(self, t_s: float) -> float:
        """Return the temperature of the air around the box."""

    def humidity(self, t_s: float) -> float:
        """Return the relative humidity of that air in percent."""

    def payload_c(self, t_s: float) -> float:
        """Return the temperature of the payload."""


def load(path: Path) -> dict[str, Any]:
    """Return the constants of a board file, which must be plain literals.

    Raises:
        BoardError: the file is missing, or more than literals.
    """
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise BoardError(f"{path}: {error.strerror}: name an existing board file.") from error
    except SyntaxError as error:
        raise BoardError(f"{path}, line {error.lineno}: {error.msg}.") from error
    board: dict[str, Any] = {}
    for node in tree.body:
        match node:
            case ast.Expr(value=ast.Constant()):
                continue
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                try:
                    board[name] = ast.literal_eval(value)
                except ValueError:
                    raise BoardError(
                        f"{path}, line {node.lineno}: {name} is not a plain literal."
                    ) from None
            case _:
                raise BoardError(
                    f"{path}, line {node.lineno}: only NAME = literal may stand here."
                )
    return board


def named(name: str) -> Mapping[str, Any]:
    """Return a board of this project by the name of its folder."""
    return load(BOARDS / name / "board.py")
