"""Changes in the archive's database, where the trail's transaction does not reach.

The entry comes first and says what is intended; then the change is made; then an entry answers it
and says whether it was. A program that ends in between leaves an intent without an answer. The next
one looks at the archive and answers it. So nothing is changed that no entry speaks of.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from coldtrail_gateway.audit import trail
from coldtrail_gateway.audit.canonical import Json
from coldtrail_gateway.audit.trail import Action, Actor, Entry, Subject
from coldtrail_gateway.store.tower.database import Tower

DONE: Final = Action("intent.carried-out")
NOT_DONE: Final = Action("intent.not-carried-out")

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
        # What fails at its very end may have been done.
        answer(tower, intent, now(), done=look(intent), why=str(error))
        raise
    answer(tower, intent, now(), done=True, why="")
    return result


def reconcile(tower: Tower, looks: Mapping[str, Look], now_ms: int) -> list[Entry]:
    """Answer the intents that have been left without an answer; return the answers.

    `looks` has how to look by the name of an action; others are left alone.

    Raises:
        StoreError: a database does not answer.
    """
    with tower.read() as connection:
        left = trail.unanswered(connection)
    return [
        answer(
            tower,
            intent,
            now_ms,
            done=looks[intent.action](intent),
            why="Found by looking: the program ended before it could say so.",
        )
        for intent in left
        if intent.action in looks and abs(now_ms - intent.at_ms) > UNDER_WAY_MS
    ]


def answer(tower: Tower, intent: Entry, now_ms: int, *, done: bool, why: str) -> Entry:
    """Say in the trail whether what was intended was done."""
    with tower.write() as connection:
        return trail.append(
            connection,
            trail.SYSTEM,
            DONE if done else NOT_DONE,
            intent.subject,
            None,
            None,
            why,
            now_ms,
            answers=intent.number,
        )
