"""Fixtures: the tower's database, on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from coldtrail_gateway.store.tower.database import Tower
from tests.gateway.audit.installation import Installation


@pytest.fixture
def tower(database: str) -> Iterator[Tower]:
    """An empty tower's database beside the archive's."""
    with Tower(database, create=True) as opened:
        yield opened


@pytest.fixture
def installation(tower: Tower, tmp_path: Path, cheap_passwords: None) -> Installation:
    """An installation without any people."""
    return Installation(tower, tmp_path)
