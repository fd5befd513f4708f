"""Three mild days: no seed raises a call, whatever the weather and the sensors' noise do."""

import os
from pathlib import Path

import pytest

from tests.support.journeys import evidence, travel

SEEDS = int(os.environ.get("COLDTRAIL_SEEDS", "6"))  # `make torture` runs 20


@pytest.mark.parametrize("seed", range(100, 100 + SEEDS))
def test_fair_weather_raises_no_call(seed: int, tmp_path: Path):
    shipment = travel("fair_weather", seed, tmp_path / "out")
    held = evidence(shipment)
    assert held.alarms() == []
    agreement = held.agreement()
    assert agreement.complete, agreement
    assert held.chain_ok, held.verdict
