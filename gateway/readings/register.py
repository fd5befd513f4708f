"""Rows of a table that have a natural key, are read once, changed, and written back together."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from coldtrail_gateway.readings import bulk

Key = tuple[Any, ...]
Row = dict[str, Any]


class Register:
    """The rows of a table by their natural key; a new one gets the next number as `id`.

    `new`: what a new row holds beside its key. Only one transaction at a time may use it, which
    the row of `progress` sees to.
    """

    def __init__(
        self, connection: Connection, table: sa.Table, key: tuple[str, ...], new: Mapping[str, Any]
    ) -> None:
        self._connection = connection
        self._table = table
        self._key = key
        self._new = dict.fromkeys(table.columns.keys()) | dict(new)
        self._asked: set[Key] = set()
        self._rows: dict[Key, Row] = {}
        self._by_id: dict[int, Row] = {}
        self._changed: dict[Key, Row] = {}
        self._next: int | None = None

    def load(self, keys: Collection[Key]) -> None:
        """Read the rows with these keys, as far as they are there."""
        missing = [key for key in keys if key not in self._asked]
        if not missing:
            return
        self._asked.update(missing)
        columns = [self._table.c[name] for name in self._key]
        if len(columns) == 1:
            where = columns[0].in_([key[0] for key in missing])
        else:
            where = sa.tuple_(*columns).in_(missing)
        for row in self._connection.execute(sa.select(self._table).where(where)).mappings():
            self._know(dict(row))

    def get(self, key: Key) -> tuple[Row, bool]:
        """Return the row with a key, and whether it is made just now."""
        if key not in self._asked:
            self.load([key])
        row = self._rows.get(key)
        if row is not None:
            return row, False
        row = dict(self._new) | dict(zip(self._key, key, strict=True))
        if "id" not in self._key:
            row["id"] = self._number()
        self._know(row)
        self.change(row)
        return row, True

    def one(self, row_id: int) -> Row:
        """Return the row with a number."""
        if row_id not in self._by_id:
            named = sa.select(self._table).where(self._table.c.id == row_id)
            self._know(dict(self._connection.execute(named).mappings().one()))
        return self._by_id[row_id]

    def where(self, **values: Any) -> list[Row]:
        """Return all rows with these values in the table, as they are now."""
        conditions = [self._table.c[name] == value for name, value in values.items()]
        found = sa.select(*(self._table.c[name] for name in self._key)).where(*conditions)
        keys = {tuple(row) for row in self._connection.execute(found)}
        self.load(keys)
        own = [row for row in self._rows.values() if values.items() <= row.items()]
        return sorted(own, key=lambda row: row["id"])

    def change(self, row: Row, **values: Any) -> None:
        """Set values of a row."""
        row |= values
        self._changed[tuple(row[name] for name in self._key)] = row

    def write(self) -> None:
        """Write what has changed."""
        bulk.put(
            self._connection, self._table, [tuple(row.values()) for row in self._changed.values()]
        )
        self._changed.clear()

    def _know(self, row: Row) -> None:
        key = tuple(row[name] for name in self._key)
        if key not in self._rows:
            self._rows[key] = row
            self._by_id[row["id"]] = row

    def _number(self) -> int:
        if self._next is None:
            self._next = self._connection.scalar(sa.select(sa.func.max(self._table.c.id))) or 0
        self._next += 1
        return self._next
