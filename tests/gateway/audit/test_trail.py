"""Entries of the audit trail: what they hold, that they form one chain, and only grow."""

from __future__ import annotations

import dataclasses
import json
import os
import pwd
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256

import pytest
import sqlalchemy as sa

from coldtrail_gateway.audit import trail
from coldtrail_gateway.audit.canonical import CanonicalError
from coldtrail_gateway.audit.trail import Action, Actor, Entry, Kind, Subject, TrailError
from coldtrail_gateway.store.errors import DataError, StoreError
from coldtrail_gateway.store.tower.database import Tower

NOW_MS = 1_772_323_200_000  # 2026-03-01
ANA = Actor(Kind.PERSON, "ana", "Ana Petrova", "192.0.2.7", "Europe/Vienna")
CHANGE = Action("place.change")
REMOVE = Action("place.remove", needs_why=True)
PLACE = Subject("place", "P-1")


def appended(tower: Tower, count: int = 1, now_ms: int = NOW_MS) -> list[Entry]:
    made = []
    for number in range(count):
        with tower.write() as connection:
            made.append(
                trail.append(
                    connection, ANA, CHANGE, PLACE, {"n": number}, {"n": number + 1}, "", now_ms
                )
            )
    return made


def read(tower: Tower) -> list[Entry]:
    with tower.read() as connection:
        return list(trail.find(connection))


def test_an_entry_says_who_what_when_where_and_why(tower: Tower) -> None:
    with tower.write() as connection:
        trail.append(
            connection, ANA, REMOVE, PLACE, {"name": "Dock"}, None, " closed down ", NOW_MS
        )
    (entry,) = read(tower)
    assert entry.to_json() == {
        "coldtrail": "entry/1",
        "number": 1,
        "at_ms": NOW_MS,
        "utc": "2026-03-01T00:00:00.000Z",
        "local": "2026-03-01T01:00:00.000+01:00",
        "zone": "Europe/Vienna",
        "offset_min": 60,
        "actor": {
            "kind": "person", "id": "ana", "name": "Ana Petrova", "source": "192.0.2.7"
        },
        "action": "place.remove",
        "subject": {"kind": "place", "id": "P-1"},
        "before": {"name": "Dock"},
        "after": None,
        "why": "closed down",
        "intent": False,
        "answers": None,
        "previous": "00" * 32,
        "sha256": entry.digest.hex(),
    }  # fmt: skip


def test_each_entry_is_hashed_with_the_one_before_it(tower: Tower) -> None:
    made = appended(tower, 3)
    assert read(tower) == made
    previous = "00" * 32
    for entry in made:
        line = entry.line
        assert json.loads(line)["previous"] == previous
        previous = sha256(line).hexdigest()
        assert entry.digest.hex() == previous


def test_every_field_is_hashed(tower: Tower) -> None:
    (entry,) = appended(tower)
    others = {
        "number": 2,
        "at_ms": NOW_MS + 1,
        "offset_min": 61,
        "action": "place.create",
        "before": None,
        "after": {"n": 2},
        "why": "because",
        "intent": True,
        "answers": 1,
        "previous": b"\x01" * 32,
    }
    changed = [dataclasses.replace(entry, **{name: value}) for name, value in others.items()]  # type: ignore[arg-type]
    actors = [
        dataclasses.replace(ANA, kind=Kind.PROGRAM),
        dataclasses.replace(ANA, id="other"),
        dataclasses.replace(ANA, name="other"),
        dataclasses.replace(ANA, source="other"),
        dataclasses.replace(ANA, zone="Europe/Rome"),
    ]
    assert len(actors) == len(dataclasses.fields(Actor))
    changed += [dataclasses.replace(entry, actor=actor) for actor in actors]
    changed += [
        dataclasses.replace(entry, subject=Subject("place", "P-2")),
        dataclasses.replace(entry, subject=Subject("site", "P-1")),
    ]
    assert {field.name for field in dataclasses.fields(Entry)} == {
        *others, "actor", "subject", "digest"
    }  # fmt: skip
    lines = {entry.line, *(other.line for other in changed)}
    assert len(lines) == 1 + len(changed)


