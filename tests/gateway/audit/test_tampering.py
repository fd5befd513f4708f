"""Whoever edits archive or trail by hand is found out, row by row and column by column."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from hashlib import sha256
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from coldtrail_gateway.audit import anchor_keys, anchors
from coldtrail_gateway.audit.archive_check import ArchiveCheck
from coldtrail_gateway.audit.findings import What, Where, silent
from coldtrail_gateway.audit.trail import RAW, Entry
from coldtrail_gateway.audit.trail_tables import signed_records, trail
from coldtrail_gateway.store.schema import blocks
from coldtrail_gateway.store.tables import Tables
from tests.gateway import databases
from tests.gateway.audit.kept import Kept, keep, undone

BLOCKS, ENTRIES = range(1, 7), range(1, 8)


@pytest.fixture(params=["sqlite", "postgresql"], scope="module")
def kept(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Kept:
    folder = tmp_path_factory.mktemp("kept")
    if request.param == "sqlite":
        return keep(f"sqlite:///{folder}/gateway.db", folder)
    return keep(databases.create(request.getfixturevalue("postgresql_server")), folder)


@pytest.fixture(autouse=True)
def _untouched(kept: Kept) -> Iterator[None]:
    """What one case did is not there for the next."""
    yield
    report = kept.report()
    assert report.findings == ()
    assert (report.blocks, report.entries, report.signatures, report.anchors) == (6, 8, 2, 2)


def other(value: Any) -> Any:
    """Return another value of the same type."""
    if value is None:
        return 7
    if isinstance(value, bool):
        return not value
    if isinstance(value, bytes):
        return value[:-1] + bytes([value[-1] ^ 1])
    if isinstance(value, int):
        return value + 1
    return f"{value}x"


def test_each_column_of_each_row_of_the_archive(kept: Kept) -> None:
    with kept.administrator("archive") as connection:
        for row in connection.execute(sa.select(blocks).order_by("id")).all():
            for column in blocks.c:
                value = row._mapping[column]
                new = {
                    "id": 100,
                    "tracker": "CT-2" if value == "CT-1" else "CT-1",
                    "key_version": 2,
                    "chain": b"chain  3" if value is None else None,
                }.get(column.name, other(value))
                with undone(connection):
                    connection.execute(
                        sa.update(blocks).where(blocks.c.id == row.id).values({column: new})
                    )
                    what = What.MISSING if column.name == "id" else What.ALTERED
                    found = kept.seen("archive", connection)
                    assert found == [(Where.ARCHIVE, what, row.id)], column


def test_each_column_of_each_entry_of_the_trail(kept: Kept) -> None:
    with kept.administrator("tower") as connection:
        for row in connection.execute(sa.select(trail).order_by("number")).all():
            if row.number > ENTRIES[-1]:
                continue
            for column in trail.c:
                value = row._mapping[column]
                if column.name in ("before", "after"):
                    new: Any = '{"n":99}'
                elif column.name == "actor_kind":
                    new = "program"
                else:
                    new = 100 if column.name == "number" else other(value)
                with undone(connection):
                    connection.execute(
                        sa.update(trail)
                        .where(trail.c.number == row.number)
                        .values({column.name: new})
                    )
                    found = kept.seen("tower", connection)
                    if column.name == "number":
                        assert found == [(Where.TRAIL, What.REORDERED, 100)], column
                    else:
                        assert (Where.TRAIL, What.ALTERED, row.number) in found, column
                        # Where it is a signature, what it signed has lost its signature.
                        rest = {where for where, _, at in found if at != row.number}
                        assert rest <= {Where.SIGNATURE, Where.ANCHOR}, (column, found)


@pytest.mark.parametrize("number", [-(2**63), -1, 0, 2**63 - 1])
def test_a_row_with_a_number_that_is_never_given(kept: Kept, number: int) -> None:
    with kept.administrator("archive") as connection:
        connection.execute(sa.update(blocks).where(blocks.c.id == 3).values(id=number))
        found = kept.seen("archive", connection)
        assert found == [(Where.ARCHIVE, What.REORDERED, 3)]


def test_each_row_of_the_archive_removed(kept: Kept) -> None:
    with kept.administrator("archive") as connection:
        for number in BLOCKS:
            with undone(connection):
                connection.execute(sa.delete(blocks).where(blocks.c.id == number))
                assert kept.seen("archive", connection) == [(Where.ARCHIVE, What.MISSING, number)]


def test_each_entry_of_the_trail_removed(kept: Kept) -> None:
    with kept.administrator("tower") as connection:
        for number in ENTRIES:
            with undone(connection):
                connection.execute(sa.delete(trail).where(trail.c.number == number))
                found = kept.seen("tower", connection)
                assert (Where.TRAIL, What.MISSING, number) in found
                # A record whose signature is gone was added, for all that anybody can tell.
                others = {finding[:2] for finding in found if finding[0] is not Where.TRAIL}
                assert others <= {(Where.SIGNATURE, What.ADDED)}
                assert len(found) <= 2


@pytest.mark.parametrize("first", BLOCKS)
def test_each_tail_of_the_archive_cut_off(kept: Kept, first: int) -> None:
    with kept.administrator("archive") as connection:
        connection.execute(sa.delete(blocks).where(blocks.c.id >= first))
        assert kept.seen("archive", connection) == [
            (Where.ARCHIVE, What.MISSING, number) for number in range(first, 7)
        ]


@pytest.mark.parametrize("first", ENTRIES)
def test_each_tail_of_the_trail_cut_off(kept: Kept, first: int) -> None:
    with kept.administrator("tower") as connection:
        connection.execute(sa.delete(trail).where(trail.c.number >= first))
        found = kept.seen("tower", connection)
        assert [found_ for found_ in found if found_[0] is Where.TRAIL] == [
            (Where.TRAIL, What.MISSING, number) for number in range(first, 8)
        ]


@pytest.mark.parametrize(("one", "two"), list(combinations(BLOCKS, 2)))
def test_each_pair_of_the_archive_reordered(kept: Kept, one: int, two: int) -> None:
    with kept.administrator("archive") as connection:
        swap(connection, "blocks", "id", one, two)
        assert kept.seen("archive", connection) == [
            (Where.ARCHIVE, What.REORDERED, one), (Where.ARCHIVE, What.REORDERED, two)
        ]  # fmt: skip


@pytest.mark.parametrize(("one", "two"), list(combinations(ENTRIES, 2)))
def test_each_pair_of_the_trail_reordered(kept: Kept, one: int, two: int) -> None:
    with kept.administrator("tower") as connection:
        swap(connection, "audit_trail", "number", one, two)
        found = kept.seen("tower", connection)
        assert [found_ for found_ in found if found_[0] is Where.TRAIL] == [
            (Where.TRAIL, What.REORDERED, one), (Where.TRAIL, What.REORDERED, two)
        ]  # fmt: skip


def test_a_row_put_in(kept: Kept) -> None:
    with kept.administrator("archive") as connection:
        names = [column.name for column in blocks.c if column.name != "id"]
        connection.execute(sa.delete(blocks).where(blocks.c.id == 3))
        connection.execute(
            sa.text(
                f"INSERT INTO blocks (id, {', '.join(names)}) "
                f"SELECT -1, {', '.join(name if name != 'tracker' else ':ct' for name in names)} "
                "FROM blocks WHERE id = 2"
            ),
            {"ct": "CT-2"},
        )
        # Number -1 lies before all that is anchored, and its bytes are not of that tracker.
        assert kept.seen("archive", connection) == [
            (Where.ARCHIVE, What.ADDED, -1),
            (Where.ARCHIVE, What.ALTERED, -1),
            (Where.ARCHIVE, What.MISSING, 3),
        ]


def test_an_archive_that_was_exchanged_is_told_in_few_words(kept: Kept) -> None:
    folder = [anchors.read(kept.folder, number) for number in (1, 2)]
    lines = [line for anchor in folder for line in anchor.rows() if b'"tracker"' in line]
    with kept.administrator("archive") as connection:
        connection.execute(sa.update(blocks).values(sealed=b"none"))
        connection.execute(sa.delete(blocks).where(blocks.c.id > 4))
        check = ArchiveCheck(
            lambda: nullcontext(Tables(connection)), lines, [(0, 3), (3, 6)], silent, most=2
        )
        found = check.run()
    assert [(one.what, one.row) for one in found] == [
        (What.ALTERED, 1), (What.ALTERED, 2), (What.MISSING, 5), (What.MISSING, 6),
        (What.ALTERED, None),
    ]  # fmt: skip
    assert found[-1].detail.startswith("2 more rows")


WITHOUT_ANCHORS = {
    "UPDATE blocks SET received_ms = received_ms + 1 WHERE id = 3": [],
    "DELETE FROM blocks WHERE id = 3": [],
    "UPDATE blocks SET number = 9 WHERE id = 3": [(Where.ARCHIVE, What.ALTERED, 3)],
    "UPDATE blocks SET key_version = 2 WHERE id = 3": [(Where.ARCHIVE, What.ALTERED, 3)],
    "UPDATE blocks SET tracker = 'CT-1' WHERE id = 3": [(Where.ARCHIVE, What.ALTERED, 3)],
    "UPDATE blocks SET sealed = digest WHERE id = 3": [(Where.ARCHIVE, What.ALTERED, 3)],
    "UPDATE blocks SET digest = sealed WHERE id = 3": [(Where.ARCHIVE, What.ALTERED, 3)],
    "UPDATE audit_trail SET why = 'x' WHERE number = 2": [(Where.TRAIL, What.ALTERED, 2)],
    "DELETE FROM audit_trail WHERE number = 2": [(Where.TRAIL, What.MISSING, 2)],
    "DELETE FROM audit_trail WHERE number > 6": [],
}


@pytest.mark.parametrize("statement", WITHOUT_ANCHORS)
def test_what_is_seen_without_anchors(kept: Kept, tmp_path: Path, statement: str) -> None:
    """The column of gateway/audit/README.md: so much, and not more."""
    bare = Kept(kept.database, tmp_path / "none", kept.key, 6, 7)
    word = "archive" if " blocks " in statement else "tower"
    with bare.administrator(word) as connection:
        connection.execute(sa.text(statement))
        found = [one for one in bare.seen(word, connection) if one[0] is not Where.ANCHOR]
    assert found == WITHOUT_ANCHORS[statement]


@pytest.mark.parametrize("first", ENTRIES)
def test_the_whole_chain_made_anew(kept: Kept, first: int) -> None:
    with kept.administrator("tower") as connection:
        connection.execute(
            sa.update(trail).where(trail.c.number == first).values(why="a better story")
        )
        rehash(connection, first)
        found = [found_ for found_ in kept.seen("tower", connection) if found_[0] is Where.TRAIL]
        assert found == [(Where.TRAIL, What.ALTERED, number) for number in range(first, 8)]


@pytest.mark.parametrize("number", ENTRIES)
def test_one_entry_and_its_own_hash(kept: Kept, number: int) -> None:
    with kept.administrator("tower") as connection:
        connection.execute(
            sa.update(trail).where(trail.c.number == number).values(why="a better story")
        )
        rehash(connection, number, only=True)
        found = [found_ for found_ in kept.seen("tower", connection) if found_[0] is Where.TRAIL]
        assert found == [(Where.TRAIL, What.ALTERED, number)]


def test_what_was_signed(kept: Kept) -> None:
    with kept.administrator("tower") as connection:
        (first, _), (second, _) = signed(connection)
        for digest, number in ((first, 3), (second, 6)):
            with undone(connection):
                connection.execute(
                    sa.update(signed_records)
                    .where(signed_records.c.digest == digest)
                    .values(content=b"{}")
                )
                assert kept.seen("tower", connection) == [(Where.SIGNATURE, What.ALTERED, number)]
            with undone(connection):
                connection.execute(
                    sa.delete(signed_records).where(signed_records.c.digest == digest)
                )
                assert kept.seen("tower", connection) == [(Where.SIGNATURE, What.MISSING, number)]
            with undone(connection):
                connection.execute(
                    sa.update(signed_records)
                    .where(signed_records.c.digest == digest)
                    .values(digest=b"d" * 32)
                )
                assert kept.seen("tower", connection) == [
                    (Where.SIGNATURE, What.MISSING, number), (Where.SIGNATURE, What.ADDED, None)
                ]  # fmt: skip


def test_each_anchor_removed_or_replaced(kept: Kept, tmp_path: Path) -> None:
    for number in (1, 2):
        copied = kept.copy(tmp_path / f"removed-{number}")
        for file in copied.folder.glob(f"anchor-00000{number}.*"):
            file.unlink()
        (finding,) = copied.report().findings
        assert (finding.where, finding.what, finding.row) == (Where.ANCHOR, What.MISSING, number)
        copied = kept.copy(tmp_path / f"lines-{number}")
        lines = copied.folder / f"anchor-00000{number}.lines.gz"
        lines.write_bytes((copied.folder / f"anchor-00000{3 - number}.lines.gz").read_bytes())
        (finding,) = copied.report().findings
        assert (finding.where, finding.what, finding.row) == (Where.ANCHOR, What.ALTERED, number)
        assert "its lines are not those" in finding.detail
        copied = kept.copy(tmp_path / f"replaced-{number}")
        for suffix in ("json", "sig", "lines.gz"):
            source = copied.folder / f"anchor-00000{3 - number}.{suffix}"
            source.replace(copied.folder / f"anchor-00000{number}.{suffix}")
        found = {(finding.what, finding.row) for finding in copied.report().findings}
        assert (What.ALTERED, number) in found


def test_each_byte_of_an_anchor(kept: Kept, tmp_path: Path) -> None:
    for suffix in ("json", "sig", "lines.gz"):
        whole = (kept.folder / f"anchor-000002.{suffix}").read_bytes()
        copied = kept.copy(tmp_path / suffix)
        # The header of a gzip file has a time and an operating system that mean nothing.
        start = 10 if suffix == "lines.gz" else 0
        for index in range(start, len(whole), 1 if suffix == "sig" else 17):
            damaged = whole[:index] + bytes([whole[index] ^ 4]) + whole[index + 1 :]
            (copied.folder / f"anchor-000002.{suffix}").write_bytes(damaged)
            found = [(f.where, f.what, f.row) for f in copied.report().findings]
            assert found == [(Where.ANCHOR, What.ALTERED, 2)], (suffix, index)


def test_anchors_made_anew_with_another_key(kept: Kept, tmp_path: Path) -> None:
    """Who can write to the folder replaces everything there; a kept public key finds it."""
    own_key = tmp_path / "public.pem"
    own_key.write_bytes((kept.folder / "anchor-public.pem").read_bytes())
    forged = Kept(kept.database, tmp_path / "forged", tmp_path / "forged.pem", 6, 7)
    copied = kept.copy(tmp_path / "copied")
    key = anchor_keys.make(forged.key)
    for number in (1, 2):
        statement = (copied.folder / f"anchor-00000{number}.json").read_bytes()
        (copied.folder / f"anchor-00000{number}.sig").write_bytes(key.sign(statement))
    (copied.folder / "anchor-public.pem").write_bytes(anchor_keys.pem(key.public_key()))
    assert "lies beside them" in " ".join(copied.report().unseen)
    found = [(f.where, f.what, f.row) for f in copied.report(own_key).findings]
    assert found == [(Where.ANCHOR, What.ALTERED, 1), (Where.ANCHOR, What.ALTERED, 2)]


def swap(connection: Connection, table: str, key: str, one: int, two: int) -> None:
    for old, new in ((one, -99), (two, one), (-99, two)):
        connection.execute(
            sa.text(f"UPDATE {table} SET {key} = :new WHERE {key} = :old"),
            {"old": old, "new": new},
        )


def signed(connection: Connection) -> list[tuple[bytes, int]]:
    found = connection.execute(
        sa.select(signed_records.c.digest, trail.c.number)
        .join(trail, trail.c.action == "signature.signed")
        .order_by(trail.c.number)
    )
    pairs = []
    for digest, number in found:
        after = connection.scalar(sa.select(trail.c.after).where(trail.c.number == number))
        if json.loads(after or "")["sha256"] == digest.hex():
            pairs.append((digest, number))
    return pairs


def rehash(connection: Connection, first: int, *, only: bool = False) -> None:
    """Make the hashes of entries anew, as somebody who knows how would."""
    previous = None
    for row in connection.execute(sa.select(*RAW).order_by(trail.c.number)).all():
        entry = Entry.of(row._asdict())
        if entry.number < first or (only and entry.number > first):
            continue
        if previous is not None:
            entry = replace(entry, previous=previous)
        previous = sha256(entry.line).digest()
        connection.execute(
            sa.update(trail)
            .where(trail.c.number == entry.number)
            .values(previous=entry.previous, digest=previous)
        )
