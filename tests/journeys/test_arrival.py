"""The box is opened: by who receives it, and then holds the button, or by somebody on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from coldtrail_boards.cli import main
from coldtrail_simulator.clock import US_PER_S
from coldtrail_simulator.report.report import Evidence
from coldtrail_simulator.report.timeline import timeline
from coldtrail_simulator.shipment.shipment import Shipment, run
from coldtrail_simulator.world import scenario
from coldtrail_simulator.world.scenario import ButtonPress, Door
from tests.support.trackers.journeys import evidence

OPENED_H, HELD_H, ENDS_H = 4.75, 4.78, 4.98
"""Between two hourly calls, and longer after one than the upload interval of an alarm."""
WINDOW_S = 600
CALL_WITHIN_S = 10
HOUR_S = 3600


def journey(out: Path, *events: Any) -> tuple[Shipment, Evidence]:
    """Run a fair day of some hours in which these things happen."""
    story = scenario.load("fair_weather")
    header = story.scenario.model_copy(update={"duration_h": ENDS_H})
    shipment = run(story.model_copy(update={"scenario": header, "event": list(events)}), 1, out)
    return shipment, evidence(shipment)


def opened(for_min: float) -> Door:
    return Door(kind="door", at_h=OPENED_H, for_min=for_min, lux=400.0)


def pressed(at_h: float, hold_s: float) -> ButtonPress:
    return ButtonPress(kind="button", at_h=at_h, hold_s=hold_s)


def of(held: Evidence, kind: str) -> list[dict[str, Any]]:
    return [event for event in held.events if event["type"] == kind]


def calls(shipment: Shipment) -> list[float]:
    """Return the seconds at which the modem was switched on from the opening on."""
    return [
        note["us"] / US_PER_S
        for note in shipment.of("modem-power")
        if note["state"] == "booting" and note["us"] / US_PER_S >= OPENED_H * HOUR_S - 1
    ]


def alarms_in_status(shipment: Shipment) -> str:
    database = ("--db", str(shipment.database))
    output = CliRunner().invoke(main, ["gateway", "status", *database], env={"COLUMNS": "250"})
    assert output.exit_code == 0, output.output
    lines = output.output.splitlines()
    heads = next(line for line in lines if line.startswith("┃")).strip("┃").split("┃")
    cells = next(line for line in lines if shipment.identity.tracker in line).strip("│").split("│")
    return dict(zip(map(str.strip, heads), map(str.strip, cells), strict=True))["alarms"]


def seen(shipment: Shipment) -> list[str]:
    """Return what the LED has shown."""
    return [words for _, words in timeline(shipment.notes, []) if words.startswith("LED")]


@pytest.mark.parametrize("for_min", [1.0, 10.0], ids=["shut again", "left open"])
def test_who_opens_the_box_and_then_holds_the_button_raises_no_alarm(
    tmp_path: Path, for_min: float
) -> None:
    shipment, held = journey(tmp_path / "out", opened(for_min), pressed(HELD_H, 4))
    (start,) = of(held, "alarm-start")
    assert start["channel"] == "light_lux"
    assert abs(held.hours(start["time_utc"]) - OPENED_H) * HOUR_S <= 2
    *before, end = of(held, "alarm-end")
    assert end["cause"] == "arrival"
    assert [event["cause"] for event in before] == ["back within"] * (for_min == 1.0)
    (stop,) = of(held, "shipment-stop")
    assert stop["cause"] == "button"
    assert end["time_utc"] == stop["time_utc"]
    # The one call is that of the stop.
    assert [at >= HELD_H * HOUR_S for at in calls(shipment)] == [True]
    assert seen(shipment) == ["LED green for 2.0 s"]
    assert alarms_in_status(shipment) == "none"


def test_opened_on_the_way_it_alarms_and_calls_when_the_window_is_over(tmp_path: Path) -> None:
    look = pressed(4.95, 0.3)
    shipment, held = journey(tmp_path / "out", opened(30), look)
    (start,) = of(held, "alarm-start")
    assert abs(held.hours(start["time_utc"]) - OPENED_H) * HOUR_S <= 2
    called = calls(shipment)[0] - held.hours(start["time_utc"]) * HOUR_S
    assert WINDOW_S < called <= WINDOW_S + CALL_WITHIN_S
    assert seen(shipment) == ["LED red for 2.0 s"]
    assert alarms_in_status(shipment) == "1 standing of 1"


def test_a_button_that_comes_too_late_excuses_nothing(tmp_path: Path) -> None:
    late = pressed(OPENED_H + (WINDOW_S + 30) / HOUR_S, 4)
    shipment, held = journey(tmp_path / "out", opened(30), late)
    (end,) = of(held, "alarm-end")
    assert end["cause"] == "shipment stopped"
    assert seen(shipment) == ["LED red for 2.0 s"]
    assert alarms_in_status(shipment) == "1, all ended"
