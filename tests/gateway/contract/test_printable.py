"""What a tracker wrote becomes one line that does nothing to its reader."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldtrail_gateway.contract.printable import printable

# Every character, also lone surrogates.
ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()))


@given(ANY_TEXT)
def test_nothing_in_it_is_a_control_or_format_character(text: str) -> None:
    line = printable(text)
    assert not {unicodedata.category(c) for c in line} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    line.encode()


@given(ANY_TEXT)
def test_twice_is_once(text: str) -> None:
    assert printable(printable(text)) == printable(text)


@given(st.text(st.characters(codec=None, exclude_characters='"\\'), max_size=80))
def test_it_reads_as_json_reads_it(text: str) -> None:
    assert json.loads(f'"{printable(text)}"') == text


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("S-1 é ☃ 雪", "S-1 é ☃ 雪"),
        ("\x1b[2J\r\n\t\x00", r"\u001b[2J\r\n\t\u0000"),
        ("\x9b31m\x7f\x85", r"\u009b31m\u007f\u0085"),
        ("user\u202egpj.exe\u2066\u200f", r"user\u202egpj.exe\u2066\u200f"),
        ("\u2028\ufeff\u00a0", r"\u2028\ufeff\u00a0"),
        ("\ud800", r"\ud800"),
        ("\U000e0001", r"\udb40\udc01"),
    ],
)
def test_what_it_looks_like(text: str, line: str) -> None:
    assert printable(text) == line


def test_a_long_text_is_cut_visibly() -> None:
    assert printable("x" * 11, 10) == "x" * 9 + "…"
    assert printable("\0" * 11, 10) == r"\u0000\u0" + "…"
    assert len(printable("\0" * 10_000)) == 1000
