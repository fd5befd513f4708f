"""A large archive, made by plain inserts: quicker than a fleet could."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from coldtrail_gateway.store import schema
from coldtrail_gateway.store.database import Store
from tests.gateway import databases
from tests.support.blocks.blockmaker import downlink, uplink

TRACKERS: Final = 5000
CHAIN: Final = b"chain  1"
NOW_MS: Final = 1_767_225_600_123
_COMMANDS: Final = 10  # of each tracker
_AGAIN: Final = 10  # of so many blocks one came again
_ISLANDS: Final = 50_000  # of the one tracker whose blocks come with gaps everywhere
_SEALED: Final = 320  # bytes


def name(number: int) -> str:
    """Return the id of a tracker."""
    return f"LARGE-{number:06}"


def fill(url: str, blocks: int) -> None:
    """Make a database with so many blocks, each tracker's from number 1 on without a gap."""
    Store(url, create=True).close()
    own = databases.engine(url)
    with own.begin() as connection:
        _insert(connection, schema.trackers, _trackers(blocks))
        _insert(connection, schema.keys, _keys())
        _insert(connection, schema.blocks, _blocks(blocks))
        _insert(connection, schema.repeats, _repeats(blocks))
        _insert(connection, schema.kept, _kept(blocks))
        _insert(connection, schema.commands, _commands())
        if connection.dialect.name == "postgresql":
            # As COPY has not used it.
            last = "SELECT setval('blocks_id_seq', (SELECT max(id) FROM blocks))"
            connection.exec_driver_sql(last)
    with own.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        # What the server's autovacuum does by itself, later.
        connection.exec_driver_sql("ANALYZE")
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("CHECKPOINT")
    own.dispose()


Row = tuple[Any, ...]


def _trackers(blocks: int) -> Iterator[Row]:
    for number in range(TRACKERS):
        yield name(number), True, CHAIN, 1, NOW_MS
    assert blocks % TRACKERS == 0


def _keys() -> Iterator[Row]:
    for number in range(TRACKERS):
        yield name(number), 1, uplink(name(number)), downlink(name(number))


def _blocks(count: int) -> Iterator[Row]:
    for at in range(count):
        digest = hashlib.sha256(b"%d" % at).digest()
        tracker, number = name(at % TRACKERS), at // TRACKERS + 1
        sealed = digest * (_SEALED // len(digest))
        yield at + 1, tracker, digest, sealed, 1, NOW_MS, CHAIN, number


def _repeats(blocks: int) -> Iterator[Row]:
    for at in range(0, blocks, _AGAIN):
        yield at + 1, 1, NOW_MS


def _kept(blocks: int) -> Iterator[Row]:
    for number in range(TRACKERS):
        yield name(number), CHAIN, 1, blocks // TRACKERS
    for number in range(_ISLANDS):
        yield name(0), b"with gap", 2 * number + 1, 2 * number + 1


def _commands() -> Iterator[Row]:
    for number in range(TRACKERS):
        for at in range(_COMMANDS):
            ended = None if at == _COMMANDS - 1 else NOW_MS
            outcome = None if ended is None else 1
            row = (name(number), NOW_MS + at, b"\x81\x04", NOW_MS // 1000, NOW_MS)
            yield *row, None, None, ended, outcome, None


def _insert(connection: Connection, table: sa.Table, rows: Iterator[Row]) -> None:
    columns = ", ".join(f'"{column.name}"' for column in table.columns)
    driver: Any = connection.connection.driver_connection
    if connection.dialect.name == "sqlite":
        marks = ", ".join("?" for _ in table.columns)
        driver.executemany(f"INSERT INTO {table.name} ({columns}) VALUES ({marks})", rows)
    else:
        command = f"COPY {table.name} ({columns}) FROM STDIN"
        with driver.cursor() as cursor, cursor.copy(command) as copy:
            for row in rows:
                copy.write_row(row)
