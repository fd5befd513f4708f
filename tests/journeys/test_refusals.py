"""What cannot be run is refused in one sentence, with exit code 2, and nothing is left behind."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from coldtrail_simulator.board import file as boards
from coldtrail_simulator.board.file import BoardFileError, load
from coldtrail_simulator.cli import simulate
from coldtrail_simulator.paths import BOARDS, SCENARIOS

HANG = (SCENARIOS / "hang.toml").read_text(encoding="utf-8")


def refused(*arguments: str) -> str:
    result = CliRunner().invoke(simulate, [*arguments])
    assert result.exit_code == 2, result.output
    sentence = result.stderr.strip().splitlines()
    assert len([line for line in sentence if line.startswith("Error:")]) == 1
    return result.stderr


def edited(tmp_path: Path, old: str, new: str) -> str:
    assert old in HANG
    path = tmp_path / "edited.toml"
    path.write_text(HANG.replace(old, new), encoding="utf-8")
    return str(path)


def test_an_unknown_scenario_names_those_that_are_shipped(tmp_path: Path):
    said = refused("no_such_story", "--out", str(tmp_path / "out"))
    assert "customs_hold" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        ("duration_h = 8", "duration_h = 8\nduration_d = 1", "duration_d"),
        ("duration_h = 8", "duration_h = -8", "duration_h"),
        ('coverage = "LTE-M"', 'coverage = "5G"', "coverage"),
        ('kind = "hang"', 'kind = "explode"', "kind"),
        ('board = "esp32_bg95"', 'board = "esp33"', "esp33"),
        ('profile = "refrigerated_2_8"', 'profile = "lukewarm"', "lukewarm"),
        ("[scenario]", "[scenario", "line 1"),
    ],
)
def test_a_scenario_that_cannot_be_is_refused_by_name(
    old: str, new: str, names: str, tmp_path: Path
):
    said = refused(edited(tmp_path, old, new), "--out", str(tmp_path / "out"))
    assert names in said
    assert not (tmp_path / "out" / "summary.json").exists()


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path):
    (tmp_path / "thesis.txt").write_text("years of work", encoding="utf-8")
    refused("hang", "--out", str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_broker_that_refuses_is_named(tmp_path: Path):
    said = refused("hang", "--out", str(tmp_path / "out"), "--broker", "mqtt://127.0.0.1:9")
    assert "127.0.0.1:9" in said


def test_a_wake_pin_that_cannot_wake_is_refused(tmp_path: Path):
    text = Path("boards/esp32_bg95/board.py").read_text(encoding="utf-8")
    broken = tmp_path / "board.py"
    broken.write_text(text.replace("BUTTON = 33", "BUTTON = 22"), encoding="utf-8")
    with pytest.raises(BoardFileError, match="22"):
        load(broken)


def test_a_profile_that_the_board_cannot_measure_is_refused_by_the_tracker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    text = (BOARDS / "esp32_bg95" / "board.py").read_text(encoding="utf-8")
    fitted = re.sub(r'    "accelerometer": .*\n', "", text)
    (tmp_path / "esp32_bg95").mkdir()
    (tmp_path / "esp32_bg95" / "board.py").write_text(
        fitted.replace("(33, 34, 32)", "(33, 34)"), encoding="utf-8"
    )
    monkeypatch.setattr(boards, "BOARDS", tmp_path)
    path = edited(tmp_path, 'profile = "refrigerated_2_8"', 'profile = "cryogenic"')
    result = CliRunner().invoke(simulate, [path, "--out", str(tmp_path / "out")])
    assert result.exit_code == 3
    assert "cryogenic needs acceleration_z, shock, free_fall, which no sensor" in result.stderr
