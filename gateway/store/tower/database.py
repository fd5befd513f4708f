"""The tower's database beside the archive's: nothing that is done here can lock the archive.

On SQLite it is a second file, on PostgreSQL the schema `tower` in the archive's database. It is as
safe as the archive: when `Tower.write` has ended, what was written is on disk.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from sqlalchemy.engine import Connection

from coldtrail_gateway.store import location
from coldtrail_gateway.store.connections import Connections
from coldtrail_gateway.store.migrations.history import TOWER


class Tower:
    """The tower's database; a context manager that closes its connections.

    `place` names the archive that it belongs to, as for `Store`.

    Raises:
        StoreError: it cannot be reached, or a newer Coldtrail made it; without `create` also
            where there is none yet.
    """

    def __init__(self, place: str | Path, *, create: bool) -> None:
        self._connections = Connections(
            location.beside(location.named(place), TOWER.folder), TOWER, create=create
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def shared(self) -> Path | None:
        """The database file where others can read it."""
        return self._connections.shared

    @property
    def name(self) -> str:
        """What names the database, without a password."""
        return self._connections.name

    def close(self) -> None:
        """Close every connection."""
        self._connections.close()

    def interrupt(self) -> None:
        """End what a transaction of another thread waits for, which then fails."""
        self._connections.interrupt()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A consistent view.

        Raises:
            StoreError: the database does not answer as it must.
        """
        with self._connections.transaction(write=False) as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """All or nothing; on disk when the block has ended without an exception.

        Raises:
            DataError: nothing was written, because the database does not take one of the values.
            StoreError: nothing was written.
        """
        with self._connections.transaction(write=True) as connection:
            yield connection

    @contextmanager
    def keeping(self) -> Iterator[bool]:
        """Be the one who keeps the read model while the block lasts; False where another does.

        A process that dies leaves the place at once. It is no lock on the database: people's
        changes go on beside it.

        Raises:
            StoreError: the database does not answer.
        """
        with self._connections.alone() as is_ours:
            yield is_ours
