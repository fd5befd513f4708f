"""Fixtures: the tower's database, on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from coldtrail_gateway.store.tower.database import Tower


@pytest.fixture
def tower(database: str) -> Iterator[Tower]:
    """An empty tower's database beside the archive's."""
    with Tower(database, create=True) as opened:
        yield opened
