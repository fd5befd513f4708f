"""The uplink contract for the tests: every field with its limits, written by hand.

The CDDL, the firmware's encoder and the gateway's decoder are each compared with this table, so a
limit that differs between any two of them fails a test.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import cbor2

Path = tuple[int, ...]


@dataclass(frozen=True)
class Int:
    """An integer with inclusive limits."""

    low: int
    high: int

    def allowed(self) -> list[Any]:
        """Return the smallest and the largest value."""
        return [self.low, self.high]

    def refused(self) -> list[Any]:
        """Return the values just outside the limits, and values of other types."""
        return [self.low - 1, self.high + 1, None, True, "1", b"1", float(self.low)]


@dataclass(frozen=True)
class OrNull:
    """An integer or null."""

    limits: Int

    def allowed(self) -> list[Any]:
        """Return the smallest and the largest value, and null."""
        return [*self.limits.allowed(), None]

    def refused(self) -> list[Any]:
        """Return the rejected values of the integer, except null."""
        return [value for value in self.limits.refused() if value is not None]


@dataclass(frozen=True)
class Text:
    """A text of 1 to ``longest`` bytes of UTF-8."""

    longest: int

    def allowed(self) -> list[Any]:
        """Return the shortest text and the longest ones, in characters of one and two bytes."""
        return ["x", "x" * self.longest, "é" * (self.longest // 2)]

    def refused(self) -> list[Any]:
        """Return texts that are one byte too short and too long, and values of other types."""
        return [
            "",
            "x" * (self.longest + 1),
            "é" * (self.longest // 2) + "x",
            None,
            1,
            b"x",
        ]


@dataclass(frozen=True)
class Bytes:
    """A byte string of exactly ``size`` bytes."""

    size: int

    def allowed(self) -> list[Any]:
        """Return all bits clear and all bits set."""
        return [bytes(self.size), b"\xff" * self.size]

    def refused(self) -> list[Any]:
        """Return strings that are one byte too short and too long, and values of other types."""
        return [bytes(self.size - 1), bytes(self.size + 1), None, 1, "x" * self.size]


@dataclass(frozen=True)
class Array:
    """An array of ``shortest`` to ``longest`` items."""

    shortest: int
    longest: int
    item: Any

    def allowed(self) -> list[Any]:
        """Return the shortest and the longest array."""
        return [[self.item] * self.shortest, [self.item] * self.longest]

    def refused(self) -> list[Any]:
        """Return arrays with one item too few and too many, and values of other types."""
        shorter = [[self.item] * (self.shortest - 1)] if self.shortest else []
        return [*shorter, [self.item] * (self.longest + 1), None, 1, {}]


@dataclass(frozen=True)
class Rows:
    """An array of 0 to ``longest`` arrays of the same columns."""

    longest: int
    columns: tuple[Limits, ...]

    def allowed(self) -> list[Any]:
        """Return no rows, and the maximum number of rows with the largest values."""
        largest = [limits.allowed()[-1] for limits in self.columns]
        return [[], [largest] * self.longest]

    def refused(self) -> list[Any]:
        """Return one row too many, rows beyond their limits, and values of other types."""
        rows = [row for row, good in boundaries(self.columns) if not good]
        return [[rows[0]], *([row] for row in rows), [[0, 0]] * (self.longest + 1), [0], None, 1]


@dataclass(frozen=True)
class Optional:
    """A field that may be omitted at the end of an array."""

    limits: Int | Text

    def allowed(self) -> list[Any]:
        """Return the allowed values of the field when it is present."""
        return self.limits.allowed()

    def refused(self) -> list[Any]:
        """Return the rejected values of the field when it is present."""
        return self.limits.refused()


@dataclass(frozen=True)
class Embedded:
    """A byte string that contains the CBOR of a message."""

    message: Message

    def allowed(self) -> list[Any]:
        """Return every variant of the message that is allowed."""
        return [cbor2.dumps(value, canonical=True) for value in self._variants(good=True)]

    def refused(self) -> list[Any]:
        """Return the rejected variants, a byte too few and too many, and other types."""
        example = self.allowed()[0]
        wrong = [cbor2.dumps(value, canonical=True) for value in self._variants(good=False)]
        return [*wrong, b"", example[:-1], example + b"\x00", self.message.example, None, 1]

    def _variants(self, *, good: bool) -> list[Any]:
        return [value for _, value, allowed in self.message.variants() if allowed is good]


Limits = Int | OrNull | Text | Bytes | Array | Rows | Optional | Embedded

MOST_SAMPLES: Final = 96
MOST_EVENTS: Final = 64
LARGEST_SEALED: Final = 1400  # bytes

U32: Final = Int(0, 2**32 - 1)
COUNTER: Final = Int(1, 2**32 - 1)
SECONDS: Final = Int(0, 2**30 - 1)
MS: Final = Int(0, 999)
UNIX: Final = Int(1577836800, 2**32 - 1)  # from 2020-01-01
READING: Final = Int(1 - 2**24, 2**24 - 1)
NAME: Final = Text(32)
INTERVAL: Final = Int(1, 86400)
KEY_VERSION: Final = Int(1, 255)
AXIS: Final = Int(-32767, 32767)
SHORT: Final = Int(0, 65535)

SYNC: Final = (SECONDS, MS, UNIX, MS, U32, Int(1, 3))
EVENTS: Final[dict[int, tuple[Limits, ...]]] = {
    2: (SECONDS, Int(-90000000, 90000000), Int(-180000000, 180000000), U32, Int(1, 2)),
    3: (Int(0, 0), COUNTER, Int(1, 5), SECONDS, Text(16)),
    4: SYNC,
    5: (
        SECONDS,
        Int(0, 255),
        Int(1, 4),
        Int(0, 9),
        Int(1, 4),
        READING,
        SECONDS,
        READING,
        SECONDS,
    ),
    6: (SECONDS, Int(0, 255), Int(1, 4), READING, READING, SECONDS),
    7: (SECONDS, NAME, Bytes(8)),
    8: (SECONDS, KEY_VERSION, KEY_VERSION),
    9: (SECONDS, Int(1, 3), U32),
    10: (SECONDS, NAME),
    11: (SECONDS, NAME, Int(1, 4)),
    12: (SECONDS, Int(0, 1), Int(1, 4)),
    13: (SECONDS, Int(0, 31), Int(0, 15), Int(0, 1)),
    14: (SECONDS, AXIS, AXIS, AXIS),
    15: (SECONDS, SHORT),
    16: (SECONDS, Int(0, 4), NAME, NAME, UNIX, UNIX, Rows(8, (READING, AXIS))),
    17: (SECONDS, Int(1, 2**53 - 1), Int(1, 7), Int(0, 4), Optional(Text(64))),
    18: (SECONDS, *[SHORT] * 6),
    19: (SECONDS, MS, MS, SHORT, U32, Int(1, 3), Int(-200, 0)),
    20: (SECONDS, Int(0, 1)),
    21: (SECONDS, Int(0, 7), READING),
}
SAMPLE: Final[tuple[Limits, ...]] = (SECONDS, SECONDS, *[OrNull(READING)] * 8)
RECORDS: Final[dict[int, tuple[Limits, ...]]] = {1: SAMPLE, **EVENTS}
UNKNOWN_TYPES: Final = sorted({*range(-1, 33)} - {*RECORDS})
# The fields at the beginning of a tracker's block, by the names of the builder's parameters.
BEGINNING: Final[dict[str, Limits]] = {
    "chain": Bytes(8),
    "number": COUNTER,
    "previous": Bytes(16),
    "boot": COUNTER,
    "first_sequence": U32,
    "interval": INTERVAL,
    "shipment": NAME,
}


def first(limits: Limits) -> Any:
    """Return an allowed value."""
    return limits.allowed()[0]


def boundaries(fields: tuple[Limits, ...]) -> Iterator[tuple[list[Any], bool]]:
    """Yield (record, allowed) with one field at or beyond one of its limits."""
    example = [first(limits) for limits in fields]
    yield example, True
    for index, limits in enumerate(fields):
        for values, good in ((limits.allowed(), True), (limits.refused(), False)):
            for value in values:
                yield [*example[:index], value, *example[index + 1 :]], good
    if example:
        yield example[:-1], isinstance(fields[-1], Optional)
    yield [*example, 0], False


@dataclass(frozen=True)
class Message:
    """A valid message, the limits of its fields, and the optional keys of its maps."""

    type_name: str
    example: dict[int, Any]
    fields: dict[Path, Limits]
    optional: frozenset[Path] = frozenset()
    maps: tuple[Path, ...] = ((),)

    def variants(self) -> Iterator[tuple[str, Any, bool]]:
        """Yield (description of the change, message, whether it is allowed)."""
        yield "example", self.example, True
        for path, limits in self.fields.items():
            for value in limits.allowed():
                yield f"{path} = {value!r:.40}", self._with(path, value), True
            for value in limits.refused():
                yield f"{path} = {value!r:.40}", self._with(path, value), False
        for path in self.maps:
            inner = _at(self.example, path)
            for key in inner:
                changed = copy.deepcopy(self.example)
                del _at(changed, path)[key]
                yield f"without {(*path, key)}", changed, (*path, key) in self.optional
            for key in [*sorted({*range(25), -1} - set(inner)), "x"]:
                changed = copy.deepcopy(self.example)
                _at(changed, path)[key] = 0
                yield f"unknown {(*path, key)}", changed, False

    def _with(self, path: Path, value: Any) -> Any:
        changed = copy.deepcopy(self.example)
        _at(changed, path[:-1])[path[-1]] = value
        return changed


def _at(message: Any, path: Path) -> Any:
    for step in path:
        message = message[step]
    return message


def _array_fields(path: Path, fields: tuple[Limits, ...], start: int = 0) -> dict[Path, Limits]:
    return {(*path, start + index): limits for index, limits in enumerate(fields)}


_CHANNEL_KEYS = range(8, 16)
_SYNC_EXAMPLE = [1, 2, 1577836800, 4, 5, 1]

BLOCK: Final = Message(
    "block",
    {
        0: 1,
        1: bytes(8),
        2: 1,
        3: bytes(16),
        4: 1,
        5: 0,
        6: _SYNC_EXAMPLE,
        7: "x",
        8: {
            0: 3,
            1: 0,
            2: 86400,
            3: [0, 1],
            4: [0, 0, 1],
            **{key: [None, 0, 0] for key in _CHANNEL_KEYS},
        },
        9: [[kind, *[first(limits) for limits in fields]] for kind, fields in EVENTS.items()],
        10: 1,
    },
    {
        (0,): Int(1, 1),
        (1,): Bytes(8),
        (2,): COUNTER,
        (3,): Bytes(16),
        (4,): COUNTER,
        (5,): U32,
        **_array_fields((6,), SYNC),
        (7,): NAME,
        (8, 2): INTERVAL,
        (8, 4, 0): SECONDS,
        **{(8, key, 1): OrNull(READING) for key in _CHANNEL_KEYS},
        **{(8, key, 2): OrNull(READING) for key in _CHANNEL_KEYS},
        (9,): Array(1, 64, [10, 0, "x"]),
        **{
            path: limits
            for index, fields in enumerate(EVENTS.values())
            for path, limits in _array_fields((9, index), fields, 1).items()
        },
        (10,): Int(1, 1),
    },
    optional=frozenset([(6,), (7,), (8,), (9,), (10,), (8, 3), (8, 4)])
    | {(8, key) for key in _CHANNEL_KEYS},
    maps=((), (8,)),
)

# Times and lengths that depend on each other; changing one alone tests only the grammar.
BLOCK_SHAPE: Final = Message(
    "block",
    BLOCK.example,
    {
        (8, 1): SECONDS,
        (8, 3, 0): Int(-86400, 2**30 - 2),
        (8, 0): Int(1, 96),
        (8, 3): Array(1, 95, 1),
        (8, 4): Array(1, 96, 1),
        **{(8, key): Array(1, 96, 1) for key in _CHANNEL_KEYS},
    },
    maps=(),
)

CONFIRMATION: Final = Message(
    "confirmation",
    {0: 1, 1: bytes(8), 2: 0, 3: bytes(16), 4: [], 5: 1577836800, 6: 0},
    {
        (0,): Int(1, 1),
        (1,): Bytes(8),
        (2,): U32,
        (5,): UNIX,
        (6,): MS,
    },
)

CONFIRMATION_HASH: Final = Message(
    "confirmation",
    {**CONFIRMATION.example, 2: 1, 4: [[3, 3]]},
    {(3,): Bytes(16), (4,): Array(0, 16, [3, 3]), (4, 0): Array(2, 2, 1)},
    maps=(),
)

PROFILE: Final = Message(
    "profile",
    {
        0: 1,
        1: "x",
        2: 300,
        3: 300,
        4: 3600,
        5: 3600,
        6: 0,
        7: [[1, 1, 0, 3, 800, 0, 0, 0]],
        8: [0],
        9: 0,
        10: 0,
        11: [0],
        12: 0,
        13: 0,
    },
    {
        (0,): Int(1, 1),
        (1,): NAME,
        (2,): INTERVAL,
        (3,): INTERVAL,
        (4,): Int(60, 604800),
        (5,): Int(60, 604800),
        (6,): Int(0, 604800),
        (7, 0, 0): Int(0, 255),
        (7, 0, 3): Int(1, 4),
        (7, 0, 6): Int(0, 2**24 - 1),
        (8,): Array(0, 10, 1),
        (8, 0): Int(0, 9),
        (9,): Int(0, 1),
        (10,): Int(0, 604800),
        (11,): Array(0, 10, 1),
        (11, 0): Int(0, 9),
        (13,): Int(0, 86400),
    },
    optional=frozenset([(8,), (9,), (10,), (11,), (12,), (13,)]),
)

# Fields with additional rules in the profile's loader.
PROFILE_RULE: Final = Message(
    "profile",
    PROFILE.example,
    {
        (7,): Array(0, 16, [1, 1, 0, 3, 800, 0, 0, 0]),
        (7, 0): Array(8, 8, 1),
        (7, 0, 1): Int(1, 4),
        (7, 0, 2): Int(0, 9),
        (7, 0, 4): READING,
        (7, 0, 5): SECONDS,
        (7, 0, 7): Int(0, 86400),
        (12,): Int(0, 1),
    },
    maps=(),
)

# The parameters of each action, by its code.
ACTIONS: Final[dict[int, tuple[Limits, ...]]] = {
    1: (Bytes(8), Embedded(PROFILE)),
    2: (),
    3: (),
    4: (),
    5: (COUNTER,),
    6: (NAME,),
    7: (),
}
UNKNOWN_ACTIONS: Final = sorted({*range(-1, 33)} - {*ACTIONS})
COMMAND: Final = Message(
    "command",
    {0: 1, 1: 1, 2: UNIX.low, 3: [5, 1]},
    {
        (0,): Int(1, 1),
        (1,): Int(1, 2**53 - 1),
        (2,): UNIX,
        (3,): Array(2, 2, 5),
        (3, 1): COUNTER,
    },
)
