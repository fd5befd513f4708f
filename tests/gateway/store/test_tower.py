"""The tower's database: where it lies, and that one process alone keeps the read model."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from coldtrail_gateway.store.database import StoreError
from coldtrail_gateway.store.tower.database import Tower
from tests.gateway import databases

HOLD = """
import sys
from coldtrail_gateway.store.tower.database import Tower
with Tower(sys.argv[1], create=False) as tower, tower.keeping() as is_ours:
    print(is_ours, flush=True)
    sys.stdin.read()
"""


def keeper(database: str) -> subprocess.Popen[str]:
    """Start a process that keeps the read model, and wait until it does."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, database],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "True\n"
    return process


def test_one_alone_keeps_the_read_model_until_it_ends(database: str) -> None:
    with Tower(database, create=True) as tower:
        with keeper(database) as other:
            with tower.keeping() as is_ours:
                assert not is_ours
            with tower.write() as connection:
                connection.execute(sa.text("SELECT 1"))
            other.send_signal(signal.SIGKILL)
        with tower.keeping() as is_ours:
            assert is_ours
            with tower.keeping() as is_also_ours:
                assert not is_also_ours
        with tower.keeping() as is_ours:
            assert is_ours


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_place_in_a_server_that_hangs_up_is_free_again(database: str) -> None:
    others = sa.text(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    with Tower(database, create=True) as tower, tower.keeping() as was_ours:
        assert was_ours
        databases.tamper(database, others)
        with tower.keeping() as is_ours:
            assert is_ours


def test_a_folder_that_takes_no_lock(tmp_path: Path) -> None:
    with Tower(tmp_path / "gateway.db", create=True) as tower:
        (tmp_path / "gateway.tower.db.lock").mkdir()
        with pytest.raises(StoreError, match=r"tower\.db\.lock cannot be made"), tower.keeping():
            pass
