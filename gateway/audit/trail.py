"""The audit trail: the one function through which every change goes, and how entries are read.

An entry is in the same transaction of the tower's database as the change it speaks of. Entries
form a chain: each is hashed together with the hash of the one before it.
"""

from __future__ import annotations

import os
import pwd
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final, Self, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from coldtrail_gateway.audit import canonical, local_time
from coldtrail_gateway.audit.canonical import Json
from coldtrail_gateway.audit.redaction import redact
from coldtrail_gateway.audit.trail_tables import trail
from coldtrail_gateway.contract.utc import iso
from coldtrail_gateway.errors import GatewayError
from coldtrail_gateway.store.dialect import lock_for_writing
from coldtrail_gateway.store.text import unescape

BEFORE_THE_FIRST: Final = bytes(32)
"""What the first entry names as the digest of the one before it."""

LATE_MS: Final = 10_000
"""How far the time of an entry may lie before that of the entry before it, unremarked.

A writer takes its time first and then waits for its turn, 5 s at most; other machines' clocks
differ a little. What is more is a clock that was set back, and gets an entry of its own.
"""


FORMAT: Final = "entry/1"

# Without a conversion: what an intruder has put in a column must not stop whoever reads it.
RAW: Final[tuple[sa.ColumnElement[Any], ...]] = tuple(
    sa.type_coerce(column, sa.types.NullType()).label(column.name) for column in trail.c
)

_T = TypeVar("_T")
_TIMES: Final = range(2**32 * 1000)
_OFFSETS: Final = range(-local_time.MOST_MIN, local_time.MOST_MIN + 1)


class TrailError(GatewayError):
    """What was asked cannot be recorded, and so it was not done."""


class Kind(StrEnum):
    """Who can act."""

    PERSON = "person"
    PROGRAM = "program"
    CONSOLE = "console"
    CONFIGURATION = "configuration"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: `id` and printed `name` as they are at that moment, and from where.

    `zone` is the actor's time zone: an IANA name or an offset such as ``+01:00``.
    """

    kind: Kind
    id: str
    name: str
    source: str
    zone: str = "UTC"


SYSTEM: Final = Actor(Kind.SYSTEM, "coldtrail", "Coldtrail", "coldtrail")
"""Coldtrail itself: what follows from data, and nobody decided."""


@dataclass(frozen=True, slots=True)
class Action:
    """What can be done, such as ``shipment.release``; declared where it is done.

    With `needs_why` it is not done unless the actor says why.
    """

    name: str
    needs_why: bool = False


@dataclass(frozen=True, slots=True)
class Subject:
    """What is acted upon, such as ``shipment`` and its id."""

    kind: str
    id: str


CLOCK_SET_BACK: Final = Action("clock.set-back")
_CLOCK: Final = Subject("clock", "tower")


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the trail; `before` and `after` are JSON, without secrets.

    `intent` says what is about to be done where this database's transaction does not reach; the
    entry that `answers` it says what became of it.
    """

    number: int
    at_ms: int
    offset_min: int
    actor: Actor
    action: str
    subject: Subject
    before: Any
    after: Any
    why: str
    intent: bool
    answers: int | None
    previous: bytes
    digest: bytes

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """Return the entry of a row of `RAW`.

        Raises:
            ValueError: a column holds what `append` never writes there.
        """
        return cls(
            number=_typed(row, "number", int),
            at_ms=_within(row, "at_ms", _TIMES),
            offset_min=_within(row, "offset_min", _OFFSETS),
            actor=Actor(
                Kind(row["actor_kind"]),
                _text(row, "actor_id"),
                _text(row, "actor_name"),
                _text(row, "actor_source"),
                _text(row, "zone"),
            ),
            action=_typed(row, "action", str),
            subject=Subject(_typed(row, "subject_kind", str), _text(row, "subject_id")),
            before=_json(row, "before"),
            after=_json(row, "after"),
            why=_text(row, "why"),
            intent=_flag(row, "intent"),
            answers=None if row["answers"] is None else _typed(row, "answers", int),
            previous=_typed(row, "previous", bytes),
            digest=_typed(row, "digest", bytes),
        )

    @property
    def line(self) -> bytes:
        """What is hashed: canonical JSON on one line, with the previous entry's digest in it."""
        return canonical.encode(_content(self))

    def to_json(self) -> dict[str, Any]:
        """Return the entry as JSON: what is hashed, the hash, and both times as text."""
        return {
            **_content(self),
            "sha256": self.digest.hex(),
            "utc": iso(self.at_ms),
            "local": local_time.local_iso(self.at_ms, self.offset_min),
        }


