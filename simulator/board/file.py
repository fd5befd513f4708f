"""Reads a board file and rejects a board that cannot be wired."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from coldtrail_simulator import files
from coldtrail_simulator.board.rules import CHIPS, Rules
from coldtrail_simulator.paths import BOARDS

REQUIRED = {"NAME": str, "CHIP": str, "RTC_PPM": int}
OPTIONAL = {
    "BUSES": dict,
    "SENSORS": dict,
    "FLASH": dict,
    "MODEM": dict,
    "BUTTON": int,
    "LED_GREEN": int,
    "LED_RED": int,
    "PULLS": tuple,
}
BUS_PINS = {
    "I2C": {"scl": "output", "sda": "output"},
    "SPI": {"sck": "output", "mosi": "output", "miso": "input"},
    "UART": {"tx": "output", "rx": "input"},
}
PART_PINS = {
    "cs": "output",
    "adc": "analog",
    "supply": "output",
    "pwrkey": "output",
    "reset_n": "output",
    "status": "input",
    "int": "input",
    "int1": "input",
}
ACTIVE = {"int": 0, "int1": 1}
"""The active level of each interrupt line."""
PANEL_PINS = {"BUTTON": "input", "VBUS": "input", "LED_GREEN": "output", "LED_RED": "output"}


_WORDS = ("low", "high")


class BoardFileError(ValueError):
    """A board file is wrong; the message is one sentence with the place and the reason."""


def path_of(name: str) -> Path:
    """Return the path of the board file in the board folder ``name``."""
    return BOARDS / name / "board.py"


def named(name: str) -> dict[str, Any]:
    """Return the constants of a board of this project by the name of its folder.

    Raises:
        BoardFileError: the board does not exist, or cannot be wired.
    """
    return load(path_of(name))


def load(path: Path) -> dict[str, Any]:
    """Return the constants of a board file, which must be plain literals.

    Raises:
        BoardFileError: the file is missing, contains more than literals, or describes a board that
            cannot be wired.
    """
    try:
        tree = ast.parse(files.read_text(path), str(path))
    except OSError as error:
        raise BoardFileError(f"{path}: {error.strerror}; name an existing board file.") from error
    except (SyntaxError, UnicodeDecodeError, ValueError) as error:
        raise BoardFileError(f"{path}: {error}; correct the file.") from error
    board: dict[str, Any] = {}
    for node in tree.body:
        match node:
            case ast.Expr(value=ast.Constant()):
                continue
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                try:
                    board[name] = ast.literal_eval(value)
                except ValueError:
                    raise BoardFileError(
                        f"{path}, line {node.lineno}: {name} is not a plain literal."
                    ) from None
            case _:
                raise BoardFileError(
                    f"{path}, line {node.lineno}: only NAME = literal may stand here."
                )
    try:
        check(board)
    except BoardFileError as error:
        raise BoardFileError(f"{path}: {error}") from None
    return board


def parts(board: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the entries of the fitted parts by name."""
    fitted = dict(board.get("SENSORS", {}))
    for name in ("FLASH", "MODEM"):
        if name in board:
            fitted[name.lower()] = board[name]
    return fitted


def check(board: Mapping[str, Any]) -> None:
    """Reject a board that cannot be wired.

    Raises:
        BoardFileError: one sentence with the reason.
    """
    try:
        _check_names(board)
        _check_wiring(board)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, BoardFileError):
            raise
        raise BoardFileError(f"an entry has not the form it should have: {error!r}.") from error


def _check_wiring(board: Mapping[str, Any]) -> None:
    rules = CHIPS[board["CHIP"]]
    uses: dict[int, str] = {}
    for pin, kind, use in _uses(board, rules):
        _check_pin(rules, pin, kind, use)
        if pin in uses:
            raise BoardFileError(f"pin {pin} is used twice, as {uses[pin]} and as {use}.")
        uses[pin] = use
    _check_buses(board, rules)
    _check_wakes(board, rules, uses)
    outputs = {pin for pin, kind, _ in _uses(board, rules) if kind == "output"}
    for pin, _ in board.get("HELD", ()):
        if pin not in outputs:
            raise BoardFileError(f"pin {pin} cannot be held: no output is on it.")


def _check_names(board: Mapping[str, Any]) -> None:
    _check_required(board, REQUIRED)
    rules = CHIPS.get(board["CHIP"])
    if rules is None:
        raise BoardFileError(f"CHIP {board['CHIP']} is not known; {', '.join(CHIPS)} are.")
    _check_required(board, rules.required)
    kinds = {**REQUIRED, **OPTIONAL, **rules.required, **rules.optional}
    for name, value in board.items():
        if name not in kinds:
            raise BoardFileError(f"{name} is not a name that boards with this chip have.")
        if not isinstance(value, kinds[name]):
            raise BoardFileError(f"{name} must be of type {kinds[name].__name__}.")


