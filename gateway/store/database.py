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

from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from coldtrail_gateway import keyfiles
from coldtrail_gateway.store import location, postgresql, schema, sqlite
from coldtrail_gateway.store.errors import VALUE_ERRORS, StoreError, translated
from coldtrail_gateway.store.tables import Tables
from coldtrail_gateway.urls import Url

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
        self._engine, name = _engine(place, create=create)
        self._file = name if isinstance(name, Path) else None
        self._name = str(name)
        try:
            self._prepare(create=create)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def name(self) -> str:
        """What names the database, without a password."""
        return self._name

    @property
    def shared(self) -> Path | None:
        """The database file, with all keys in it, where others can read it."""
        file = self._file
        return None if file is None or keyfiles.is_private(file) else file

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    @contextmanager
    def read(self) -> Iterator[Tables]:
        """A consistent view.

        Raises:
            StoreError: the database does not answer as it must.
        """
        with self._transaction(write=False) as connection:
            yield Tables(connection)

    @contextmanager
    def write(self) -> Iterator[Tables]:
        """All or nothing; on disk when the block has ended without an exception.

        Raises:
            DataError: nothing was written, because the database does not take one of the values.
            StoreError: nothing was written.
        """
        with self._transaction(write=True) as connection:
            yield Tables(connection)

    def _prepare(self, *, create: bool) -> None:
        """Bring the schema to the version that this program knows, where that may be done."""
        with self._transaction(write=False) as connection:
            version = schema.version(connection)
        if create or (version is not None and version < schema.VERSION):
            with self._transaction(write=True) as connection:
                schema.create(connection)
                version = schema.version(connection)
        self._check(version)

    def _check(self, version: int | None) -> None:
        if version is None:
            raise StoreError(
                f"{self._name} holds no Coldtrail gateway: register a tracker first "
                "(coldtrail gateway register FILE)."
            )
        if version != schema.VERSION:
            raise StoreError(
                f"{self._name} has schema {version}, this program knows {schema.VERSION}: "
                "use the version of Coldtrail that made it, or a newer one."
            )

    @contextmanager
    def _transaction(self, *, write: bool) -> Iterator[Connection]:
        try:
            with self._engine.connect() as connection:
                connection.execution_options(coldtrail_write=write)
                if not write and connection.dialect.name == "postgresql":
                    # SQLite reads from one snapshot by itself.
                    connection.execution_options(isolation_level="REPEATABLE READ")
                with connection.begin():
                    yield connection
        except (SQLAlchemyError, *VALUE_ERRORS) as error:
            # A driver's error may quote what a URL or a row holds, and a traceback the error.
            raise translated(error, self._name) from None


def _engine(named: str | Path, *, create: bool) -> tuple[Engine, Path | Url]:
    try:
        place = named if isinstance(named, Path) else location.parse(named)
        if isinstance(place, Path):
            return sqlite.engine(place, create=create), place
        return postgresql.engine(place), place
    except ValueError as error:
        raise StoreError(
            f"The database cannot be used: {error}. Name it by a path, sqlite:///FILE or "
            "postgresql://USER@HOST/NAME."
        ) from None
