"""A real broker for the tests of what is taken in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from coldtrail_simulator.services.mosquitto import Broker


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Broker]:
    broker = Broker(tmp_path)
    broker.start()
    yield broker
    broker.stop()
