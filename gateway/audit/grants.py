"""Who holds which role: proposed by one, confirmed by another, taken away by any administrator.

What raises somebody's rights takes two people, because one who can do it alone can give himself
everything through an account of his making. Where the proposer is the only administrator there
is, nobody else could confirm; then the proposer may, a day later. A day is long enough that the
others see the open proposal (`roles list`) and short enough to be waited for; an exception without
a wait would be one more click. Taking a right away takes effect at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from coldtrail_gateway.audit import accounts, trail
from coldtrail_gateway.audit.access import Who, record
from coldtrail_gateway.audit.accounts import Account
from coldtrail_gateway.audit.names import sign_in_name
from coldtrail_gateway.audit.operations import OPERATIONS
from coldtrail_gateway.audit.people_tables import accounts as account_table
from coldtrail_gateway.audit.people_tables import grants as table
from coldtrail_gateway.audit.roles import ADMINISTRATOR, ROLES, Permission, Reach, Role
from coldtrail_gateway.audit.trail import Kind
from coldtrail_gateway.errors import GatewayError

WAIT_MS: Final = 24 * 3_600_000
"""How long the only administrator waits before confirming what he proposed himself."""

OPEN_MS: Final = 30 * 24 * 3_600_000
"""How long a proposal may be confirmed."""


_FOR_PEOPLE: Final = frozenset({Permission.SIGN, Permission.ADMINISTER})


class GrantError(GatewayError):
    """A role that is not given or taken; the message says why."""


class State(StrEnum):
    """What became of a grant."""

    OPEN = "open"
    LAPSED = "lapsed"
    HELD = "held"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Grant:
    """A role for an account, for an organisation's shipments or, with None, for all.

    Who proposed, confirmed and ended it is told as by `Who.mark`.
    """

    id: int
    account: int
    role: str
    organisation: str | None
    proposed_by: str
    proposed_ms: int
    confirmed_by: str | None
    confirmed_ms: int | None
    ended_by: str | None
    ended_ms: int | None

    def state(self, now_ms: int) -> State:
        """Return what it is at a moment."""
        if self.ended_ms is not None:
            return State.ENDED
        if self.confirmed_ms is not None:
            return State.HELD
        return State.OPEN if now_ms - self.proposed_ms < OPEN_MS else State.LAPSED

    def entry(self, name: str) -> dict[str, Any]:
        """Return what the trail says of it."""
        return {"grant": self.id, "role": self.role, "organisation": self.organisation, "to": name}


def held(connection: Connection, account: int) -> list[tuple[str, str | None]]:
    """Return the roles that an account holds, each with its organisation."""
    return [
        (one.role, one.organisation)
        for one in everything(connection, account)
        if one.confirmed_ms is not None and one.ended_ms is None
    ]


def everything(connection: Connection, account: int | None = None) -> list[Grant]:
    """Return all grants there have been, of one account or of all, in their order."""
    asked = sa.select(table).order_by(table.c.id)
    if account is not None:
        asked = asked.where(table.c.account == account)
    return [Grant(**row._asdict()) for row in connection.execute(asked)]


def administrators(connection: Connection) -> set[str]:
    """Return the marks of the people who hold the role of an administrator."""
    asked = (
        sa.select(account_table.c.name)
        .join(table, table.c.account == account_table.c.id)
        .where(
            table.c.role == ADMINISTRATOR,
            table.c.confirmed_ms.is_not(None),
            table.c.ended_ms.is_(None),
            account_table.c.disabled_ms.is_(None),
            account_table.c.kind == Kind.PERSON.value,
        )
    )
    return {f"{Kind.PERSON.value}:{name}" for name in connection.scalars(asked)}


def propose(
    connection: Connection,
    who: Who,
    name: str,
    role: str,
    organisation: str | None,
    why: str,
    now_ms: int,
) -> Grant:
    """Propose a role for somebody else; it is held once another has confirmed it.

    Raises:
        GrantError: there is no such role, or it is not held so; it is held or proposed already;
            or it would be the proposer's own.
        AccountError: there is no such account, or it is disabled.
    """
    who.check(OPERATIONS["roles.grant"])
    trail.lock(connection)
    account = accounts.named(connection, name)
    _check_other(who, account)
    wanted = _role(account, role, organisation)
    organisation = None if organisation is None else sign_in_name(organisation)
    for one in everything(connection, account.id):
        same = (one.role, one.organisation) == (wanted.name, organisation)
        if same and one.state(now_ms) in (State.OPEN, State.HELD):
            raise GrantError(
                f"{account.name} has this role already, or it waits to be confirmed: grant "
                f"{one.id}."
            )
    after = {"role": wanted.name, "organisation": organisation, "to": account.name}
    record(connection, who, OPERATIONS["roles.grant"], account.entry(), None, after, why, now_ms)
    return _insert(connection, account.id, wanted.name, organisation, who.mark, now_ms)


def confirm(connection: Connection, who: Who, grant: int, why: str, now_ms: int) -> Grant:
    """Let a proposed role be held from now on.

    Raises:
        GrantError: there is no such proposal; it is one's own account's; or one has proposed it
            oneself, while another administrator could confirm it, or less than a day ago.
    """
    who.check(OPERATIONS["roles.confirm"])
    trail.lock(connection)
    found = _found(connection, grant)
    account = accounts.by_id(connection, found.account)
    _check_other(who, account)
    if (state := found.state(now_ms)) is not State.OPEN:
        raise GrantError(f"Grant {grant} is {state.value}: it cannot be confirmed.")
    if account.disabled_ms is not None:
        raise GrantError(f"{account.name} is disabled: enable the account first.")
    alone = who.mark == found.proposed_by
    if alone:
        _check_alone(connection, who, account, found, now_ms)
    after = {**found.entry(account.name), "proposed_by": found.proposed_by, "alone": alone}
    record(connection, who, OPERATIONS["roles.confirm"], account.entry(), None, after, why, now_ms)
    connection.execute(
        sa.update(table)
        .where(table.c.id == grant)
        .values(confirmed_by=who.mark, confirmed_ms=now_ms)
    )
    return _found(connection, grant)


def end(connection: Connection, who: Who, grant: int, why: str, now_ms: int) -> Grant:
    """Take a role away at once, or withdraw what was proposed.

    Raises:
        GrantError: there is no such grant, it has ended, or it is the last administrator's.
    """
    who.check(OPERATIONS["roles.revoke"])
    trail.lock(connection)
    found = _found(connection, grant)
    if found.ended_ms is not None:
        raise GrantError(f"Grant {grant} has ended already.")
    account = accounts.by_id(connection, found.account)
    if found.role == ADMINISTRATOR and found.confirmed_ms is not None:
        check_not_last(connection, account)
    record(
        connection,
        who,
        OPERATIONS["roles.revoke"],
        account.entry(),
        {**found.entry(account.name), "held": found.confirmed_ms is not None},
        None,
        why,
        now_ms,
    )
    connection.execute(
        sa.update(table).where(table.c.id == grant).values(ended_by=who.mark, ended_ms=now_ms)
    )
    return _found(connection, grant)


def end_all(connection: Connection, who: Who, account: int, now_ms: int) -> None:
    """End every grant of an account that is about to be disabled; the caller records that."""
    connection.execute(
        sa.update(table)
        .where(table.c.account == account, table.c.ended_ms.is_(None))
        .values(ended_by=who.mark, ended_ms=now_ms)
    )


def give_first(connection: Connection, who: Who, account: Account, now_ms: int) -> None:
    """Make somebody the first administrator; the caller has seen that there is none."""
    grant = _insert(connection, account.id, ADMINISTRATOR, None, who.mark, now_ms)
    connection.execute(
        sa.update(table)
        .where(table.c.id == grant.id)
        .values(confirmed_by=who.mark, confirmed_ms=now_ms)
    )


def check_not_last(connection: Connection, account: Account) -> None:
    """Refuse what would leave nobody who could administer.

    Raises:
        GrantError: the account is the only administrator's.
    """
    if administrators(connection) == {f"{account.kind.value}:{account.name}"}:
        raise GrantError(
            f"{account.name} is the only administrator: make another one first "
            "(coldtrail gateway roles grant NAME administrator)."
        )


def _check_other(who: Who, account: Account) -> None:
    if who.account == account.id:
        raise GrantError("Nobody gives himself a role, or confirms his own: ask another.")


def _check_alone(
    connection: Connection, who: Who, account: Account, grant: Grant, now_ms: int
) -> None:
    own = f"{account.kind.value}:{account.name}"
    if others := administrators(connection) - {who.mark, own}:
        names = ", ".join(sorted(mark.partition(":")[2] for mark in others))
        raise GrantError(f"Whoever proposes a role does not confirm it: ask {names}.")
    if (waits := grant.proposed_ms + WAIT_MS - now_ms) > 0:
        raise GrantError(
            "There is no other administrator, so you may confirm it yourself, a day after it was "
            f"proposed: in {waits // 3_600_000} h {waits // 60_000 % 60} min."
        )


def _role(account: Account, name: str, organisation: str | None) -> Role:
    if account.disabled_ms is not None:
        raise GrantError(f"{account.name} is disabled: enable the account first.")
    role = ROLES.get(name)
    if role is None:
        raise GrantError(f"There is no role of that name: take one of {', '.join(ROLES)}.")
    if organisation is None and role.reach is Reach.ONE:
        raise GrantError(f"The role {name} is held for one organisation: name it.")
    if organisation is not None and role.reach is Reach.ALL:
        raise GrantError(f"The role {name} is held for everything, not for one organisation.")
    if account.kind is Kind.PROGRAM and role.permissions & _FOR_PEOPLE:
        raise GrantError(f"The role {name} signs or administers, which no program does.")
    return role


def _found(connection: Connection, grant: int) -> Grant:
    row = connection.execute(sa.select(table).where(table.c.id == grant)).one_or_none()
    if row is None:
        raise GrantError(f"There is no grant {grant} (coldtrail gateway roles list).")
    return Grant(**row._asdict())


def _insert(
    connection: Connection,
    account: int,
    role: str,
    organisation: str | None,
    mark: str,
    now_ms: int,
) -> Grant:
    made = connection.execute(
        sa.insert(table)
        .values(
            account=account,
            role=role,
            organisation=organisation,
            proposed_by=mark,
            proposed_ms=now_ms,
        )
        .returning(table)
    ).one()
    return Grant(**made._asdict())
