"""Every word of the glossary is used in the file that the glossary names for it."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = Path(__file__).with_name("glossary.md")
ROWS = re.findall(r"^\| ([^|]+) \| [^|]+ \| `([^`|]+)` \|$", PAGE.read_text(), re.MULTILINE)


@pytest.mark.parametrize(("word", "file"), ROWS, ids=lambda value: value.replace(" ", "_"))
def test_word_is_used_in_its_file(word: str, file: str) -> None:
    text = re.sub(r"[\W_]+", " ", (ROOT / file).read_text())
    assert re.search(rf"\b{word.replace('-', ' ')}", text, re.IGNORECASE)


def test_each_word_stands_once_and_no_row_is_overlooked():
    words = [word for word, _ in ROWS]
    assert len(words) == len(set(words))
    rows = re.findall(r"^\| (?!word |---)", PAGE.read_text(), re.MULTILINE)
    assert len(rows) == len(ROWS)
