"""Up to where the archive has been read: it moves together with what was made of the blocks."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from coldtrail_gateway.readings import bulk
from coldtrail_gateway.readings.tables import progress
from coldtrail_gateway.store.feed import START, Cursor

_HERE = sa.select(progress.c.block, progress.c.digest).where(progress.c.id == 1)


def read(connection: Connection) -> Cursor:
    """Return up to where the archive has been read."""
    return _cursor(connection, _HERE)


def hold(connection: Connection) -> Cursor:
    """Return the same, and let nobody else move it until the transaction ends."""
    bulk.insert_missing(connection, progress, (1, START.id, START.digest))
    return _cursor(connection, _HERE.with_for_update())


def write(connection: Connection, cursor: Cursor) -> None:
    """Move it."""
    bulk.put(connection, progress, [(1, cursor.id, cursor.digest)])


def _cursor(connection: Connection, statement: sa.Select[tuple[int, bytes]]) -> Cursor:
    row = connection.execute(statement).one_or_none()
    return Cursor(row.block, row.digest) if row else START
