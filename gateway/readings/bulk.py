"""Writes many rows of one table at once."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cache
from typing import Any, Final, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from coldtrail_gateway.store import postgresql
from coldtrail_gateway.store.text import AnyString, AnyText, escape

Row = tuple[Any, ...]
T = TypeVar("T", int, str)

_AT_ONCE: Final = 5_000  # numbers in one statement; SQLite takes 32,766 at most


def insert(connection: Connection, table: sa.Table, rows: Sequence[Row]) -> None:
    """Insert rows, each with all columns in the order of the table."""
    if not rows:
        return
    rows = _escaped(table, rows)
    names = _names(table)
    if connection.dialect.name == "postgresql":
        postgresql.copy(connection, f'COPY "{table.name}" ({names}) FROM STDIN', rows)
        return
    marks = ", ".join("?" for _ in table.columns)
    # The driver is given the rows as they are: what SQLAlchemy does for each costs more.
    connection.exec_driver_sql(
        f'INSERT INTO "{table.name}" ({names}) VALUES ({marks})',  # noqa: S608 -- our own names
        list(rows),
    )


def put(connection: Connection, table: sa.Table, rows: Sequence[Row]) -> None:
    """Insert rows as `insert` does; a row of the same key is replaced."""
    keys = ", ".join(f'"{column.name}"' for column in table.primary_key)
    others = ", ".join(
        f'"{column.name}" = excluded."{column.name}"'
        for column in table.columns
        if not column.primary_key
    )
    _together(connection, table, rows, f"ON CONFLICT ({keys}) DO UPDATE SET {others}")


def insert_missing(connection: Connection, table: sa.Table, row: Row) -> None:
    """Insert a row where there is none of its key."""
    _together(connection, table, [row], "ON CONFLICT DO NOTHING")


def _together(connection: Connection, table: sa.Table, rows: Sequence[Row], conflict: str) -> None:
    """Insert some hundred rows with one statement: each by itself costs PostgreSQL more."""
    mark = "?" if connection.dialect.paramstyle == "qmark" else "%s"
    marks = f"({', '.join(mark for _ in table.columns)})"
    rows = _escaped(table, rows)
    size = _AT_ONCE // len(table.columns)
    for at in range(0, len(rows), size):
        some = rows[at : at + size]
        values = ", ".join([marks] * len(some))
        into = f'INSERT INTO "{table.name}" ({_names(table)}) VALUES {values}'  # noqa: S608 -- our own names
        connection.exec_driver_sql(
            f"{into} {conflict}", tuple(value for row in some for value in row)
        )


def _escaped(table: sa.Table, rows: Sequence[Row]) -> Sequence[Row]:
    texts = _texts(table)
    if not texts:
        return rows
    escaped = []
    for row in rows:
        values = list(row)
        for at in texts:
            if values[at] is not None:
                values[at] = escape(values[at])
        escaped.append(tuple(values))
    return escaped


@cache
def _names(table: sa.Table) -> str:
    return ", ".join(f'"{column.name}"' for column in table.columns)


@cache
def _texts(table: sa.Table) -> tuple[int, ...]:
    columns = enumerate(table.columns)
    return tuple(at for at, column in columns if isinstance(column.type, AnyText | AnyString))


def parts(numbers: Collection[T]) -> list[list[T]]:
    """Return values in lists that fit into one statement each."""
    ordered = sorted(numbers)
    return [ordered[at : at + _AT_ONCE] for at in range(0, len(ordered), _AT_ONCE)]
