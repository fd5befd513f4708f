"""The connections to one database, whatever it holds: its engine, its schema, its transactions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from coldtrail_gateway import keyfiles
from coldtrail_gateway.store import location, postgresql, sqlite
from coldtrail_gateway.store.dialect import try_to_be_alone
from coldtrail_gateway.store.errors import VALUE_ERRORS, ExchangedError, StoreError, translated
from coldtrail_gateway.store.migrations.history import History
from coldtrail_gateway.urls import Url


class Connections:
    """Opens a database and brings its schema to the newest revision, where that may be done.

    Raises:
        StoreError: it cannot be reached, or its revision is not known; without `create` also
            where there is none yet.
    """

    def __init__(self, place: Path | Url, history: History, *, create: bool) -> None:
        self._name = str(place)
        self._file = place if isinstance(place, Path) else None
        self._current: object = None
        self._opened: tuple[int, int] | None = None
        self._engine = _engine(place, history, create=create)
        try:
            self._prepare(history, create=create)
        except BaseException:
            self.close()
            raise
        self._opened = self._identity()

    @property
    def name(self) -> str:
        """What names the database, without a password."""
        return self._name

    @property
    def shared(self) -> Path | None:
        """The database file where others can read it."""
        file = self._file
        return None if file is None or keyfiles.is_private(file) else file

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def settle(self) -> None:
        """Wait until all that can be seen is as safe as what this program has committed itself.

        Raises:
            ExchangedError: the file was moved, deleted or exchanged.
            NotOnStandbyError: a standby has not got it.
            StoreError: the database does not answer as it must.
        """
        self._check_file()
        if self._engine.dialect.name == "postgresql":
            with self.transaction(write=True) as connection:
                postgresql.settle(connection)

    def interrupt(self) -> None:
        """End what another thread waits for in a transaction; on PostgreSQL alone."""
        current = self._current
        if isinstance(current, psycopg.Connection):
            postgresql.cancel(current)

    @contextmanager
    def transaction(self, *, write: bool) -> Iterator[Connection]:
        """All or nothing, on a connection of its own; without `write` a consistent view.

        Raises:
            DataError: nothing was written, because the database does not take one of the values.
            ExchangedError: the file was moved, deleted or exchanged; nothing was written.
            NotOnStandbyError: what was written is on this server's disk alone.
            StoreError: the database does not answer as it must, and nothing was written.
        """
        self._check_file()
        try:
            with self._engine.connect() as connection:
                connection.execution_options(coldtrail_write=write)
                if not write and connection.dialect.name == "postgresql":
                    # SQLite reads from one snapshot by itself.
                    connection.execution_options(isolation_level="REPEATABLE READ")
                self._current = connection.connection.driver_connection
                with connection.begin():
                    yield connection
        except (SQLAlchemyError, *VALUE_ERRORS) as error:
            # A driver's error may quote what a URL or a row holds, and a traceback the error.
            raise translated(error, self._name) from None
        finally:
            self._current = None

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Be the only one here while the block lasts; False where another process is.

        A process that dies leaves the place at once. On SQLite it is the lock of a file beside
        the database, on PostgreSQL that of a session.

        Raises:
            StoreError: the database does not answer.
        """
        if self._file is not None:
            with sqlite.alone(self._file) as is_ours:
                yield is_ours
            return
        with ExitStack() as opened:
            try:
                connection = opened.enter_context(self._engine.connect())
                connection.execution_options(isolation_level="AUTOCOMMIT")
                connection.detach()  # so that its end is the end of its session
                is_ours = try_to_be_alone(connection)
            except SQLAlchemyError as error:
                raise translated(error, self._name) from None
            yield is_ours

    def _check_file(self) -> None:
        """SQLite would go on with a file that has lost its name, which no other program sees."""
        if self._opened is not None and self._identity() != self._opened:
            raise ExchangedError(
                f"The database {self._name} is not the file that was opened: it has been moved, "
                "deleted or exchanged. Start this program again."
            )

    def _identity(self) -> tuple[int, int] | None:
        """What tells the database's file from another one with its name."""
        try:
            found = self._file.stat() if self._file is not None else None
        except OSError:
            return None
        return (found.st_dev, found.st_ino) if found is not None else None

    def _prepare(self, history: History, *, create: bool) -> None:
        with self.transaction(write=False) as connection:
            found = history.revision(connection)
        if create if found is None else found != history.newest and history.knows(found):
            with self.transaction(write=True) as connection:
                history.upgrade(connection)
                found = history.revision(connection)
        if found is None:
            raise StoreError(f"{self._name} holds no {history.holds}: {history.first}.")
        if found != history.newest:
            raise StoreError(
                f"{self._name} has schema {found}, and this program works with {history.newest}: "
                "use the version of Coldtrail that made it, or a newer one, or name another with "
                "--db."
            )


def _engine(place: Path | Url, history: History, *, create: bool) -> Engine:
    if isinstance(place, Path):
        return sqlite.engine(place, create=create, first=history.first)
    try:
        return postgresql.engine(place, history.schema)
    except ValueError as error:
        raise location.unusable(error) from None
