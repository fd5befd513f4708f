"""The commands in the store, within one transaction."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields
from typing import Any, Final

import cbor2
import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.engine import Connection

from coldtrail_gateway.contract.command import Command, Outcome, Value, ended
from coldtrail_gateway.store.schema import commands, trackers

_ROW: Final = tuple(commands.c[field.name] for field in fields(Command))
_OPEN: Final = commands.c.outcome.is_(None)
_LAST: Final = sa.select(sa.func.max(commands.c.counter)).where(
    commands.c.tracker == bindparam("tracker")
)
_ALIKE: Final = (
    sa.select(commands.c.tracker, commands.c.outcome, commands.c.reason, sa.func.count())
    .where(commands.c.outcome.is_not(None))
    .group_by(commands.c.tracker, commands.c.outcome, commands.c.reason)
    .order_by(commands.c.tracker, sa.func.min(commands.c.counter))
)
# Not in order: for that SQLite would go through all commands there ever were.
_DUE: Final = sa.select(*_ROW).where(_OPEN, commands.c.expiry > bindparam("now_s"))
# Not all commands are looked at, because their number grows; that of the trackers does not.
_ANY: Final = sa.select(commands.c.counter).where(commands.c.tracker == trackers.c.id).limit(1)
_EVER: Final = sa.select(trackers.c.id).where(
    _ANY.correlate(trackers).scalar_subquery().is_not(None)
)
# A tracker may report the outcome of a cancelled or expired command: it had it already.
_AWAITED: Final = (
    sa.select(commands.c.tracker)
    .where(
        commands.c.tracker.in_(bindparam("ids", expanding=True)),
        sa.or_(_OPEN, commands.c.outcome == Outcome.CANCELLED.value),
    )
    .distinct()
)
_THIS: Final = sa.and_(
    commands.c.tracker == bindparam("b_tracker"), commands.c.counter == bindparam("b_counter")
)
_SENT: Final = (
    sa.update(commands)
    .where(_THIS, commands.c.sent_ms.is_(None))
    .values(sent_ms=bindparam("b_now_ms"))
)
_TAKEN: Final = (
    sa.update(commands)
    .where(_THIS, commands.c.taken_ms.is_(None))
    .values(taken_ms=bindparam("b_now_ms"))
)
_ENDED: Final = (
    sa.update(commands)
    .where(_THIS, sa.or_(_OPEN, commands.c.outcome == Outcome.CANCELLED.value))
    .values(
        ended_ms=bindparam("b_now_ms"),
        outcome=bindparam("b_outcome"),
        reason=bindparam("b_reason"),
    )
)


class Commands:
    """The table of commands within one transaction. Rows are never deleted: counters rise."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, tracker: str, action: list[Value], now_ms: int, for_s: int) -> Command:
        """Make a command that expires after so many seconds; the tracker must be locked."""
        last = self._connection.scalar(_LAST, {"tracker": tracker}) or 0
        command = Command(
            tracker=tracker,
            counter=max(last + 1, now_ms),
            action=cbor2.dumps(action),
            expiry=now_ms // 1000 + for_s,
            made_ms=now_ms,
        )
        self._connection.execute(
            sa.insert(commands).values({name.name: getattr(command, name.name) for name in _ROW})
        )
        return command

    def of(self, tracker: str) -> list[Command]:
        """Return all commands of a tracker, the oldest first."""
        rows = self._connection.execute(
            sa.select(*_ROW).where(commands.c.tracker == tracker).order_by(commands.c.counter)
        )
        return [Command(*row) for row in rows]

    def states(self, now_ms: int) -> dict[str, dict[str, int]]:
        """Return, by tracker, how many commands are in each state, in words; the oldest first."""
        found: dict[str, dict[str, int]] = {}
        for tracker, outcome, reason, count in self._connection.execute(_ALIKE):
            found.setdefault(tracker, {})[ended(outcome, reason)] = count
        still_open = sa.select(*_ROW).where(_OPEN).order_by(commands.c.counter)
        for command in (Command(*row) for row in self._connection.execute(still_open)):
            state, own = command.state(now_ms), found.setdefault(command.tracker, {})
            own[state] = own.get(state, 0) + 1
        return found

    def due(self, now_s: int) -> dict[str, Command]:
        """Return, by tracker, the oldest command without an outcome that has not expired."""
        found = [Command(*row) for row in self._connection.execute(_DUE, {"now_s": now_s})]
        newest_first = sorted(found, key=lambda command: command.counter, reverse=True)
        return {command.tracker: command for command in newest_first}

    def trackers(self) -> list[str]:
        """Return the trackers that ever had a command."""
        return list(self._connection.scalars(_EVER))

    def awaited(self, ids: Collection[str]) -> set[str]:
        """Return those of the trackers that may report the outcome of a command."""
        return set(self._connection.scalars(_AWAITED, {"ids": list(ids)}))

    def sent(self, command: Command, now_ms: int) -> None:
        """Note that a command was given to a broker."""
        self._execute(_SENT, command.tracker, command.counter, now_ms)

    def tell(
        self, tracker: str, counter: int, outcome: int, reason: str | None, now_ms: int
    ) -> None:
        """Note what the tracker reports about a command; one that is not known is ignored."""
        if outcome == Outcome.TAKEN:
            self._execute(_TAKEN, tracker, counter, now_ms)
        else:
            self._execute(_ENDED, tracker, counter, now_ms, b_outcome=outcome, b_reason=reason)

    def cancel(self, command: Command, now_ms: int) -> None:
        """Withdraw a command that has no outcome."""
        self.tell(command.tracker, command.counter, Outcome.CANCELLED, None, now_ms)

    def _execute(
        self, statement: sa.Executable, tracker: str, counter: int, now_ms: int, **values: Any
    ) -> None:
        self._connection.execute(
            statement,
            {"b_tracker": tracker, "b_counter": counter, "b_now_ms": now_ms, **values},
        )
