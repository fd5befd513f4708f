"""Fixtures: read models on both databases."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from coldtrail_gateway.store.tower.database import Tower
from tests.gateway import databases
from tests.support.blocks.read_model import Model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Model]:
    """A read model on SQLite, to be cleared before it is filled."""
    with Tower(tmp_path_factory.mktemp("tower") / "gateway.db", create=True) as tower:
        yield Model(tower)


@pytest.fixture(scope="module")
def postgresql_model(postgresql_server: str) -> Iterator[Model]:
    """A read model on PostgreSQL, to be cleared before it is filled."""
    with Tower(databases.create(postgresql_server), create=True) as tower:
        yield Model(tower)
