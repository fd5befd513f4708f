"""Errors in a scenario file as one sentence, with the names used in the file."""

from typing import Any

from pydantic import ValidationError


class ScenarioError(ValueError):
    """A scenario cannot be used; one sentence names the file, the table and the key."""


def sentence(error: ValidationError) -> str:
    """Return one sentence about the first fault, with the names used in the file."""
    faults = error.errors(include_url=False)
    # A misspelt key also causes a missing one; report the misspelt key.
    first = next((fault for fault in faults if fault["type"] == "extra_forbidden"), faults[0])
    table, key = _place(first["loc"])
    match first["type"]:
        case "extra_forbidden" if not key:
            return f"{table} is not a known table; remove it or correct its spelling."
        case "extra_forbidden":
            what = f"{key} is not a known key; remove it or correct its spelling"
        case "missing":
            what = f"{key} is missing" if key else "this table is missing"
        case "union_tag_not_found":
            what = "kind is missing"
        case "union_tag_invalid":
            what = f"kind must be one of {first['ctx']['expected_tags']}".replace("'", "")
        case "value_error":
            what = f"{key}: {first['ctx']['error']}".removeprefix(": ")
        case _:
            what = f"{key}: {first['msg'][0].lower()}{first['msg'][1:]}".removeprefix(": ")
    return f"{table}: {what}.".removeprefix(": ")


def _place(loc: tuple[Any, ...]) -> tuple[str, str]:
    """Split pydantic's path into the table, as written in TOML, and the key in it."""
    if not loc:
        return "", ""
    table, rest = str(loc[0]), list(loc[1:])
    if rest and isinstance(rest[0], int):
        number = rest.pop(0) + 1
        # The path of an event continues with its kind.
        kind = f" ({rest.pop(0)})" if table == "event" and rest else ""
        return f"[[{table}]] {number}{kind}", _dotted(rest)
    return f"[{table}]", _dotted(rest)


def _dotted(parts: list[Any]) -> str:
    return "".join(
        f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in parts
    ).removeprefix(".")
