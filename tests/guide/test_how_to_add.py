"""The examples of how_to_add.md work: each is applied to a copy of the project and run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = Path(__file__).with_name("how_to_add.md")
PARTS = ("firmware", "boards", "gateway", "simulator")

KIND_WORDS = ("instant", "consecutive", "cumulative", "trend")
KIND_RANGE = re.compile(r"""kind\W{1,4}(= |Int\()?1(\.\.|, )4\b|\n5 t 0\.\.255 1\.\.4 """)
"""The number of a kind, as a schema, a table of fields or the contract has its range."""


@dataclass(frozen=True)
class Example:
    """One fenced block of the page, and the file that the line before it names."""

    language: str
    file: str
    text: str

    def apply(self, copy: Path) -> None:
        """Write the file, or change it as the diff says."""
        target = copy / self.file
        if self.language != "diff":
            assert not target.exists(), f"{self.file} is there already"
            target.write_text(self.text)
            return
        source = target.read_text()
        for hunk in re.split(r"^@@\n", self.text, flags=re.MULTILINE):
            lines = hunk.splitlines()
            before = "".join(line[1:] + "\n" for line in lines if not line.startswith("+"))
            after = "".join(line[1:] + "\n" for line in lines if not line.startswith("-"))
            if not before:
                pytest.fail(f"{self.file}: a hunk of the page shows no place")
            assert source.count(before) == 1, f"{self.file} has not, or not once:\n{before}"
            source = source.replace(before, after)
        target.write_text(source)


def section(title: str) -> str:
    """Return the text of a section of the page."""
    found = re.search(
        rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.DOTALL | re.MULTILINE
    )
    assert found, f"how_to_add.md has no section '{title}'"
    return found[1]


def examples(title: str) -> list[Example]:
    """Return the examples of a section: blocks after a line that ends with a file and a colon."""
    found = re.findall(
        r"`([\w./]+\.\w+)`:\n\n```(\w+)\n(.*?)^```$",
        section(title),
        flags=re.DOTALL | re.MULTILINE,
    )
    return [Example(language, file, text) for file, language, text in found]


def scenario(folder: Path, **header: str) -> Path:
    """Write the page's scenario, its header changed, and return the file."""
    (example,) = examples("A scenario")
    text = example.text
    for key, value in header.items():
        text, times = re.subn(rf'^{key} = ".*"$', f'{key} = "{value}"', text, flags=re.MULTILINE)
        assert times == 1
    file = folder / example.file
    file.write_text(text)
    return file


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a folder with a copy of the project's four parts."""
    copy = tmp_path / "project"
    for part in PARTS:
        shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def coldtrail(*arguments: object, project: Path | None = None) -> str:
    """Run the command, of a copy if there is one, and return what it prints."""
    environment = dict(os.environ)
    if project is not None:
        names = project / "names"
        names.mkdir(exist_ok=True)
        for part in PARTS:
            link = names / f"coldtrail_{part}"
            if not link.exists():
                link.symlink_to(project / part)
        environment["PYTHONPATH"] = str(names)
    done = subprocess.run(
        [sys.executable, "-m", "coldtrail_boards", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def simulate(file: Path, out: Path, project: Path | None = None) -> list[dict[str, object]]:
    """Run a scenario; return the notes of the models' journal. Exit code 0 means: all agree."""
    coldtrail("simulate", file, "--out", out, project=project)
    lines = (out / "journal.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def answers(notes: list[dict[str, object]], sensor: str) -> list[dict[str, object]]:
    """Return what a sensor answered."""
    return [note for note in notes if note["kind"] == "measure" and note["sensor"] == sensor]


def test_every_example_of_the_page_is_found():
    fences = re.findall(r"^```(?:python|diff|toml)$", PAGE.read_text(), re.MULTILINE)
    titles = re.findall(r"^## (.*)$", PAGE.read_text(), re.MULTILINE)
    assert len(fences) == sum(len(examples(title)) for title in titles)
    assert all(examples(title) for title in titles if title != "A rule kind")


@pytest.mark.slow
def test_a_sensor(tmp_path, project):
    for example in examples("A sensor"):
        example.apply(project)
    notes = simulate(scenario(tmp_path), tmp_path / "out", project)
    probe = answers(notes, "probe")
    assert len(probe) >= 8  # one every five minutes
    assert "code" not in probe[0]  # a MAX31865 notes what it measured of its PT1000
    assert (tmp_path / "out/volume/drivers/tmp117.mpy").exists()


@pytest.mark.slow
def test_a_board(tmp_path, project):
    shutil.copytree(project / "boards/esp32_bg95", project / "boards/no_light")
    for example in examples("A board"):
        example.apply(project)
    file = scenario(tmp_path, board="no_light", profile="who_type_1")
    notes = simulate(file, tmp_path / "out", project)
    assert answers(notes, "probe")
    assert not answers(notes, "light")


def test_a_board_that_cannot_be_wired_is_refused(tmp_path, project):
    shutil.copytree(project / "boards/esp32_bg95", project / "boards/no_light")
    (example,) = examples("A board")
    Example(example.language, example.file, example.text.replace("= 14", "= 22")).apply(project)
    with pytest.raises(AssertionError, match="pin 22 is used twice"):
        simulate(scenario(tmp_path, board="no_light"), tmp_path / "out", project)


def test_a_rule_kind_is_known_where_the_page_says():
    listed = {
        name
        for row in re.findall(r"^\| (`.*?) \|", section("A rule kind"), flags=re.MULTILINE)
        for name in re.findall(r"`([\w./]+)`", row)
    }
    sources = [
        path
        for part in PARTS
        for path in (ROOT / part).rglob("*")
        if path.suffix in {".py", ".cddl"} and "__pycache__" not in path.parts
    ]
    knowing = set()
    for path in sources:
        text = path.read_text()
        words = all(re.search(rf"\b{word}\b", text, re.IGNORECASE) for word in KIND_WORDS)
        if words or KIND_RANGE.search(text):
            knowing.add(path.relative_to(ROOT).as_posix())
    assert listed == knowing


@pytest.mark.slow
def test_a_scenario_and_an_export(tmp_path, project):
    out = tmp_path / "out"
    notes = simulate(scenario(tmp_path), out)
    payload = [f"{float(str(note['celsius'])):.2f}" for note in answers(notes, "probe")]
    assert any(note["kind"] == "door" or "lux" in note for note in notes)

    for example in examples("An export"):
        example.apply(project)
    said = coldtrail(
        *("gateway", "export", "SHORT-TRIP-1", "--format", "extremes"),
        *("--db", out / "gateway.db"),
        project=project,
    )
    assert json.loads(said) == {
        "shipment": "SHORT-TRIP-1",
        "least_c": min(payload, key=float),
        "greatest_c": max(payload, key=float),
    }
