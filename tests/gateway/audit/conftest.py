"""Fixtures: the tower's database, on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import argon2
import pytest

from coldtrail_gateway.audit import passwords
from coldtrail_gateway.store.tower.database import Tower
from tests.gateway.audit.installation import Installation


@pytest.fixture
def tower(database: str) -> Iterator[Tower]:
    """An empty tower's database beside the archive's."""
    with Tower(database, create=True) as opened:
        yield opened


@pytest.fixture
def cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Real Argon2id with its cheapest parameters, where the tests are not about its cost."""
    hasher = argon2.PasswordHasher.from_parameters(argon2.profiles.CHEAPEST)
    monkeypatch.setattr(passwords, "HASHER", hasher)
    monkeypatch.setattr(passwords, "NOBODY", hasher.hash("nobody's"))


@pytest.fixture
def installation(tower: Tower, tmp_path: Path, cheap_passwords: None) -> Installation:
    """An installation without any people."""
    return Installation(tower, tmp_path)
