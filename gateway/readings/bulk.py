"""Writes many rows of one table with one statement."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cache
from typing import Any, Final, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from coldtrail_gateway.store.text import AnyString, AnyText, escape

Row = tuple[Any, ...]
T = TypeVar("T", int, str)

_AT_ONCE: Final = 5_000  # numbers in one statement; SQLite takes 32,766 at most


def insert(connection: Connection, table: sa.Table, rows: Sequence[Row]) -> None:
    """Insert rows, each with all columns in the order of the table."""
    _write(connection, table, rows, "")


def put(connection: Connection, table: sa.Table, rows: Sequence[Row]) -> None:
    """Insert rows as `insert` does; a row of the same key is replaced."""
    keys = ", ".join(f'"{column.name}"' for column in table.primary_key)
    others = ", ".join(
        f'"{column.name}" = excluded."{column.name}"'
        for column in table.columns
        if not column.primary_key
    )
    _write(connection, table, rows, f" ON CONFLICT ({keys}) DO UPDATE SET {others}")


def insert_missing(connection: Connection, table: sa.Table, row: Row) -> None:
    """Insert a row where there is none of its key."""
    _write(connection, table, [row], " ON CONFLICT DO NOTHING")


def _write(connection: Connection, table: sa.Table, rows: Sequence[Row], conflict: str) -> None:
    if not rows:
        return
    # The drivers are given the rows as they are: what SQLAlchemy does for each costs more.
    texts = _texts(table)
    if texts:
        rows = [_escaped(row, texts) for row in rows]
    statement = _statement(table, connection.dialect.paramstyle) + conflict
    connection.exec_driver_sql(statement, list(rows))


def _escaped(row: Row, texts: Sequence[int]) -> Row:
    values = list(row)
    for at in texts:
        if values[at] is not None:
            values[at] = escape(values[at])
    return tuple(values)


@cache
def _texts(table: sa.Table) -> tuple[int, ...]:
    columns = enumerate(table.columns)
    return tuple(at for at, column in columns if isinstance(column.type, AnyText | AnyString))


@cache
def _statement(table: sa.Table, paramstyle: str) -> str:
    columns = ", ".join(f'"{column.name}"' for column in table.columns)
    mark = "?" if paramstyle == "qmark" else "%s"
    marks = ", ".join(mark for _ in table.columns)
    return f'INSERT INTO "{table.name}" ({columns}) VALUES ({marks})'  # noqa: S608 -- our own names


def parts(numbers: Collection[T]) -> list[list[T]]:
    """Return values in lists that fit into one statement each."""
    ordered = sorted(numbers)
    return [ordered[at : at + _AT_ONCE] for at in range(0, len(ordered), _AT_ONCE)]
