"""What SQLite and PostgreSQL both have, and SQLAlchemy has for each by itself."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

DATABASES: Final = ("sqlite", "postgresql")

_SCHEMA_LOCK: Final = 0x636F6C64  # any number that nobody else is likely to take: "cold"


def insert(connection: Connection, table: sa.Table) -> Any:
    """Return an INSERT that can be told what to do on a conflict."""
    return insert_on(connection.dialect.name, table)


def insert_on(database: str, table: sa.Table) -> Any:
    """Return the same by a database's name, for a statement that is built only once."""
    return sqlite.insert(table) if database == "sqlite" else postgresql.insert(table)


def one_at_a_time(connection: Connection) -> None:
    """Let no other process change the schema until the transaction ends.

    PostgreSQL only; SQLite has one writer at a time.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_SCHEMA_LOCK)))


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
