"""The cases' words for times."""

import pytest

from tests.renode.times import seconds


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("1 sampling interval", 5),
        ("3 sampling intervals", 15),
        ("0.5 sampling intervals", 2.5),
        ("1 upload interval", 60),
        ("20 upload intervals", 1200),
        ("10 s", 10),
        ("1 second", 1),
        ("90 seconds", 90),
        ("2 min", 120),
        ("3 minutes", 180),
        (" 0 s ", 0),
    ],
)
def test_a_time_is_a_multiple_of_the_profiles_interval(words: str, expected: float) -> None:
    assert seconds(words, 5, 60) == expected
    twice = seconds(words, 10, 120)
    assert twice == (2 * expected if "interval" in words else expected)


@pytest.mark.parametrize(
    "words",
    ["", "3", "sampling interval", "-1 s", "3 hours", "3 intervals", "1e3 s", "1 s 2 s", "1,5 s",
     "1 upload", "3sampling intervals"],
)  # fmt: skip
def test_anything_else_is_refused_by_name(words: str) -> None:
    with pytest.raises(ValueError, match="is no time: say '3 sampling intervals'"):
        seconds(words, 5, 60)
