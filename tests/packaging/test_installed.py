"""A wheel in a fresh environment, used from an empty folder, does what a checkout does."""

import json
import os
import tarfile
import zipfile
from email.parser import BytesParser
from pathlib import Path

from tests.packaging.conftest import committed, run

JOURNEY = """\
[scenario]
name = "half_an_hour"
title = "Half an hour"
story = "A box on its way through the town."
start = 2025-03-10T06:00:00Z
duration_h = 0.5
board = "esp32_bg95"
profile = "refrigerated_2_8"

[[leg]]
from_h = 0
place = "Vienna, warehouse"
latitude = 48.21
longitude = 16.37
ambient = { mean_c = 12.0 }
coverage = "LTE-M"

[[event]]
at_h = 0.45
kind = "button"
hold_s = 4
"""
FOLDERS = {
    "boards": "coldtrail_boards",
    "firmware": "coldtrail_firmware",
    "gateway": "coldtrail_gateway",
    "simulator": "coldtrail_simulator",
}
FOR_READERS = (
    "*.md",
    "firmware/mypy.ini",  # of the checkout's `make lint`
    "simulator/report/story.png",  # of README.md
)
"""What no program reads."""


def members(wheel: Path) -> dict[str, bytes]:
    """Return the files of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_it_installs_the_version_of_the_project(installed, tmp_path):
    said = installed.coldtrail("--version", cwd=tmp_path).stdout
    metadata = next(installed.site.glob("coldtrail-*.dist-info/METADATA")).read_bytes()
    assert said == f"coldtrail, version {BytesParser().parsebytes(metadata)['Version']}\n"


def test_every_command_is_available(installed, tmp_path):
    assert "not available" not in installed.coldtrail("--help", cwd=tmp_path).stdout
    assert "Usage: " in installed.coldtrail("gateway", "--help", cwd=tmp_path).stdout


def test_a_profile_that_is_shipped_is_found(installed, tmp_path):
    said = installed.coldtrail("profile", "refrigerated_2_8", cwd=tmp_path).stdout
    assert "refrigerated_2_8" in said


def test_the_program_of_each_board_is_made(installed, tmp_path):
    boards = [folder for folder in Path("boards").iterdir() if (folder / "board.py").exists()]
    assert boards
    code = (
        "import sys; from coldtrail_boards.flash import program; "
        "print(*program.files(program.FIRMWARE.parent / 'coldtrail_boards' / sys.argv[1]))"
    )
    for board in boards:
        said = run(installed.bin / "python", "-c", code, board.name, cwd=tmp_path).stdout
        assert {"coldtrail/start.mpy", "board.mpy", "version"} <= set(said.split())


def test_a_shipment_travels(installed, tmp_path):
    (tmp_path / "journey.toml").write_text(JOURNEY)
    said = installed.coldtrail("simulate", "journey.toml", cwd=tmp_path).stdout
    results = tmp_path / "out" / "half_an_hour"
    summary = json.loads((results / "summary.json").read_text())
    assert said.startswith("Half an hour\n")
    counts = [summary[f"samples_{what}"] for what in ("taken", "stored", "confirmed")]
    assert counts[0] > 0
    assert counts == counts[:1] * 3
    assert (results / "shipment.png").read_bytes().startswith(b"\x89PNG")


def test_the_checkout_is_out_of_reach(installed, tmp_path):
    code = "import coldtrail_simulator.paths as p; print(p.FIRMWARE, p.BOARDS, p.SHIMS, sep='\\n')"
    said = run(installed.bin / "python", "-c", code, cwd=tmp_path).stdout
    assert all(Path(line).is_relative_to(installed.site) for line in said.splitlines())


def test_no_name_that_others_use_is_taken(installed):
    top = {name.partition(os.sep)[0] for name in _recorded(installed.site)}
    assert {
        name for name in top if not name.startswith(("coldtrail_", "coldtrail-", ".."))
    } == set()


def _recorded(site: Path) -> list[str]:
    record = next(site.glob("coldtrail-*.dist-info/RECORD")).read_text()
    return [line.partition(",")[0] for line in record.splitlines()]


def test_the_wheel_holds_every_file_of_the_parts(distribution):
    wanted = {
        FOLDERS[folder] + name.removeprefix(folder)
        for folder in FOLDERS
        for name in committed(folder)
        if not any(Path(name).match(pattern) for pattern in FOR_READERS)
    }
    held = {name for name in members(distribution.wheel) if ".dist-info/" not in name}
    assert (sorted(wanted - held), sorted(held - wanted)) == ([], [])


def test_the_wheel_of_the_sdist_is_that_of_the_checkout(distribution):
    assert members(distribution.wheel) == members(distribution.direct)


def test_the_sdist_is_the_whole_checkout(distribution):
    with tarfile.open(distribution.sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert set(committed()) <= names
