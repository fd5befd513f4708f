"""The store: registrations, the archive of sealed blocks, and the quarantine.

SQLite in WAL mode with synchronous=FULL, or PostgreSQL with synchronous_commit: when `Store.write`
has ended, what was written is on disk.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from coldtrail_gateway.store import location
from coldtrail_gateway.store.connections import Connections
from coldtrail_gateway.store.errors import StoreError
from coldtrail_gateway.store.migrations.history import ARCHIVE
from coldtrail_gateway.store.tables import Tables

__all__ = ["Store", "StoreError", "default_path"]


def default_path() -> Path:
    """Return the database file used when none is named."""
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "coldtrail" / "gateway.db"


class Store:
    """A database of this schema; a context manager that closes its connections.

    `place` names it as `location.parse` says, or is the path of an SQLite file.

    Raises:
        StoreError: it cannot be reached, or a newer Coldtrail made it; without `create` also
            where there is none yet.
    """

    def __init__(self, place: str | Path, *, create: bool) -> None:
        self._connections = Connections(location.named(place), ARCHIVE, create=create)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def name(self) -> str:
        """What names the database, without a password."""
        return self._connections.name

    @property
    def shared(self) -> Path | None:
        """The database file, with all keys in it, where others can read it."""
        return self._connections.shared

    def close(self) -> None:
        """Close every connection."""
        self._connections.close()

    def settle(self) -> None:
        """Wait until all that was read here is as safe as what was committed here.

        Raises:
            NotOnStandbyError: a synchronous standby has not got it.
            StoreError: the database does not answer.
        """
        self._connections.settle()

    def interrupt(self) -> None:
        """End what another thread waits for; that fails as if it had waited too long."""
        self._connections.interrupt()

    @contextmanager
    def read(self) -> Iterator[Tables]:
        """A consistent view.

        Raises:
            StoreError: the database does not answer as it must.
        """
        with self._connections.transaction(write=False) as connection:
            yield Tables(connection)

    @contextmanager
    def write(self) -> Iterator[Tables]:
        """All or nothing; on disk when the block has ended without an exception.

        Raises:
            DataError: nothing was written, because the database does not take one of the values.
            NotOnStandbyError: what was written is on this server's disk alone.
            StoreError: nothing was written.
        """
        with self._connections.transaction(write=True) as connection:
            yield Tables(connection)