def lock(connection: Connection) -> None:
    """Let nobody else append until the transaction ends.

    Take it before you read what is to be `before`: nobody can change that meanwhile, and nobody
    who waits for the trail holds what its holder waits for. `append` takes it by itself.
    PostgreSQL only; on SQLite the transaction must be one that writes from its beginning.
    """
    lock_for_writing(connection, trail)


def append(
    connection: Connection,
    actor: Actor,
    action: Action,
    subject: Subject,
    before: Json,
    after: Json,
    why: str,
    now_ms: int,
    *,
    intent: bool = False,
    answers: int | None = None,
) -> Entry:
    """Record a change in the transaction that makes it, and return the entry.

    `before` and `after` are JSON objects, or None where there was or will be nothing; what
    `redaction` calls a secret is left out of them. `now_ms` is UTC. Call it before the change:
    then changes come one after another, in the order of the trail.

    Raises:
        TrailError: the action needs a reason, or the actor's zone is not known.
        CanonicalError: before or after is no JSON.
    """
    if action.needs_why and not why.strip():
        raise TrailError(f"Say why: {action.name} is not done without a reason.")
    if now_ms not in _TIMES:
        raise TrailError("The time lies outside 1970 to 2106: set the clock right.")
    lock(connection)
    last = head(connection)
    if last is not None and now_ms < last.at_ms - LATE_MS and action is not CLOCK_SET_BACK:
        last = append(
            connection,
            SYSTEM,
            CLOCK_SET_BACK,
            _CLOCK,
            {"utc": iso(last.at_ms)},
            {"utc": iso(now_ms)},
            "",
            now_ms,
        )
    unsealed = Entry(
        number=last.number + 1 if last else 1,
        at_ms=now_ms,
        offset_min=_offset(actor, now_ms),
        actor=actor,
        action=action.name,
        subject=subject,
        before=redact(before),
        after=redact(after),
        why=why.strip(),
        intent=intent,
        answers=answers,
        previous=last.digest if last else BEFORE_THE_FIRST,
        digest=b"",
    )
    entry = replace(unsealed, digest=sha256(unsealed.line).digest())
    connection.execute(sa.insert(trail).values(_row(entry)))
    return entry


