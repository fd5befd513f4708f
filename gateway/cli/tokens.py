"""``coldtrail gateway tokens``: how programs are let in."""

from __future__ import annotations

from typing import Any

import click
from rich.table import Table

from coldtrail_gateway.audit import accounts, tokens
from coldtrail_gateway.audit.roles import Permission
from coldtrail_gateway.audit.tokens import LONGEST_DAYS, Token
from coldtrail_gateway.cli.access import Desk, as_json, at_desk, performs, show, why
from coldtrail_gateway.cli.options import console, echo
from coldtrail_gateway.contract.printable import printable
from coldtrail_gateway.contract.utc import iso

_SCOPES = sorted(one.value for one in set(Permission) - {Permission.SIGN})


@click.group(short_help="Make, list and revoke tokens of programs.")
def tokens_group() -> None:
    """Make, list and revoke tokens of programs.

    A token gives what is both in its scope and in the program's roles.

    \b
    coldtrail gateway tokens make erp --label orders --scope pack --days 90 --why "SAP, phase 1"
    """  # noqa: D301


def _token_json(token: Token, name: str, now_ms: int) -> dict[str, Any]:
    return {
        "id": token.id,
        "program": name,
        "label": token.label,
        "scope": sorted(token.scope),
        "made": iso(token.made_ms),
        "expires": iso(token.expires_ms),
        "used": None if token.used_ms is None else iso(token.used_ms),
        "revoked": None if token.revoked_ms is None else iso(token.revoked_ms),
        "open": token.is_open(now_ms),
    }


@performs("tokens.make")
@tokens_group.command()
@click.argument("program")
@click.option("--label", required=True, help="What it is for.")
@click.option(
    "--scope",
    "scope",
    multiple=True,
    required=True,
    type=click.Choice(_SCOPES),
    help="A permission; may be repeated.",
)
@click.option("--days", type=click.IntRange(1, LONGEST_DAYS), required=True)
@why
@as_json
@at_desk
def make(
    desk: Desk,
    program: str,
    label: str,
    scope: tuple[str, ...],
    days: int,
    why: str,
    *,
    as_json: bool,
) -> None:
    """Make a token of PROGRAM and print it, once.

    \b
    coldtrail gateway tokens make erp --label orders --scope pack --days 90 --why "SAP, phase 1"
    """  # noqa: D301
    wanted = [Permission(word) for word in scope]
    with desk.tower.write() as connection:
        token, secret = tokens.make(
            connection, desk.who, program, label, wanted, days, why, desk.now_ms
        )
    if as_json:
        show({**_token_json(token, program, desk.now_ms), "token": secret})
        return
    click.echo(secret)
    echo(f"It is not shown again, and ends {iso(token.expires_ms)[:19]}Z.", err=True)


@performs("tokens.list")
@tokens_group.command("list")
@as_json
@at_desk
def list_(desk: Desk, *, as_json: bool) -> None:
    """List all tokens, the newest first.

    \b
    coldtrail gateway tokens list
    """  # noqa: D301
    with desk.tower.read() as connection:
        names = {one.id: one.name for one in accounts.everyone(connection)}
        found = [
            _token_json(one, names[one.account], desk.now_ms)
            for one in tokens.everything(connection)
        ]
    if as_json:
        show(found)
        return
    table = Table("token", "program", "label", "scope", "used (UTC)", "expires (UTC)", "open")
    for one in found:
        table.add_row(
            one["id"],
            one["program"],
            printable(one["label"]),
            " ".join(one["scope"]),
            (one["used"] or "never")[:19],
            one["expires"][:19],
            "yes" if one["open"] else "no",
        )
    console().print(table)


@performs("tokens.revoke")
@tokens_group.command()
@click.argument("number", metavar="TOKEN")
@why
@at_desk
def revoke(desk: Desk, number: str, why: str) -> None:
    """End TOKEN, named as `list` does, at once.

    \b
    coldtrail gateway tokens revoke k7m2q9xa --why "found in a log"
    """  # noqa: D301
    with desk.tower.write() as connection:
        ended = tokens.revoke(connection, desk.who, number, why, desk.now_ms)
    echo(f"revoked: {ended.id} ({ended.label})")