def _check_required(board: Mapping[str, Any], required: Mapping[str, type]) -> None:
    for name, kind in required.items():
        if not isinstance(board.get(name), kind):
            raise BoardFileError(f"{name} is missing or not of type {kind.__name__}.")


def _uses(board: Mapping[str, Any], rules: Rules) -> Iterator[tuple[int, str, str]]:
    """Yield every use of a pin: its number, kind of use and name."""
    for (kind, number), bus in board.get("BUSES", {}).items():
        if kind not in BUS_PINS or number not in rules.buses[kind]:
            raise BoardFileError(f"there is no {kind} {number} for parts on the chip.")
        if bus["pins"].keys() != BUS_PINS[kind].keys():
            raise BoardFileError(f"{kind} {number} needs the pins {', '.join(BUS_PINS[kind])}.")
        for role, pin in bus["pins"].items():
            yield pin, BUS_PINS[kind][role], f"{role} of {kind} {number}"
    for name, entry in parts(board).items():
        for role, kind in PART_PINS.items():
            if role in entry:
                yield entry[role], kind, f"{role} of {name}"
    for name, kind in PANEL_PINS.items():
        if name in board:
            yield board[name], kind, name


def _check_pin(rules: Rules, pin: int, kind: str, use: str) -> None:
    if pin not in rules.pins:
        raise BoardFileError(f"pin {pin} ({use}) does not exist on the chip.")
    for owner, pins in rules.taken.items():
        if pin in pins:
            raise BoardFileError(f"pin {pin} ({use}) belongs to {owner}.")
    if kind == "output" and pin in rules.input_only:
        raise BoardFileError(f"pin {pin} can only be an input, not {use}.")
    if kind == "analog" and pin not in rules.analog:
        raise BoardFileError(f"pin {pin} ({use}) has no ADC.")


def _check_buses(board: Mapping[str, Any], rules: Rules) -> None:
    buses = board.get("BUSES", {})
    for (kind, number), bus in buses.items():
        fixed = rules.fixed.get((kind, number))
        if fixed is not None and bus["pins"] != fixed:
            pins = ", ".join(f"{role} {pin}" for role, pin in fixed.items())
            raise BoardFileError(f"{kind} {number} has its pins from the image: {pins}.")
        if kind == "SPI" and number in rules.shared and ("I2C", number) in buses:
            raise BoardFileError(f"SPI {number} and I2C {number} are one peripheral of the chip.")
    taken: dict[tuple[int, int], str] = {}
    for name, entry in parts(board).items():
        for kind in BUS_PINS:
            number = entry.get(kind.lower())
            if number is not None and (kind, number) not in board.get("BUSES", {}):
                raise BoardFileError(
                    f"{name} is on {kind} {number}, which the board does not have."
                )
        if "i2c" in entry:
            place = entry["i2c"], entry["address"]
            if place in taken:
                raise BoardFileError(
                    f"{taken[place]} and {name} have one address, {place[1]:#04x}, on one I2C bus."
                )
            taken[place] = name


def _check_wakes(board: Mapping[str, Any], rules: Rules, uses: Mapping[int, str]) -> None:
    """Check the wake sources against the abilities of the chip (ESP32 datasheet, sleep modes)."""
    resting = dict(board.get("PULLS", ()))
    high, low = board.get("WAKE_ANY_HIGH", ()), board.get("WAKE_ALL_LOW", ())
    if high and low:
        raise BoardFileError("ext1 wakes by any high pin or by all low, not by both.")
    wakes = [(pin, 1) for pin in high] + [(pin, 0) for pin in low]
    if "WAKE_EXT0" in board:
        if len(board["WAKE_EXT0"]) != 2 or not isinstance(board["WAKE_EXT0"][0], int):
            raise BoardFileError("WAKE_EXT0 is one (pin, level): ext0 watches one pin.")
        wakes.append(board["WAKE_EXT0"])
    active = {
        entry[role]: level
        for entry in parts(board).values()
        for role, level in ACTIVE.items()
        if role in entry
    }
    seen = set()
    for pin, level in wakes:
        if pin not in rules.wakes:
            raise BoardFileError(f"pin {pin} cannot wake the chip: it is not an RTC pin.")
        if pin in seen:
            raise BoardFileError(f"pin {pin} is to wake the chip in two ways.")
        seen.add(pin)
        if pin not in uses:
            raise BoardFileError(f"pin {pin} is to wake the chip, and nothing is on it.")
        if active.get(pin, level) != level:
            raise BoardFileError(
                f"pin {pin} ({uses[pin]}) must wake the chip when {_WORDS[1 - level]}, "
                f"not when {_WORDS[level]}."
            )
        if pin not in resting:
            raise BoardFileError(
                f"pin {pin} wakes the chip and floats: it needs an entry in PULLS."
            )
        if resting[pin] == level:
            raise BoardFileError(f"pin {pin} rests at the level that wakes the chip.")
