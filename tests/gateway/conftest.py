"""Fixtures: stores on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import argon2
import pytest

from coldtrail_gateway.audit import passwords
from coldtrail_gateway.store.database import Store
from coldtrail_gateway.store.registry import KeyPair, Shipment
from tests.gateway import databases
from tests.support.blocks.blockmaker import DOWNLINK, UPLINK


@pytest.fixture(autouse=True)
def data_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has no place of its own, such as the anchors of a server's database, is kept apart."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """URL of a private PostgreSQL server, which the tests share."""
    folder = databases.programs()
    if folder is None:
        pytest.skip(databases.MISSING)
    with databases.postgresql(folder) as server:
        yield server.url


@pytest.fixture
def postgresql(postgresql_server: str) -> str:
    """URL of an empty database in PostgreSQL."""
    return databases.create(postgresql_server)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/gateway.db"
    url: str = request.getfixturevalue("postgresql")
    return url


@pytest.fixture
def store(database: str) -> Iterator[Store]:
    """A store with tracker CT-1 and its shipment S-1."""
    with Store(database, create=True) as opened:
        with opened.write() as tables:
            tables.registry.add_tracker("CT-1", test=True)
            tables.registry.add_key("CT-1", 1, KeyPair(UPLINK, DOWNLINK))
            tables.registry.add_shipment(Shipment("S-1", "CT-1", None))
        yield opened


@pytest.fixture
def cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Real Argon2id with its cheapest parameters, where the tests are not about its cost."""
    hasher = argon2.PasswordHasher.from_parameters(argon2.profiles.CHEAPEST)
    monkeypatch.setattr(passwords, "HASHER", hasher)
    monkeypatch.setattr(passwords, "NOBODY", hasher.hash("nobody's"))
