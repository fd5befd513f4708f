"""An outage longer than the log: what the profile decides happens, and the gateway hears of it."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from coldtrail_simulator.board import file as boards
from coldtrail_simulator.clock import US_PER_S
from coldtrail_simulator.paths import BOARDS
from coldtrail_simulator.report.report import Evidence
from coldtrail_simulator.shipment import shipment
from coldtrail_simulator.shipment.shipment import Shipment
from coldtrail_simulator.world import scenario
from tests.support.trackers.journeys import evidence

LOG_SIZE = 12 * 4096
INTERVAL_S = 300
DARK_H, LIGHT_H = 2, 37  # before calls that fail have spent the modem's budget for the day
LATE_H = 70  # by then the log has been full for long
AFTER_H = 5
END_H = LIGHT_H + AFTER_H
CUT_H = 33.2

STORY = f"""
[scenario]
name = "full_log"
title = "No network for longer than the log lasts"
start = 2025-03-10T06:00:00Z
duration_h = END
board = "esp32_bg95"
profile = "PROFILE"

[[leg]]
from_h = 0
place = "Depot"
latitude = 50.0
longitude = 8.5
ambient = {{ mean_c = 5.0 }}
coverage = "LTE-M"

[[leg]]
from_h = {DARK_H}
place = "At sea"
latitude = 45.0
longitude = -30.0
ambient = {{ mean_c = 5.0 }}
coverage = "none"

[[leg]]
from_h = LIGHT
place = "Port"
latitude = 40.7
longitude = -74.0
ambient = {{ mean_c = 5.0 }}
coverage = "LTE-M"

[[event]]
at_h = STOP
kind = "button"
hold_s = 4
"""
CUT = f"""
[[event]]
at_h = {CUT_H}
kind = "power_cut"
off_s = 60
"""


@pytest.fixture
def travelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that makes the journey with a log of 48 KiB."""
    folder = tmp_path / "boards" / "esp32_bg95"
    folder.mkdir(parents=True)
    wiring = (BOARDS / "esp32_bg95" / "board.py").read_text(encoding="utf-8")
    old = '"part": "W25Q64", '
    assert wiring.count(old) == 1
    small = wiring.replace(old, f'{old}"log_size": {LOG_SIZE}, ')
    (folder / "board.py").write_text(small, encoding="utf-8")
    shipped = Path(BOARDS) / "profiles" / "refrigerated_2_8.toml"
    monkeypatch.setattr(boards, "BOARDS", folder.parent)

    def travel(when_full: str, events: str = "", light_h: int = LIGHT_H) -> Shipment:
        profile = tmp_path / f"{when_full}.toml"
        text = shipped.read_text(encoding="utf-8")
        head, rule, rest = text.partition("\n[[rule]]")
        profile.write_text(f'{head}\nwhen_full = "{when_full}"\n{rule}{rest}', encoding="utf-8")
        story = tmp_path / "full_log.toml"
        text = STORY.replace("PROFILE", str(profile)) + events
        end_h = light_h + AFTER_H
        for word, hours in (("END", end_h), ("LIGHT", light_h), ("STOP", end_h - 0.3)):
            text = text.replace(f" = {word}\n", f" = {hours}\n")
        story.write_text(text, encoding="utf-8")
        return shipment.run(scenario.load(str(story)), 3, tmp_path / "out")

    return travel


def of(held: Evidence, kind: str, **fields: object) -> list[dict[str, Any]]:
    """Return the events of a type that say so."""
    return [
        event
        for event in held.events
        if event["type"] == kind and all(event[name] == value for name, value in fields.items())
    ]


def log_faults(held: Evidence) -> list[tuple[str, str]]:
    return [(event["code"], event["on"]) for event in of(held, "fault", subject="log")]


def sampled_h(held: Evidence) -> list[float]:
    return [held.hours(row["time_utc"]) for row in held.rows]


def calls_h(run: Shipment) -> list[float]:
    """Return the hours at which the modem was on."""
    return [
        note["us"] / US_PER_S / 3600 for note in run.of("modem-power") if note["state"] == "on"
    ]