def test_a_secret_is_not_in_the_database(tower: Tower) -> None:
    with tower.write() as connection:
        trail.append(
            connection,
            ANA,
            Action("person.change"),
            Subject("person", "ana"),
            {"password": "hunter2", "broker": "mqtts://u:hunter2@b"},
            {"password": "hunter3", "totp": {"seed": "hunter4"}},
            "",
            NOW_MS,
        )
        row = connection.execute(sa.text("SELECT * FROM audit_trail")).one()
    assert "hunter" not in repr(row)


@pytest.mark.parametrize("why", ["", "  \n"])
def test_what_needs_a_reason_is_not_done_without_one(tower: Tower, why: str) -> None:
    with pytest.raises(TrailError, match=r"Say why: place\.remove"), tower.write() as connection:
        trail.append(connection, ANA, REMOVE, PLACE, {"n": 1}, None, why, NOW_MS)
    assert read(tower) == []


def test_what_cannot_be_recorded_is_refused(tower: Tower) -> None:
    nowhere = dataclasses.replace(ANA, zone="Atlantis/Capital")
    with pytest.raises(TrailError, match="no time zone"), tower.write() as connection:
        trail.append(connection, nowhere, CHANGE, PLACE, None, {"n": 1}, "", NOW_MS)
    with pytest.raises(CanonicalError), tower.write() as connection:
        trail.append(connection, ANA, CHANGE, PLACE, None, {"n": 2**53}, "", NOW_MS)
    with pytest.raises(CanonicalError), tower.write() as connection:
        trail.append(connection, ANA, CHANGE, PLACE, None, None, "\ud800", NOW_MS)
    assert read(tower) == []


@pytest.mark.parametrize("now_ms", [-1, 2**32 * 1000, 2**53])
def test_a_time_that_no_clock_has_is_refused(tower: Tower, now_ms: int) -> None:
    with pytest.raises(TrailError, match="set the clock right"):
        appended(tower, now_ms=now_ms)


def test_text_from_outside_comes_back_as_it_was(tower: Tower) -> None:
    nasty = "a\0b\x10c\x1b[2J\u202e \"'; DROP TABLE audit_trail; --"
    with tower.write() as connection:
        made = trail.append(
            connection,
            dataclasses.replace(ANA, name=nasty),
            CHANGE,
            Subject("place", nasty),
            {"n": nasty},
            {nasty: 1},
            nasty,
            NOW_MS,
        )
    assert read(tower) == [made]
    assert made.why == nasty


def test_change_and_entry_are_one_transaction(tower: Tower) -> None:
    with pytest.raises(CanonicalError):
        append_and_fail(tower)
    assert read(tower) == []


def append_and_fail(tower: Tower) -> None:
    with tower.write() as connection:
        trail.append(connection, ANA, CHANGE, PLACE, None, {"n": 1}, "", NOW_MS)
        trail.append(connection, ANA, CHANGE, PLACE, None, {"n": 2**53}, "", NOW_MS)


def test_concurrent_writers_form_one_chain(tower: Tower) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: appended(tower, 5), range(8)))
    entries = read(tower)
    assert [entry.number for entry in entries] == list(range(1, 41))
    previous = trail.BEFORE_THE_FIRST
    for entry in entries:
        assert entry.previous == previous
        previous = sha256(entry.line).digest()
        assert entry.digest == previous


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_trail SET why = 'other' WHERE number = 1",
        "UPDATE audit_trail SET why = 'other' WHERE number = 99",
        "DELETE FROM audit_trail WHERE number = 2",
        "DELETE FROM audit_trail",
        "INSERT INTO audit_trail SELECT * FROM audit_trail WHERE number = 1",
        "UPDATE signed_records SET content = digest",
        "DELETE FROM signed_records",
    ],
)
def test_the_database_refuses_to_change_what_is_there(tower: Tower, statement: str) -> None:
    made = appended(tower, 2)
    with tower.write() as connection:
        connection.execute(
            sa.text("INSERT INTO signed_records VALUES (:digest, :digest)"), {"digest": b"x"}
        )
    affects_nothing = "99" in statement and tower_is(tower, "sqlite")
    if affects_nothing:
        return  # SQLite has triggers of rows only, and nothing is changed
    with pytest.raises(StoreError), tower.write() as connection:
        connection.execute(sa.text(statement))
    assert read(tower) == made


