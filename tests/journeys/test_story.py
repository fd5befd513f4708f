"""The story: the tracker calls in time, and the product is saved; its twin is lost."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from PIL import Image

from coldtrail_simulator.cli import simulate

LOW_C, HIGH_C = 2.0, 8.0
RISE_STARTS_H = 34.0
"""The refrigerant is spent around hour 36, for some seeds a little earlier."""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    out = tmp_path_factory.mktemp("story") / "customs_hold"
    result = CliRunner().invoke(simulate, ["customs_hold", "--out", str(out), "--seed", "5"])
    assert result.exit_code == 0, result.output
    return result.stdout, out


def test_taken_stored_and_confirmed_agree(told: tuple[str, Path]):
    said, out = told
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert summary["samples_taken"] > 864
    assert summary["samples_taken"] == summary["samples_stored"] == summary["samples_confirmed"]
    assert summary["worst_time_difference_s"] <= 1.0
    assert summary["chain_ok"] is True
    assert f"{summary['samples_confirmed']} confirmed; all three agree" in said


def test_the_call_comes_after_the_rise_and_half_a_day_before_the_twins_breach(
    told: tuple[str, Path],
):
    said, out = told
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert RISE_STARTS_H < summary["called_at_h"] <= summary["twin_breach_at_h"] - 12
    assert summary["called_from"] == "Dubai, customs"
    match = re.search(
        r"Alarm call at ([\d.]+) h \(Dubai, customs\): ([\d.]+) h before "
        r"the control run without re-icing exceeds 8 °C \(([\d.]+) h\)",
        said,
    )
    assert match
    called, ahead, breach = map(float, match.groups())
    assert called == pytest.approx(summary["called_at_h"], abs=0.051)
    assert breach == pytest.approx(summary["twin_breach_at_h"], abs=0.051)
    assert ahead == pytest.approx(breach - called, abs=0.11)


def test_the_product_never_leaves_its_range_and_the_twins_does(told: tuple[str, Path]):
    _, out = told
    payload = [note for note in _journal(out) if note.get("sensor") == "probe"]
    assert all(LOW_C <= note["true_celsius"] <= HIGH_C for note in payload)
    twin = _journal(out.with_name("customs_hold_twin"))
    assert any(note.get("sensor") == "probe" and note["true_celsius"] > HIGH_C for note in twin)


def test_picture_and_csv_lie_beside_the_summary(told: tuple[str, Path]):
    _, out = told
    with Image.open(out / "shipment.png") as picture:
        assert picture.size[0] >= 1000
    header, *rows = (out / "samples.csv").read_text(encoding="utf-8").splitlines()
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert header.startswith("time_utc,")
    assert len(rows) == summary["samples_stored"]


def _journal(out: Path) -> list[dict[str, Any]]:
    lines = (out / "journal.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]
