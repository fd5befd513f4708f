"""Who asks, and what they may: decided in `Who.check`, and by rows in `visible`, nowhere else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from coldtrail_gateway.audit.canonical import Json
from coldtrail_gateway.audit.operations import FREE, Operation, Touches
from coldtrail_gateway.audit.people_tables import shipment_parties
from coldtrail_gateway.audit.roles import ROLES, Permission, Reach, Role
from coldtrail_gateway.audit.trail import Action, Actor, Entry, Kind, Subject, append
from coldtrail_gateway.audit.trail import console as console_actor
from coldtrail_gateway.errors import GatewayError


class Denied(GatewayError):
    """Somebody may not do what they asked; the message says what it needs."""


@dataclass(frozen=True, slots=True)
class Scope:
    """For whose shipments something holds: all, or those of some organisations, maybe of none."""

    everything: bool = False
    organisations: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return self.everything or bool(self.organisations)

    def __or__(self, other: Scope) -> Scope:
        return Scope(self.everything or other.everything, self.organisations | other.organisations)

    def __and__(self, other: Scope) -> Scope:
        if self.everything or other.everything:
            return other if self.everything else self
        return Scope(organisations=self.organisations & other.organisations)


NOWHERE: Final = Scope()
EVERYWHERE: Final = Scope(everything=True)


@dataclass(frozen=True, slots=True)
class Who:
    """Who asks, with the rights of this moment. `account` is None for whom no account stands.

    `session` is the number of the session in which a person asks.
    """

    actor: Actor
    account: int | None
    rights: Mapping[Permission, Scope] = field(default_factory=dict)
    session: int | None = None

    @property
    def mark(self) -> str:
        """What tells this actor from every other, such as ``person:ana`` or ``console:root``."""
        return f"{self.actor.kind.value}:{self.actor.id}"

    def scope(self, operation: Operation) -> Scope:
        """Return for whose shipments an operation is open to them; nowhere where it is not."""
        if operation.touches is Touches.NOTHING:
            return EVERYWHERE
        if operation.touches is Touches.SELF:
            return EVERYWHERE if self.account is not None else NOWHERE
        scope = EVERYWHERE
        for permission in operation.needs:
            scope &= self.rights.get(permission, NOWHERE)
        # Only a shipment belongs to an organisation; a part of anything else is no part.
        if operation.touches is not Touches.SHIPMENT and not scope.everything:
            return NOWHERE
        return scope

    def may(self, operation: Operation) -> bool:
        """Tell whether they may ask for it at all; which rows they see is for `visible`."""
        return bool(self.scope(operation))

    def check(self, operation: Operation) -> None:
        """Refuse what they may not ask for.

        Raises:
            Denied: they may not.
        """
        if self.may(operation):
            return
        if operation.touches is Touches.SELF:
            raise Denied(f"{operation.name} is about one's own account: sign in first.")
        needed = ", ".join(sorted(operation.needs))
        raise Denied(
            f"{self.actor.id} may not do {operation.name}: it needs {needed}"
            f"{'' if operation.touches is Touches.SHIPMENT else ' for everything'}. Ask an "
            "administrator for a role that has it (coldtrail gateway roles matrix)."
        )


STRANGER: Final = Who(Actor(Kind.PERSON, "stranger", "nobody", "unknown"), None)
"""Who has not signed in."""


def console() -> Who:
    """Return who types at this machine's terminal.

    Whoever can write the database's file can do everything, and the operating system says who
    may. So the console may do everything but sign, which a person does with a second proof.
    """
    held = dict.fromkeys(set(Permission) - {Permission.SIGN}, EVERYWHERE)
    return Who(console_actor(), None, held)


def record(
    connection: Connection,
    who: Who,
    operation: Operation,
    subject: Subject,
    before: Json,
    after: Json,
    why: str,
    now_ms: int,
) -> Entry:
    """Record a change that somebody is about to make, if they may make it.

    Everything but what concerns one's own account needs a reason.

    Raises:
        Denied: they may not.
        TrailError: the reason is missing.
    """
    who.check(operation)
    action = Action(operation.name, needs_why=operation.touches not in FREE)
    return append(connection, who.actor, action, subject, before, after, why, now_ms)


def rights(held: Iterable[tuple[str, str | None]]) -> dict[Permission, Scope]:
    """Return what these roles add up to; each is held for an organisation or, None, for all."""
    sums: dict[Permission, Scope] = {}
    for name, organisation in held:
        scope = EVERYWHERE if organisation is None else Scope(False, frozenset({organisation}))
        # A role that a later version no longer has gives nothing.
        for permission in ROLES[name].permissions if name in ROLES else ():
            sums[permission] = sums.get(permission, NOWHERE) | scope
    return sums


def gives(role: Role, operation: Operation) -> bool:
    """Tell whether a role, held as widely as it can be, opens an operation."""
    organisation = "one" if role.reach is Reach.ONE else None
    return Who(STRANGER.actor, 0, rights([(role.name, organisation)])).may(operation)


def visible(
    who: Who, operation: Operation, shipment: sa.ColumnElement[str]
) -> sa.ColumnElement[bool]:
    """Return the condition under which a row belongs to a shipment that they may see.

    The one row filter: every statement that reads rows of shipments for somebody has it in its
    WHERE; `shipment` is the column with the shipment's id. It is a condition of the tower's
    database.
    """
    scope = who.scope(operation)
    if scope.everything:
        return sa.true()
    return shipment.in_(
        sa.select(shipment_parties.c.shipment).where(
            shipment_parties.c.organisation.in_(sorted(scope.organisations))
        )
    )


def check_shipment(connection: Connection, who: Who, operation: Operation, shipment: str) -> None:
    """Refuse a shipment that they may not see, in the words used for one that does not exist.

    Raises:
        Denied: they may not do it at all, or not to this shipment.
    """
    who.check(operation)
    asked = sa.select(sa.literal(1)).where(visible(who, operation, _literal(shipment)))
    if connection.execute(asked).first() is None:
        raise Denied(f"There is no shipment {shipment} that {who.actor.id} may see.")


def _literal(shipment: str) -> sa.ColumnElement[str]:
    return sa.literal(shipment, shipment_parties.c.shipment.type)
