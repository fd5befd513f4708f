"""Scenario files: what ships is sound, and what is wrong is said in one sentence."""

from __future__ import annotations

import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from coldtrail_simulator.models.battery import Battery
from coldtrail_simulator.models.lis2dw12 import LIS2DW12
from coldtrail_simulator.models.max31865 import MAX31865
from coldtrail_simulator.models.opt3001 import OPT3001
from coldtrail_simulator.models.sht45 import SHT45
from coldtrail_simulator.world import scenario
from coldtrail_simulator.world.errors import ScenarioError

ROOT = Path(__file__).resolve().parents[3]
SHIPPED = scenario.shipped()

GOOD = """
[scenario]
name = "mine"
title = "A short trip"
start = 2025-03-10T06:00:00Z
duration_h = 10
board = "esp32_bg95"
profile = "refrigerated_2_8"

[[leg]]
from_h = 0
place = "Here"
latitude = 47.0
longitude = 7.0
ambient = { mean_c = 12.0, swing_c = 6.0 }
coverage = "LTE-M"

[[leg]]
from_h = 4
place = "There"
latitude = 48.0
longitude = 8.0
ambient_table = [{ at_h = 0, c = 12.0 }, { at_h = 2, c = 20.0 }]
coverage = "none"

[[event]]
at_h = 5
kind = "re_ice"
pcm_c = 3.0

[[event]]
at_h = 9.8
kind = "button"
hold_s = 4

[twin]
without = ["re_ice"]
"""


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_scenarios_end_with_the_clerk_who_stops_the_shipment(name: str) -> None:
    shipped = scenario.load(name)
    assert shipped.name == name
    *_, last = sorted(
        (event for event in shipped.event if getattr(event, "hold_s", 3) >= 3),
        key=lambda event: event.at_h,
    )  # a short press shows the verdict, also when all is over
    assert isinstance(last, scenario.ButtonPress)
    assert 0.1 <= shipped.scenario.duration_h - last.at_h <= 0.5
    assert (ROOT / "boards" / "profiles" / f"{shipped.scenario.profile}.toml").is_file()
    assert (ROOT / "boards" / shipped.scenario.board).is_dir()


def test_every_fault_of_a_sensor_is_one_of_its_model() -> None:
    models: dict[str, Any] = {
        "probe": MAX31865,
        "ambient": SHT45,
        "light": OPT3001,
        "accelerometer": LIS2DW12,
        "battery": Battery,
    }
    assert {name: set(faults) for name, faults in scenario.FAULTS.items()} == {
        name: set(model.FAULTS) for name, model in models.items()
    }


def test_a_fault_that_the_sensor_cannot_have_is_refused(tmp_path: Path) -> None:
    event = (
        '[[event]]\nat_h = 1\nkind = "fault"\nsensor = "probe"\nfault = "wrong_crc"\nfor_h = 1\n'
    )
    path = tmp_path / "mine.toml"
    path.write_text(GOOD + event, encoding="utf-8")
    with pytest.raises(ScenarioError, match=r"\[\[event\]\] 3 \(fault\): .*probe must be one of"):
        scenario.load(str(path))


def test_the_stories_that_were_asked_for_are_there() -> None:
    assert set(SHIPPED) >= {
        "dropped_box",
        "on_its_side",
        "door_at_night",
        "cryogenic_fall",
        "probe_pulled",
        "frozen_bus",
        "warm_at_packing",
        "customs_hold",
        "flight_15h",
        "broker_outage",
        "gateway_killed",
        "power_cuts",
        "fair_weather",
        "hang",
    }
    hold = scenario.load("customs_hold")
    held = [
        after.from_h - leg.from_h for leg, after in pairwise(hold.leg) if "customs" in leg.place
    ]
    assert held == [48]
    flight = scenario.load("flight_15h")
    silent = [
        after.from_h - leg.from_h for leg, after in pairwise(flight.leg) if leg.coverage == "none"
    ]
    assert silent == [15]
    cuts = [event for event in scenario.load("power_cuts").event if event.kind == "power_cut"]
    assert sum(event.times for event in cuts) == 20


