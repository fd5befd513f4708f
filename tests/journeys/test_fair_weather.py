"""Three mild days: no alarm but the opened box, whatever the weather and sensors' noise do."""

from pathlib import Path

import pytest

from coldtrail_simulator.world.scenario import Door
from tests.support.extent import slice_or_all
from tests.support.trackers.journeys import evidence, travel

SEEDS = slice_or_all(3, 20)


@pytest.mark.parametrize("seed", range(100, 100 + SEEDS))
def test_fair_weather_raises_no_alarm_but_of_the_opened_box(seed: int, tmp_path: Path):
    shipment = travel("fair_weather", seed, tmp_path / "out")
    held = evidence(shipment)
    opened = [at_s for at_s, event in shipment.world.events if isinstance(event, Door)]
    alarms = [event for event in held.events if event["type"] == "alarm-start"]
    assert {alarm["channel"] for alarm in alarms} == {"light_lux"}
    lit = [held.hours(alarm["time_utc"]) * 3600 for alarm in alarms]
    # Opened a second time while it is still open, it is not opened.
    assert lit[0] == pytest.approx(opened[0], abs=2)
    assert len(lit) == len([at_s for at_s in opened if not 0 < at_s - opened[0] <= 360])
    comparison = held.comparison()
    assert comparison.complete, comparison
    assert held.chain_ok, held.verdict
