"""``coldtrail gateway roles``: what one may do, given in two steps and taken in one."""

from __future__ import annotations

from typing import Any

import click
from rich.table import Table

from coldtrail_gateway.audit import access, accounts, grants, people
from coldtrail_gateway.audit.grants import Grant, State
from coldtrail_gateway.audit.operations import FREE, OPERATIONS
from coldtrail_gateway.audit.roles import ROLES
from coldtrail_gateway.cli.access import Desk, as_json, at_desk, performs, show, why
from coldtrail_gateway.cli.options import console, echo
from coldtrail_gateway.contract.printable import printable
from coldtrail_gateway.contract.utc import iso


@click.group(short_help="Give roles in two steps, take them in one; say whose shipments are.")
def roles_group() -> None:
    """Give roles in two steps, take them in one; say whose shipments are.

    One administrator proposes a role, another confirms it. Where there is no other, the one who
    proposed it may confirm it a day later. Nobody gives himself a role.

    \b
    coldtrail gateway roles grant ben quality --why "release of lots"
    coldtrail gateway roles confirm 7 --why "trained, record 41"
    """  # noqa: D301


def described(role: str, organisation: str | None) -> str:
    """Return a role that is held, in words."""
    return role if organisation is None else f"{role} for {organisation}"


def _grant_json(grant: Grant, name: str, now_ms: int) -> dict[str, Any]:
    return {
        "id": grant.id,
        "name": name,
        "role": grant.role,
        "organisation": grant.organisation,
        "state": grant.state(now_ms).value,
        "proposed_by": grant.proposed_by,
        "proposed": iso(grant.proposed_ms),
        "confirmed_by": grant.confirmed_by,
        "confirmed": None if grant.confirmed_ms is None else iso(grant.confirmed_ms),
        "ended_by": grant.ended_by,
        "ended": None if grant.ended_ms is None else iso(grant.ended_ms),
    }


@performs("roles.list")
@roles_group.command("list")
@click.option("--all", "every", is_flag=True, help="Also those that have ended or lapsed.")
@as_json
@at_desk
def list_(desk: Desk, *, every: bool, as_json: bool) -> None:
    """List who holds which role, and what waits to be confirmed.

    \b
    coldtrail gateway roles list --all --json
    """  # noqa: D301
    with desk.tower.read() as connection:
        names = {one.id: one.name for one in accounts.everyone(connection)}
        found = [
            _grant_json(one, names[one.account], desk.now_ms)
            for one in grants.everything(connection)
            if every or one.state(desk.now_ms) in (State.OPEN, State.HELD)
        ]
    if as_json:
        show(found)
        return
    table = Table("grant", "name", "role", "state", "proposed by", "confirmed by")
    for one in found:
        table.add_row(
            str(one["id"]),
            one["name"],
            described(one["role"], one["organisation"]),
            one["state"],
            printable(one["proposed_by"]),
            printable(one["confirmed_by"] or ""),
        )
    console().print(table)


@performs("roles.matrix")
@roles_group.command()
@as_json
def matrix(*, as_json: bool) -> None:
    """Show which role may perform which operation, as the program decides it.

    \b
    coldtrail gateway roles matrix --json
    """  # noqa: D301
    if as_json:
        show(
            {
                operation.name: [
                    role.name for role in ROLES.values() if access.gives(role, operation)
                ]
                for operation in OPERATIONS.values()
            }
        )
        return
    table = Table("operation", "what", "needs", "roles")
    for operation in OPERATIONS.values():
        if operation.touches in FREE:
            who = "who has signed in" if operation.touches.value == "self" else "anyone"
        else:
            who = ", ".join(role.name for role in ROLES.values() if access.gives(role, operation))
        needs = ", ".join(sorted(operation.needs))
        table.add_row(operation.name, operation.kind.value, needs, who)
    console().print(table)


@performs("roles.grant")
@roles_group.command()
@click.argument("name")
@click.argument("role", type=click.Choice(list(ROLES)))
@click.option("--organisation", metavar="NAME", help="For this organisation's shipments only.")
@why
@at_desk
def grant(desk: Desk, name: str, role: str, organisation: str | None, why: str) -> None:
    """Propose ROLE for NAME; another administrator confirms it.

    \b
    coldtrail gateway roles grant carla sponsor-location --organisation acme --why "contract 7"
    """  # noqa: D301
    with desk.tower.write() as connection:
        made = grants.propose(connection, desk.who, name, role, organisation, why, desk.now_ms)
    echo(
        f"proposed: {described(made.role, made.organisation)} for {name}, grant {made.id}. "
        f"Another administrator confirms it: coldtrail gateway roles confirm {made.id}"
    )


@performs("roles.confirm")
@roles_group.command()
@click.argument("number", metavar="GRANT", type=click.IntRange(1, 2**53))
@why
@at_desk
def confirm(desk: Desk, number: int, why: str) -> None:
    """Let a proposed role be held from now on.

    \b
    coldtrail gateway roles confirm 7 --why "trained, record 41"
    """  # noqa: D301
    with desk.tower.write() as connection:
        made = grants.confirm(connection, desk.who, number, why, desk.now_ms)
    echo(f"held from now on: {described(made.role, made.organisation)}, grant {made.id}")


@performs("roles.revoke")
@roles_group.command()
@click.argument("number", metavar="GRANT", type=click.IntRange(1, 2**53))
@why
@at_desk
def revoke(desk: Desk, number: int, why: str) -> None:
    """Take a role away at once, or withdraw a proposal.

    \b
    coldtrail gateway roles revoke 7 --why "moved to another department"
    """  # noqa: D301
    with desk.tower.write() as connection:
        ended = grants.end(connection, desk.who, number, why, desk.now_ms)
    echo(f"ended: {described(ended.role, ended.organisation)}, grant {ended.id}")


@performs("roles.share")
@roles_group.command()
@click.argument("shipment")
@click.argument("organisation")
@click.option("--end", "ends", is_flag=True, help="It is not, or no longer, theirs.")
@why
@at_desk
def share(desk: Desk, shipment: str, organisation: str, why: str, *, ends: bool) -> None:
    """Say that SHIPMENT is ORGANISATION's, so that its people see it.

    \b
    coldtrail gateway roles share S-1 acme --why "ordered by them"
    """  # noqa: D301
    with desk.tower.write() as connection:
        people.share(connection, desk.who, shipment, organisation, why, desk.now_ms, ends=ends)
    echo(f"{shipment} {'is no longer' if ends else 'is'} {organisation}'s")