def tower_is(tower: Tower, database: str) -> bool:
    with tower.read() as connection:
        return connection.dialect.name == database


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
@pytest.mark.parametrize("table", ["audit_trail", "signed_records"])
def test_the_database_refuses_to_truncate(tower: Tower, table: str) -> None:
    made = appended(tower, 2)
    with pytest.raises(StoreError, match="only grows"), tower.write() as connection:
        connection.execute(sa.text(f"TRUNCATE {table}"))
    assert read(tower) == made


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_session_that_says_that_triggers_are_for_others_is_refused(tower: Tower) -> None:
    made = appended(tower, 2)
    with pytest.raises(StoreError, match="only grows"):
        change_as_replica(tower)
    assert read(tower) == made


def change_as_replica(tower: Tower) -> None:
    with tower.write() as connection:
        connection.execute(sa.text("SET LOCAL session_replication_role = replica"))
        connection.execute(sa.text("UPDATE audit_trail SET why = 'other'"))


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_sqlite_refuses_to_replace(tower: Tower) -> None:
    (made,) = appended(tower)
    with tower.write() as connection:
        connection.execute(
            sa.text("INSERT INTO signed_records VALUES (:digest, :digest)"), {"digest": b"x"}
        )
    for table in ("audit_trail", "signed_records"):
        with pytest.raises(DataError), tower.write() as connection:
            connection.execute(sa.text(f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}"))
    assert read(tower) == [made]


@pytest.mark.parametrize("change", ["number + 2", "number + 1"])
def test_the_database_refuses_an_entry_that_does_not_follow(tower: Tower, change: str) -> None:
    # The second has the right number, and names itself as the one before it.
    appended(tower)
    columns = [column.name for column in trail.RAW][1:]
    with pytest.raises(StoreError), tower.write() as connection:
        connection.execute(
            sa.text(
                f"INSERT INTO audit_trail (number, {', '.join(columns)}) "
                f"SELECT {change}, {', '.join(columns)} FROM audit_trail"
            )
        )


def test_a_clock_that_is_set_back_gets_an_entry_of_its_own(tower: Tower) -> None:
    appended(tower)
    (last,) = appended(tower, now_ms=NOW_MS - 60_000)
    entries = read(tower)
    assert [entry.action for entry in entries] == [
        "place.change", "clock.set-back", "place.change"
    ]  # fmt: skip
    noted = entries[1]
    assert noted.actor == trail.SYSTEM
    assert noted.before == {"utc": "2026-03-01T00:00:00.000Z"}
    assert noted.after == {"utc": "2026-02-28T23:59:00.000Z"}
    assert last.at_ms == NOW_MS - 60_000
    # From there on time runs as it did.
    appended(tower, now_ms=NOW_MS - 59_000)
    assert len(read(tower)) == 4


def test_a_writer_that_waited_for_its_turn_is_no_clock_that_was_set_back(tower: Tower) -> None:
    appended(tower)
    appended(tower, now_ms=NOW_MS - trail.LATE_MS)
    assert [entry.action for entry in read(tower)] == ["place.change", "place.change"]


def test_the_console_is_a_user_of_this_machine() -> None:
    actor = trail.console()
    assert actor.kind is Kind.CONSOLE
    assert actor.id
    assert actor.name
    assert actor.source


def test_a_user_without_a_name_can_act(monkeypatch: pytest.MonkeyPatch, tower: Tower) -> None:
    """As in a container that runs under a number which its /etc/passwd does not have."""
    taken = {user.pw_uid for user in pwd.getpwall()}
    number = next(number for number in range(54_321, 60_000) if number not in taken)
    monkeypatch.setattr(os, "getuid", lambda: number)
    actor = trail.console()
    assert actor.id == f"uid-{number}"
    with tower.write() as connection:
        made = trail.append(connection, actor, Action("a.b"), Subject("c", "d"), None, None, "", 1)
    assert str(number) in made.actor.name