def test_a_full_log_stops_and_alarms_and_goes_on_when_there_is_room(travelled: Any):
    run = travelled("stop")
    held = evidence(run)
    assert held.chain_ok, held.verdict
    assert log_faults(held) == [
        ("nearly full", "start"),
        ("nearly full", "end"),
        ("full", "start"),
        ("full", "end"),
    ]
    begun, over = (held.hours(e["time_utc"]) for e in of(held, "fault", code="full"))
    assert DARK_H + 12 < begun < CUT_H
    assert LIGHT_H < over < LIGHT_H + 1.2
    # Nothing that was accepted is missing, and the gap is as long as it is said to be.
    comparison = held.comparison()
    assert comparison.stored + 1 == comparison.taken, "measured, and found to have no room"
    assert comparison.invented == comparison.unplaced == 0
    assert comparison.worst_s <= 1
    hours = sampled_h(held)
    before = max(hour for hour in hours if hour < begun)
    after = min(hour for hour in hours if hour > begun)
    (gap,) = of(held, "log-gap", cause="log full")
    assert over <= after + 1 / 60
    assert gap["records"] == ((after - before) * 3600 - 1) // INTERVAL_S
    assert held.hours(gap["time_utc"]) == pytest.approx(before, abs=1 / 3600)
    assert hours[-1] > END_H - 0.5
    # It called at once, and again with growing pauses of at most an hour and the call itself.
    calls = [hour for hour in calls_h(run) if begun <= hour <= over]
    pauses = [later - earlier for earlier, later in pairwise(calls)]
    assert calls[0] - begun < 1 / 60
    assert [round(pause * 60) // 5 * 5 for pause in pauses[:4]] == [5, 10, 20, 40]
    assert max(pauses) < 1.1
    assert over - calls[-1] < 0.1


def test_a_battery_that_fails_while_the_log_is_full_changes_nothing_of_that(travelled: Any):
    run = travelled("stop", CUT)
    held = evidence(run)
    assert held.chain_ok, held.verdict
    assert log_faults(held)[-2:] == [("full", "start"), ("full", "end")]
    assert {row["boot"] for row in held.rows} == {"1", "2"}
    (gap,) = of(held, "log-gap", cause="log full")
    due = int((LIGHT_H - CUT_H) * 3600 // INTERVAL_S)
    assert gap["boot"] == 2
    assert due <= gap["records"] <= due + 3600 // INTERVAL_S + 2, "known since the battery is back"
    comparison = held.comparison()
    assert comparison.stored + 1 == comparison.taken
    assert comparison.invented == comparison.unplaced == 0
    # The first boot heard the time at its beginning alone: its crystal is 20 ppm off at most.
    assert comparison.worst_s <= 1 + CUT_H * 3600 * 20e-6
    assert sampled_h(held)[-1] > END_H - 0.5


def test_a_profile_that_prefers_new_data_gives_up_the_oldest_and_says_how_many(travelled: Any):
    run = travelled("overwrite", light_h=LATE_H)
    held = evidence(run)
    # The gateway sees by itself that blocks are missing, and the tracker says why.
    assert not held.chain_ok
    assert "gap" in held.verdict
    assert not of(held, "fault", code="full")
    gaps = of(held, "log-gap", cause="overwritten before confirmed")
    assert gaps
    comparison = held.comparison()
    assert comparison.invented == comparison.unplaced == 0
    assert comparison.worst_s <= 1
    # What is missing is the oldest of what was not confirmed, in one piece.
    lost_h = [t / 3600 for t in comparison.missing]
    hours = sampled_h(held)
    assert lost_h
    assert not [hour for hour in hours if lost_h[0] <= hour <= lost_h[-1]]
    assert DARK_H - 1.1 < lost_h[0] < DARK_H + 0.1
    # Records of the log are counted: blocks and checkpoints too, and samples whose block is kept.
    records = sum(gap["records"] for gap in gaps)
    assert len(lost_h) < records < len(lost_h) * 1.2 + 13
    # And it is over with that: nobody waits for what no longer exists.
    assert ("nearly full", "end") in log_faults(held)
    assert all(run.confirms(int(row["block"])) for row in held.rows)
    last = [hour for hour in calls_h(run) if hour > LATE_H + 1.2]
    assert len(last) <= AFTER_H + 1
