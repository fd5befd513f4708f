"""The tracker's loader takes every shipped profile and says what is wrong with any other."""

from __future__ import annotations

import copy
import hashlib
from typing import Any

import cbor2
import pytest

from coldtrail.judging import profile
from coldtrail.judging.alarms import Engine
from coldtrail_boards import quantities
from coldtrail_boards.profiles import profile as profiles

GOOD: dict[int, Any] = {
    0: 1,
    1: "vaccines",
    2: 300,
    3: 120,
    4: 3600,
    5: 1800,
    6: 0,
    7: [[1, 4, 0, 3, 800, 86400, 0, 28800], [2, 1, 0, 2, -50, 0, 10, 0]],
    8: [0, 2],
    9: 1,
    10: 14400,
    11: [0, 5, 7],
    12: 0,
    13: 64800,
    14: 600,
}
SHIPPED = sorted(path.stem for path in profiles.DIRECTORY.glob("*.toml"))


def encoded(fields: Any) -> bytes:
    return cbor2.dumps(fields, canonical=True)


def changed(path: tuple[int, ...], value: Any) -> bytes:
    fields = copy.deepcopy(GOOD)
    inner: Any = fields
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return encoded(fields)


def test_every_field_arrives() -> None:
    data = encoded(GOOD)
    loaded = profile.load(data)
    assert loaded._asdict() == {
        "digest": hashlib.sha256(data).digest()[:8],
        "name": "vaccines",
        "interval": 300,
        "alarm_interval": 120,
        "upload_interval": 3600,
        "alarm_upload_interval": 1800,
        "start_delay": 0,
        "rules": ((1, 4, 0, 3, 800, 86400, 0, 28800), (2, 1, 0, 2, -50, 0, 10, 0)),
        "required": (0, 2),
        "overwrite": True,
        "position_interval": 14400,
        "urgent_faults": (0, 5, 7),
        "zone_start": False,
        "flight_limit": 64800,
        "arrival_window": 600,
    }
    assert profile.load(encoded({**GOOD, 6: 1, 12: 1})).zone_start


def test_what_is_optional_may_be_absent() -> None:
    loaded = profile.load(encoded({key: GOOD[key] for key in range(8)}))
    assert loaded[-7:] == ((), False, 0, (), False, 0, 0)


@pytest.mark.parametrize("name", SHIPPED)
def test_the_tracker_takes_every_shipped_profile(name: str) -> None:
    described = profiles.load(name)
    loaded = profile.load(described.encode())
    assert loaded.name == name
    assert [list(rule) for rule in loaded.rules] == [rule.wire() for rule in described.rule]
    Engine(loaded.rules).sample(0, loaded.interval, [0] * 8)


def test_what_is_judged_is_wanted_as_much_as_what_is_required() -> None:
    rules = [[1, 1, 8, 3, 6000, 0, 0, 0], [2, 1, 3, 3, 100, 0, 0, 0]]
    loaded = profile.load(encoded({**GOOD, 7: rules, 8: [3, 0]}))
    assert profile.wanted(loaded) == [0, 3, 8]


def test_channels_are_named_as_in_the_file() -> None:
    assert profile.named(range(10)) == ", ".join(quantities.CHANNELS)


TREND = [1, 4, 0, 3, 800, 86400, 0, 28800]
REFUSED = [
    (encoded([]), "not a map"),
    (encoded({}), "version must be 1 to 1"),
    (changed((0,), True), "version must be"),
    (changed((15,), 0), "unknown key 15"),
    (changed((1,), ""), "name must be"),
    (changed((1,), "é" * 17), "name must be"),
    (changed((2,), 0), "interval must be 1 to 86400"),
    (changed((2,), "5 min"), "interval must be 1 to 86400"),
    (changed((5,), 59), "alarm upload interval must be 60 to 604800"),
    (changed((7,), {}), "rules must be a list of at most 16"),
    (changed((7, 1), [1, 1, 0, 3]), "list of 8 numbers"),
    (changed((7, 1, 0), 1), "same id"),
    (changed((7, 1, 5), 60), "rule 2 of the profile: instant has duration 0"),
    (changed((7, 0, 5), 0), "rule 1 of the profile: instant has duration 0"),
    (changed((7, 1, 7), 60), "rule 2 of the profile: only a trend has a window"),
    (changed((7, 0, 7), 16 * 300 - 1), "rule 1 of the profile: its window must hold"),
    (changed((7,), [[i, *TREND[1:]] for i in range(3)]), "more than 2 trend rules"),
    (changed((7, 1, 2), 8), "rule 2 of the profile: of shock and free fall, only instant"),
    (changed((7,), [[1, 1, 8, 3, 0, 0, 0, 0]]), "of shock and free fall, only instant"),
    (changed((7,), [[1, 1, 9, 4, 1, 0, 1, 0]]), "of shock and free fall, only instant"),
    (changed((7,), [[1, 2, 9, 4, 1, 1, 0, 0]]), "of shock and free fall, only instant"),
    (changed((7,), [[1, 1, 8, 3, 200, 0, 0, 0]]), "rule 1 of the profile: its part tells 1250 to"),
    (changed((7, 1, 4), -20001), "rule 2 of the profile: its part tells -20000 to 11000"),
    (changed((8,), [10]), "a channel must be 0 to 9"),
    (changed((9,), 2), "overwrite must be 0 to 1"),
    (changed((10,), 604801), "position interval must be 0 to 604800"),
    (changed((11,), [10]), "a fault's subject must be 0 to 9"),
    (changed((12,), 1), "zone start needs a start delay"),
    (changed((13,), 86401), "flight must be 0 to 86400"),
    (changed((14,), 3601), "arrival window must be 0 to 3600"),
    (encoded(GOOD)[:-1], "ends within an item"),
]


@pytest.mark.parametrize(("data", "reason"), REFUSED, ids=[reason for _, reason in REFUSED])
def test_says_what_is_wrong(data: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        profile.load(data)
