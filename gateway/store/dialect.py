"""What SQLite and PostgreSQL both have, and SQLAlchemy has for each by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from coldtrail_gateway.store.errors import StoreError

DATABASES: Final = ("sqlite", "postgresql")

SCHEMA: Final = 0x636F6C64  # any number that nobody else is likely to take: "cold"
QUARANTINE: Final = SCHEMA + 1
_ALONE: Final = SCHEMA + 2

# INSERT takes this lock before it takes a number; it is released when the rows can be seen.
_WRITERS: Final = sa.text("""
    SELECT virtualtransaction, pid FROM pg_locks
    WHERE locktype = 'relation' AND mode = 'RowExclusiveLock' AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND relation = CAST(:name AS regclass)
""")
_SERVER: Final = sa.text("SELECT pg_is_in_recovery(), CAST(pg_postmaster_start_time() AS text)")


@dataclass(frozen=True, slots=True)
class Writers:
    """The unfinished transactions that may add rows to a table.

    By what names them in this life of the `server`, each with who that is, for people.
    """

    server: str
    unfinished: Mapping[str, str]


NO_WRITERS: Final = Writers("", {})


def insert(connection: Connection, table: sa.Table) -> Any:
    """Return an INSERT that can be told what to do on a conflict."""
    return insert_on(connection.dialect.name, table)


def insert_on(database: str, table: sa.Table) -> Any:
    """Return the same by a database's name, for a statement that is built only once."""
    return sqlite.insert(table) if database == "sqlite" else postgresql.insert(table)


def one_at_a_time(connection: Connection, turn: int = SCHEMA) -> None:
    """Let no other process change the schema, or do what else a turn is for, at the same time.

    Until the transaction ends. PostgreSQL only; SQLite has one writer at a time.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(turn)))


def try_to_be_alone(connection: Connection) -> bool:
    """Take the one place there is in a database until the session ends, if it is free.

    PostgreSQL only; beside SQLite's file there is another one to lock.
    """
    taken = connection.scalar(sa.select(sa.func.pg_try_advisory_lock(_ALONE)))
    return bool(taken)


def lock_for_writing(connection: Connection, table: sa.Table) -> None:
    """Let nobody else write to a table until the transaction ends; all may read it.

    PostgreSQL only; SQLite has one writer at a time.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text(f"LOCK TABLE {table.name} IN SHARE ROW EXCLUSIVE MODE"))


def take_time(connection: Connection) -> None:
    """Let the statements that follow, which go through a whole table, take the time they need."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.set_config("statement_timeout", "0", True)))


def writers(connection: Connection, table: sa.Table) -> Writers:
    """Return the transactions of this moment that may add rows to a table.

    On SQLite none: what another connection writes appears all at once, and later in its numbers.

    Raises:
        StoreError: the server is a standby, where such transactions cannot be seen.
    """
    if connection.dialect.name != "postgresql":
        return NO_WRITERS
    standby, started = connection.execute(_SERVER).one()
    if standby:
        raise StoreError(
            "The PostgreSQL server is a standby, where nobody can tell which blocks are still "
            "to come: name its primary with --db."
        )
    # A transaction that is prepared keeps its name, and has no process any more.
    unfinished = {
        name: f"the server's process {pid}" if pid else "a prepared transaction"
        for name, pid in connection.execute(_WRITERS, {"name": table.name})
    }
    return Writers(started, unfinished)
