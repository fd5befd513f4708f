"""The store: registrations, the archive of sealed blocks, and the quarantine.

SQLite in WAL mode with synchronous=FULL, or PostgreSQL: when `Store.write` has ended, what was
written is on disk.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    NoSuchModuleError,
    OperationalError,
    SQLAlchemyError,
)

from coldtrail_gateway.errors import GatewayError
from coldtrail_gateway.store import schema
from coldtrail_gateway.store.tables import Tables

_BUSY_S: Final = 5.0
_CONNECT_S: Final = 10


class StoreError(GatewayError):
    """The database cannot do what was asked; the message says what to do."""


def default_path() -> Path:
    """Return the database file used when none is named."""
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "coldtrail" / "gateway.db"


class Store:
    """A database of this schema; a context manager that closes its connections.

    `url` is an SQLAlchemy URL of SQLite or PostgreSQL, or the path of an SQLite file.

    Raises:
        StoreError: it cannot be reached, or a newer Coldtrail made it; without `create` also
            where there is none yet.
    """

    def __init__(self, url: str, *, create: bool) -> None:
        self._engine, self._name = _engine(url, create=create)
        try:
            self._prepare(create=create)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

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
        except SQLAlchemyError as error:
            raise StoreError(_sentence(error, self._name)) from error


# --- engines ---


def _engine(text: str, *, create: bool) -> tuple[Engine, str]:
    try:
        url = make_url(text if "://" in text else f"sqlite:///{text}")
        if url.drivername in ("postgresql", "postgres"):
            url = url.set(drivername="postgresql+psycopg")
        name = url.render_as_string(hide_password=True)
        if url.get_backend_name() == "sqlite":
            return _sqlite(url, create=create)
        if url.get_backend_name() != "postgresql":
            raise StoreError(f"{name} is neither SQLite nor PostgreSQL: name one of these.")
        engine = sa.create_engine(
            url, connect_args={"connect_timeout": _CONNECT_S}, pool_pre_ping=True
        )
    except (ArgumentError, NoSuchModuleError) as error:
        raise StoreError(
            "The database is named by a URL (sqlite:///FILE, postgresql://HOST/NAME) or a path: "
            f"{error}."
        ) from error
    return engine, name


def _sqlite(url: sa.URL, *, create: bool) -> tuple[Engine, str]:
    name = url.database or ""
    if not name or name == ":memory:":
        raise StoreError("The database must be a file: one in memory keeps nothing.")
    if not name.startswith("file:"):
        path = Path(name)
        if create:
            _create_private(path)
        elif not path.exists():
            raise StoreError(
                f"There is no database at {path}: register a tracker first "
                "(coldtrail gateway register FILE), or name the right one with --db."
            )
    engine = sa.create_engine(url, connect_args={"timeout": _BUSY_S, "isolation_level": None})

    @sa.event.listens_for(engine, "connect")
    def connected(dbapi_connection: Any, _record: object) -> None:
        cursor = dbapi_connection.cursor()
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        if create:
            cursor.execute("PRAGMA journal_mode=WAL")
        cursor.close()

    @sa.event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        # A reader that turns into a writer may find itself locked out without a wait.
        write = connection.get_execution_options().get("coldtrail_write")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine, name


def _create_private(path: Path) -> None:
    """Make the file before SQLite does: it will hold keys, and SQLite would obey the umask."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        if not path.is_file():
            raise StoreError(f"{path} is not a file: name another with --db.") from None
    except OSError as error:
        raise StoreError(
            f"The database {path} cannot be made ({error.strerror}): name another with --db."
        ) from error


_ADVICE: Final = {
    sqlite3.SQLITE_READONLY: "is read-only: make it writable or name another with --db",
    sqlite3.SQLITE_FULL: "is full: free space on its file system",
    sqlite3.SQLITE_BUSY: "is locked: end what holds it (another program writes to it)",
    sqlite3.SQLITE_LOCKED: "is locked: end what holds it (another program writes to it)",
    sqlite3.SQLITE_IOERR: "cannot be written (disk I/O error): look at its disk and free space",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened: check the path and its permissions",
    sqlite3.SQLITE_NOTADB: "is not a database: name another with --db",
    sqlite3.SQLITE_CORRUPT: "is damaged: restore it from a copy",
}


def _sentence(error: SQLAlchemyError, name: str) -> str:
    cause = error.orig if isinstance(error, DBAPIError) else None
    advice = None
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        advice = "has hung up: start its server again"
    elif isinstance(cause, sqlite3.Error):
        # The low byte is the kind; an error of the module itself has no code.
        advice = _ADVICE.get(getattr(cause, "sqlite_errorcode", 0) & 0xFF)
    elif isinstance(error, OperationalError) and getattr(cause, "sqlstate", "") is None:
        # No server has said why.
        advice = "cannot be reached: start its server, or name the right one with --db"
    if advice is not None:
        return f"The database {name} {advice}."
    text = str(cause or error).strip()
    first = text.splitlines()[0] if text else type(error).__name__
    return f"The database {name} does not do what is asked of it: {first}."
