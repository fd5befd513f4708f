"""SQLite takes any type in any column, and text that is none: the row is named all the same."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from coldtrail_gateway.audit.findings import What, Where
from coldtrail_gateway.audit.trail_tables import trail
from coldtrail_gateway.store.schema import blocks
from coldtrail_gateway.store.text import AnyText
from tests.gateway import databases
from tests.gateway.audit.kept import Kept, keep, undone


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return keep(f"sqlite:///{tmp_path}/gateway.db", tmp_path)


def test_other_types_in_columns_of_sqlite(kept: Kept) -> None:
    for value in ("text", b"\xff", 1.5, None):
        with kept.administrator("archive") as connection:
            for column in blocks.c:
                if column.name == "id":
                    continue
                if value is None and not column.nullable:
                    continue
                same = {("text", "tracker"): "CT-1"}
                new = same.get((value, column.name), value)  # type: ignore[arg-type]
                with undone(connection):
                    connection.execute(
                        sa.text(f"UPDATE blocks SET {column.name} = :new WHERE id = 3"),
                        {"new": new},
                    )
                    found = kept.seen("archive", connection)
                    assert found == [(Where.ARCHIVE, What.ALTERED, 3)], (column, value)
        with kept.administrator("tower") as connection:
            for column in trail.c:
                if column.name == "number" or (value is None and not column.nullable):
                    continue
                with undone(connection):
                    connection.execute(
                        sa.text(f"UPDATE audit_trail SET {column.name} = :new WHERE number = 2"),
                        {"new": value},
                    )
                    if value is None and column.name == "answers":
                        continue  # it has none
                    found = kept.seen("tower", connection)
                    assert found == [(Where.TRAIL, What.ALTERED, 2)], (column, value)


def test_text_that_is_no_utf_8_in_columns_of_sqlite(kept: Kept) -> None:
    broken = "CAST(x'ff61' AS TEXT)"
    with kept.administrator("archive") as connection, undone(connection):
        connection.exec_driver_sql(f"UPDATE blocks SET tracker = {broken} WHERE id = 3")
        connection.connection.dbapi_connection.text_factory = surrogates  # type: ignore[union-attr]
        assert kept.seen("archive", connection) == [(Where.ARCHIVE, What.ALTERED, 3)]
    with kept.administrator("tower") as connection:
        connection.connection.dbapi_connection.text_factory = surrogates  # type: ignore[union-attr]
        for column in trail.c:
            if isinstance(column.type, (sa.String, AnyText)):
                with undone(connection):
                    connection.exec_driver_sql(
                        f"UPDATE audit_trail SET {column.name} = {broken} WHERE number = 2"
                    )
                    found = kept.seen("tower", connection)
                    assert found == [(Where.TRAIL, What.ALTERED, 2)], column


def surrogates(raw: bytes) -> str:
    """Return text as a connection of Coldtrail's own does."""
    return raw.decode("utf-8", "surrogateescape")


def test_such_text_on_disk_is_named_by_the_row(kept: Kept) -> None:
    databases.unprotect(kept.database)
    databases.tamper(
        kept.database, sa.text("UPDATE blocks SET tracker = CAST(x'ff' AS TEXT) WHERE id = 3")
    )
    found = [(one.where, one.what, one.row) for one in kept.report().findings]
    assert found == [(Where.ARCHIVE, What.ALTERED, 3)]
