"""The store's connections, and what it says when the database fails."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

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
    databases.tamper(f"sqlite:///{tmp_path}/gateway.db", databases.LATER)
    with pytest.raises(StoreError, match="a newer one"):
        Store(f"{tmp_path}/gateway.db", create=False)
    assert opened(tmp_path) == []


def test_a_damaged_file_is_told_from_one_that_is_none(tmp_path: Path) -> None:
    file = tmp_path / "gateway.db"
    Store(str(file), create=True).close()
    whole = file.read_bytes()
    file.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    with pytest.raises(StoreError, match="is damaged: restore it"):
        Store(str(file), create=False)
    file.write_bytes(b"text" * 4096)
    with pytest.raises(StoreError, match="is not a database"):
        Store(str(file), create=False)


def test_a_path_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is not a file"):
        Store(tmp_path, create=True)
    with pytest.raises(StoreError, match=r"cannot be opened \(File name too long\)"):
        Store(tmp_path / ("a" * 300), create=False)
    with pytest.raises(StoreError, match="cannot be made"):
        Store("/proc/none/gateway.db", create=True)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_server_that_hangs_up(database: str) -> None:
    with Store(database, create=True) as store:
        with pytest.raises(StoreError, match="has hung up"):
            read_while_the_server_hangs_up(store, database)
        with store.read() as tables:
            assert tables.registry.trackers() == []


def read_while_the_server_hangs_up(store: Store, url: str) -> None:
    others = (
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    with store.read() as tables:
        databases.tamper(url, sa.text(others))
        tables.registry.trackers()
