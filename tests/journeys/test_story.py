"""The story: the tracker calls in time, and the product is saved; its twin is lost."""

import csv
import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from coldtrail_simulator.cli import simulate
from coldtrail_simulator.world import scenario
from tests.support.references import chart

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
    assert "trend alarm on payload\n" in said


def test_the_product_never_leaves_its_range_and_the_twins_does(told: tuple[str, Path]):
    _, out = told
    payload = [note for note in _journal(out) if note.get("sensor") == "probe"]
    assert all(LOW_C <= note["true_celsius"] <= HIGH_C for note in payload)
    twin = _journal(out.with_name("customs_hold_twin"))
    assert any(note.get("sensor") == "probe" and note["true_celsius"] > HIGH_C for note in twin)


def test_picture_and_csv_lie_beside_the_summary(told: tuple[str, Path]):
    _, out = told
    assert (out / "shipment.png").exists()
    header, *rows = (out / "samples.csv").read_text(encoding="utf-8").splitlines()
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert header.startswith("time_utc,")
    assert len(rows) == summary["samples_stored"]


def test_the_picture_shows_what_happened(told: tuple[str, Path]):
    """Read off the picture: limits, the stored payload, the call, the twin's breach."""
    _, out = told
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    header = scenario.load("customs_hold").scenario
    picture = chart.Chart(out / "shipment.png", header.duration_h)
    with (out / "samples.csv").open(encoding="utf-8") as file:
        stored = [
            (
                (datetime.fromisoformat(row["time_utc"]) - header.start).total_seconds() / 3600,
                float(row["payload_c"]),
            )
            for row in csv.DictReader(file)
        ]
    # Not where the mark of the re-icing and its words stand, which are blue as well.
    for hour in (*range(6, 46, 3), *range(57, 72, 3)):
        near = [celsius for at, celsius in stored if abs(at - hour) < 0.3]
        lowest, highest = picture.celsius(hour, chart.BLUE)
        assert min(near) - 0.1 < lowest <= highest < max(near) + 0.1, hour
    assert picture.marks(chart.RED) == [pytest.approx(summary["called_at_h"], abs=0.1)]
    breach_h = picture.first_beyond(chart.RED, summary["called_at_h"] + 14)  # behind its words
    assert breach_h == pytest.approx(summary["twin_breach_at_h"], abs=1.5)  # noise, dots


def _journal(out: Path) -> list[dict[str, Any]]:
    lines = (out / "journal.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]
