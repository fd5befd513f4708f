"""What can be asked of the database and done to it within one transaction, by noun."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

from coldtrail_gateway.store.archive import Archive
from coldtrail_gateway.store.commands import Commands
from coldtrail_gateway.store.errors import VALUE_ERRORS, translated
from coldtrail_gateway.store.quarantine import Quarantine
from coldtrail_gateway.store.registry import Registry


class Tables:
    """The tables within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.registry = Registry(connection)
        self.archive = Archive(connection)
        self.quarantine = Quarantine(connection)
        self.commands = Commands(connection)

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """All or nothing of a part; what stood before it stays.

        Raises:
            DataError: nothing of it was written, because the database does not take a value.
        """
        try:
            with self._connection.begin_nested():
                yield
        except (SQLAlchemyError, *VALUE_ERRORS) as error:
            raise translated(error, str(self._connection.engine.url.database)) from None