def head(connection: Connection) -> Entry | None:
    """Return the newest entry; None where there is none.

    Raises:
        TrailError: it is not as `append` writes one.
    """
    newest = sa.select(*RAW).order_by(trail.c.number.desc()).limit(1)
    row = connection.execute(newest).one_or_none()
    return None if row is None else _entry(row)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries are looked for; what is None does not matter.

    `actor` is an id; `action` may end in ``.*`` for all of a noun; times are UTC, `until_ms` is
    the first moment that is too late; `after` is the number of an entry.
    """

    actor: str | None = None
    action: str | None = None
    kind: str | None = None
    subject: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    after: int | None = None
    answers: int | None = None


def find(connection: Connection, wanted: Wanted | None = None) -> Iterator[Entry]:
    """Return the entries that are wanted, or all, in the order of the trail.

    Raises:
        TrailError: one is not as `append` writes it.
    """
    for row in connection.execute(statement(wanted or Wanted())):
        yield _entry(row)


def statement(wanted: Wanted) -> sa.Select[Any]:
    """Return the statement that asks for the entries that are wanted, as rows of `RAW`."""
    found = sa.select(*RAW).order_by(trail.c.number)
    for column, value in (
        (trail.c.actor_id, wanted.actor),
        (trail.c.subject_kind, wanted.kind),
        (trail.c.subject_id, wanted.subject),
        (trail.c.answers, wanted.answers),
    ):
        if value is not None:
            found = found.where(column == value)
    if wanted.action is not None:
        noun = wanted.action.removesuffix("*")
        exact = noun == wanted.action
        found = found.where(
            trail.c.action == noun if exact else trail.c.action.startswith(noun, autoescape=True)
        )
    if wanted.since_ms is not None:
        found = found.where(trail.c.at_ms >= wanted.since_ms)
    if wanted.until_ms is not None:
        found = found.where(trail.c.at_ms < wanted.until_ms)
    if wanted.after is not None:
        found = found.where(trail.c.number > wanted.after)
    return found


def unanswered(connection: Connection) -> list[Entry]:
    """Return the intents of which no entry says what became of them, the oldest first."""
    answer = trail.alias()
    answered = sa.exists().where(answer.c.answers == trail.c.number)
    found = sa.select(*RAW).where(trail.c.intent.is_(True), ~answered).order_by(trail.c.number)
    return [_entry(row) for row in connection.execute(found)]


def get(connection: Connection, number: int) -> Entry:
    """Return the entry with a number.

    Raises:
        TrailError: there is none, or it is not as `append` writes one.
    """
    row = connection.execute(sa.select(*RAW).where(trail.c.number == number)).one_or_none()
    if row is None:
        raise TrailError(f"The audit trail has no entry {number}.")
    return _entry(row)


def console() -> Actor:
    """Return who types at this machine's terminal: the operating system's user."""
    name, printed = _user(os.getuid())
    return Actor(
        Kind.CONSOLE,
        name,
        printed,
        f"{socket.gethostname()}, {_terminal()}",
        local_time.here(time.time_ns() // 1_000_000),
    )


def _user(number: int) -> tuple[str, str]:
    """Return the name of a user, and the one that is printed; containers have users without."""
    try:
        user = pwd.getpwuid(number)
    except KeyError:
        return f"uid-{number}", f"user {number} of the system"
    return user.pw_name, user.pw_gecos.split(",")[0] or user.pw_name


def _terminal() -> str:
    if sys.stdin is None or not sys.stdin.isatty():
        return "no terminal"
    try:
        return os.ttyname(0)
    except OSError:  # a terminal of the machine around a container has no name in it
        return "a terminal without a name"


def _entry(row: sa.Row[Any]) -> Entry:
    try:
        return Entry.of(row._asdict())
    except ValueError as error:
        raise TrailError(
            f"An entry of the audit trail was altered ({error}): find out which with "
            "coldtrail gateway audit verify."
        ) from None


def _offset(actor: Actor, now_ms: int) -> int:
    try:
        return local_time.offset_min(actor.zone, now_ms)
    except ValueError as error:
        raise TrailError(f"{error}.") from None


def _content(entry: Entry) -> dict[str, Any]:
    actor = entry.actor
    return {
        "coldtrail": FORMAT,
        "number": entry.number,
        "at_ms": entry.at_ms,
        "zone": actor.zone,
        "offset_min": entry.offset_min,
        "actor": {
            "kind": actor.kind.value,
            "id": actor.id,
            "name": actor.name,
            "source": actor.source,
        },
        "action": entry.action,
        "subject": {"kind": entry.subject.kind, "id": entry.subject.id},
        "before": entry.before,
        "after": entry.after,
        "why": entry.why,
        "intent": entry.intent,
        "answers": entry.answers,
        "previous": entry.previous.hex(),
    }


def _row(entry: Entry) -> dict[str, Any]:
    actor, subject = entry.actor, entry.subject
    return {
        "number": entry.number,
        "at_ms": entry.at_ms,
        "zone": actor.zone,
        "offset_min": entry.offset_min,
        "actor_kind": actor.kind.value,
        "actor_id": actor.id,
        "actor_name": actor.name,
        "actor_source": actor.source,
        "action": entry.action,
        "subject_kind": subject.kind,
        "subject_id": subject.id,
        "before": None if entry.before is None else canonical.encode(entry.before).decode(),
        "after": None if entry.after is None else canonical.encode(entry.after).decode(),
        "why": entry.why,
        "intent": entry.intent,
        "answers": entry.answers,
        "previous": entry.previous,
        "digest": entry.digest,
    }


def _typed(row: Mapping[str, Any], name: str, kind: type[_T]) -> _T:
    value = row[name]
    if type(value) is not kind:
        raise ValueError(f"{name} is no {kind.__name__}")
    return value


def _within(row: Mapping[str, Any], name: str, values: range) -> int:
    value = _typed(row, name, int)
    if value not in values:
        raise ValueError(f"{name} is out of range")
    return value


def _text(row: Mapping[str, Any], name: str) -> str:
    return unescape(_typed(row, name, str))


def _flag(row: Mapping[str, Any], name: str) -> bool:
    value = row[name]
    if value not in (0, 1):  # SQLite has no type of its own for it
        raise ValueError(f"{name} is neither true nor false")
    return bool(value)


def _json(row: Mapping[str, Any], name: str) -> Any:
    return None if row[name] is None else canonical.decode(_text(row, name))