def test_a_file_is_found_by_its_path(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(GOOD)
    mine = scenario.load(str(file))
    assert [leg.place for leg in mine.leg] == ["Here", "There"]
    assert mine.duration_s == 36000
    twin = mine.without_intervention()
    assert [event.kind for event in twin.event] == ["button"]
    assert twin.leg == mine.leg
    assert twin.name == "mine_twin"
    with pytest.raises(ScenarioError, match="has no twin"):
        twin.without_intervention()


REFUSED = [
    ("[scenario]", "[[scenario]]", "[scenario]: input should be a valid dictionary"),
    ("[twin]", "[twni]", "[twni] is not a known table; remove it or correct its spelling."),
    ("title", "titel", "[scenario]: titel is not a known key"),
    ('title = "A short trip"\n', "", "[scenario]: title is missing."),
    ("06:00:00Z", "06:00:00", "[scenario]: start: must be UTC, such as 2025-06-02T06:00:00Z."),
    ("06:00:00Z", "06:00:00+02:00", "[scenario]: start: must be UTC"),
    ("duration_h = 10", "duration_h = 0", "[scenario]: duration_h: input should be greater"),
    ("duration_h = 10", 'duration_h = "10"', "[scenario]: duration_h: input should be a valid"),
    ("duration_h = 10", "duration_h = nan", "[scenario]: duration_h: input should be a finite"),
    ("duration_h = 10", "duration_h = 9.5", "[[event]] 2 (button): at_h must be before the end"),
    ("duration_h = 10", "duration_h = 4", "[[leg]] 2 (There): from_h must be before the end at 4"),
    ("from_h = 4", "from_h = 0", "[[leg]] 2 (There): from_h must be more than 0 h after the leg"),
    ("from_h = 0", "from_h = 1", "[[leg]] 1 (Here): from_h must be 0."),
    ("latitude = 47.0", "latitude = 91", "[[leg]] 1: latitude: input should be less than or"),
    ('"LTE-M"', '"5G"', "[[leg]] 1: coverage: input should be 'LTE-M', 'NB-IoT', 'GSM'"),
    ("mean_c", "mean", "[[leg]] 1: ambient.mean is not a known key"),
    ("c = 20.0", "c = 200.0", "[[leg]] 2: ambient_table[2].c: input should be less than or"),
    ("at_h = 2", "at_h = 0", "[[leg]] 2: at_h must increase within ambient_table."),
    ('coverage = "LTE-M"', 'coverage = "LTE-M"\nambient_table = [{ at_h = 0, c = 1.0 }]',
     "[[leg]] 1: give either ambient or ambient_table."),
    ("pcm_c", "pcm", "[[event]] 1 (re_ice): pcm is not a known key"),
    ("pcm_c = 3.0", "", "[[event]] 1 (re_ice): pcm_c is missing."),
    ('kind = "re_ice"', "", "[[event]] 1: kind is missing."),
    ('kind = "re_ice"', 'kind = "reice"', "[[event]] 1: kind must be one of re_ice, door, "),
    ("at_h = 5", "at_h = 5\ntimes = 3", "[[event]] 1 (re_ice): times and until_h go together."),
    ("at_h = 5", "at_h = 5\nuntil_h = 4\ntimes = 3",
     "[[event]] 1 (re_ice): until_h must be later than at_h."),
    ("at_h = 5", "at_h = 5\nuntil_h = 11\ntimes = 3",
     "[[event]] 1 (re_ice): until_h must be before the end at 10."),
    ('without = ["re_ice"]', 'without = ["door"]', "[twin]: without names 'door', but no event"),
    ("[twin]", "[shipper]\npcm_melts_from_c = 5.0\n[twin]",
     "[shipper]: pcm_melts_to_c must be above pcm_melts_from_c."),
    ("[twin]", "[variation]\nleg_h = 2\n[twin]",
     "[[leg]] 2 (There): from_h must be more than 4 h after the leg before"),
    ("[twin]", "[twin", "it is not TOML in UTF-8: "),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "sentence"), REFUSED, ids=[case[2] for case in REFUSED])
def test_says_in_one_sentence_what_is_wrong(
    tmp_path: Path, old: str, new: str, sentence: str
) -> None:
    assert old in GOOD
    file = tmp_path / "mine.toml"
    file.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(ScenarioError) as caught:
        scenario.load(str(file))
    assert str(caught.value).startswith(f"{file}: {sentence}")
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    fields = tomllib.loads(GOOD)
    for table in ("scenario", "leg"):
        assert table in fields
        file.write_text(GOOD.replace(f"[{table}]", "[twin2]"))
        with pytest.raises(ScenarioError) as caught:
            scenario.load(str(file))
        assert "twin2" in str(caught.value)
    file.write_text("")
    with pytest.raises(ScenarioError, match=r"\[scenario\]: this table is missing\."):
        scenario.load(str(file))


def test_a_missing_or_binary_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="No such file or directory; name a file that can"):
        scenario.load(str(tmp_path / "absent.toml"))
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ScenarioError, match="it is not TOML in UTF-8"):
        scenario.load(str(tmp_path / "binary.toml"))
    with pytest.raises(ScenarioError, match="name one of broker_outage, commands, "):
        scenario.load("custom_hold")
