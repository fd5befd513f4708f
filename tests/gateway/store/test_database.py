"""The store's connections."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from coldtrail_gateway.store import schema
from coldtrail_gateway.store.database import Store, StoreError
from tests.gateway import databases


def opened(folder: Path) -> list[str]:
    """Return the files in a folder that this process has open."""
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            target = str(descriptor.readlink())
        except OSError:
            continue  # the listing's own
        if target.startswith(f"{folder}/"):
            found.append(target)
    return found


def test_a_store_closes_its_connections_whatever_ends_it(tmp_path: Path) -> None:
    with Store(f"{tmp_path}/gateway.db", create=True) as store:
        with store.read() as tables:
            assert tables.registry.trackers() == []
        assert opened(tmp_path)
    assert opened(tmp_path) == []
    with (
        pytest.raises(LookupError),
        Store(f"{tmp_path}/gateway.db", create=False) as store,
        store.write(),
    ):
        raise LookupError
    assert opened(tmp_path) == []


def test_a_database_that_is_refused_is_not_held_open(tmp_path: Path) -> None:
    Store(f"{tmp_path}/gateway.db", create=True).close()
    newer = sa.update(schema.schema).values(version=schema.VERSION + 1)
    databases.tamper(f"sqlite:///{tmp_path}/gateway.db", newer)
    with pytest.raises(StoreError, match="a newer one"):
        Store(f"{tmp_path}/gateway.db", create=False)
    assert opened(tmp_path) == []
