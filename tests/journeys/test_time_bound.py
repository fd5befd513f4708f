"""The uncertainty that the gateway states is a bound: of every reading, not of samples as such."""

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from coldtrail_simulator.clock import US_PER_S
from tests.support.trackers.journeys import evidence, travel_for

APART_S = 5  # samples are farther apart, readings of one sample are not


def sampled(shipment: Any) -> list[list[float]]:
    """Return when the sensors of each sample answered, in seconds of the run."""
    groups: list[list[float]] = []
    for note in shipment.of("measure"):
        t_s = note["us"] / US_PER_S
        if not groups or t_s - groups[-1][-1] > APART_S:
            groups.append([])
        groups[-1].append(t_s)
    return groups


@pytest.mark.slow
@pytest.mark.parametrize(("name", "hours"), [("power_cuts", 15), ("frozen_bus", 6)])
def test_every_reading_lies_within_what_is_stated(name: str, hours: float, tmp_path: Path) -> None:
    """Readings take up to 0.8 s after a boot, in which the light sensor has to begin anew."""
    shipment = travel_for(name, hours, 5, tmp_path / "out")
    held = evidence(shipment)
    rows = [row for row in held.rows if row["time_utc"]]
    assert len(rows) > 60
    groups = sampled(shipment)
    for row in rows:
        stated = (datetime.fromisoformat(row["time_utc"]) - held.start).total_seconds()
        group = min(groups, key=lambda group: abs(group[0] - stated))
        wrong = max(abs(t_s - stated) for t_s in group)
        assert wrong <= float(row["uncertainty_s"]), (row, group)
