"""What a person wrote is read as every editor saves it, or refused in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from coldtrail_simulator.board import file as boards
from coldtrail_simulator.paths import BOARDS, SCENARIOS
from coldtrail_simulator.world import scenario
from coldtrail_simulator.world.errors import ScenarioError

STORY = (SCENARIOS / "fair_weather.toml").read_text(encoding="utf-8")
BOARD = (BOARDS / "esp32_bg95" / "board.py").read_text(encoding="utf-8")


def as_windows_saves(text: str) -> bytes:
    """UTF-8 with a byte order mark, lines ended by CR and LF."""
    return b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()


WRONG = [
    pytest.param(lambda text: text.encode("utf-16"), "it is UTF-16", id="UTF-16"),
    pytest.param(lambda text: text.encode("utf-16-le"), "it is UTF-16", id="without a mark"),
    pytest.param(lambda text: text.encode("latin-1"), "line 1 is not UTF-8", id="Latin-1"),
]


def test_a_scenario(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(as_windows_saves(STORY))
    assert scenario.load(str(path)) == scenario.load("fair_weather")


def test_a_board(tmp_path: Path) -> None:
    path = tmp_path / "board.py"
    path.write_bytes(as_windows_saves(BOARD))
    assert boards.load(path) == boards.load(BOARDS / "esp32_bg95" / "board.py")


@pytest.mark.parametrize(("save", "says"), WRONG)
def test_another_encoding_is_named(save, says: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(save("# Kühlkette\n[scenario]\n"))
    with pytest.raises(ScenarioError, match=says) as caught:
        scenario.load(str(path))
    assert "; save it as UTF-8." in str(caught.value)
    path = tmp_path / "board.py"
    path.write_bytes(save("# Kühlkette\nNAME = 'x'\n"))
    with pytest.raises(boards.BoardFileError, match=says):
        boards.load(path)
