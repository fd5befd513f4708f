"""Changes in the archive's database, where the trail's transaction does not reach.

The entry comes first and says what is intended; then the change is made; then an entry answers
it and says whether it was. A program that ends in between leaves an intent without an answer. The
next one looks at the archive and answers it. So nothing is changed that no entry speaks of.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final, TypeVar

from sqlalchemy.engine import Connection

from coldtrail_gateway.audit import trail
from coldtrail_gateway.audit.canonical import Json
from coldtrail_gateway.audit.trail import Action, Actor, Entry, Subject
from coldtrail_gateway.contract.printable import printable
from coldtrail_gateway.errors import GatewayError
from coldtrail_gateway.store.tower.database import Tower

DONE: Final = Action("intent.carried-out")
NOT_DONE: Final = Action("intent.not-carried-out")

_LOOKED: Final = "Found by looking: the program ended before it could say so."

UNDER_WAY_MS: Final = 60_000
"""How long an intent is left to the program that has it: every wait at a database is shorter."""

Look = Callable[[Entry], bool]
"""Tells by looking at the archive whether what was intended is there."""

_T = TypeVar("_T")


def carry_out(
    tower: Tower,
    actor: Actor,
    action: Action,
    subject: Subject,
    before: Json,
    after: Json,
    why: str,
    now: Callable[[], int],
    change: Callable[[Entry], _T],
    look: Look,
) -> _T:
    """Make a change in another database, with an entry before and an entry behind it.

    `change` makes it; whatever it raises is raised here, when the trail says what became of it.
    `now` returns UTC in ms.

    Raises:
        TrailError: the intent cannot be recorded; nothing was changed.
        StoreError: the same, or the outcome could not be recorded; it will be by `reconcile`.
    """
    with tower.write() as connection:
        intent = trail.append(
            connection, actor, action, subject, before, after, why, now(), intent=True
        )
    try:
        result = change(intent)
    except Exception as error:
        # Where this fails, too, it is left to `reconcile`.
        with suppress(GatewayError):
            done = look(intent)  # what fails at its very end may have been done
            with tower.write() as connection:
                _answer(connection, intent, now(), done=done, why=str(error))
        raise
    with tower.write() as connection:
        _answer(connection, intent, now(), done=True, why="")
    return result


def reconcile(tower: Tower, looks: Mapping[str, Look], now_ms: int) -> list[Entry]:
    """Answer the intents that have been left without an answer; return the answers.

    `looks` has how to look by the name of an action; others are left alone.

    Raises:
        StoreError: a database does not answer.
    """
    with tower.read() as connection:
        left = [
            intent
            for intent in trail.unanswered(connection)
            if intent.action in looks and abs(now_ms - intent.at_ms) > UNDER_WAY_MS
        ]
    answers = []
    for intent in left:
        done = looks[intent.action](intent)
        with tower.write() as connection:
            trail.lock(connection)
            if intent in trail.unanswered(connection):  # nobody else was faster
                answers.append(_answer(connection, intent, now_ms, done=done, why=_LOOKED))
    return answers


def _answer(connection: Connection, intent: Entry, now_ms: int, *, done: bool, why: str) -> Entry:
    outcome = DONE if done else NOT_DONE
    return trail.append(
        connection,
        trail.SYSTEM,
        outcome,
        intent.subject,
        None,
        None,
        printable(why),
        now_ms,
        answers=intent.number,
    )
