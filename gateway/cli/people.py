"""``coldtrail gateway people``: who there is, and how they are let in."""

from __future__ import annotations

from typing import Any

import click
from rich.table import Table

from coldtrail_gateway.audit import (
    accounts,
    codes,
    grants,
    people,
    second_factor,
    sessions,
    sign_in,
    tokens,
)
from coldtrail_gateway.audit.accounts import Account
from coldtrail_gateway.audit.operations import OPERATIONS
from coldtrail_gateway.audit.second_factor import Sealer
from coldtrail_gateway.audit.sessions import Session
from coldtrail_gateway.audit.sign_in import Attempt
from coldtrail_gateway.audit.trail import Kind
from coldtrail_gateway.cli.access import (
    Desk,
    Secrets,
    as_json,
    at_desk,
    at_door,
    people_key,
    performs,
    secrets,
    show,
    why,
)
from coldtrail_gateway.cli.options import console, echo
from coldtrail_gateway.cli.roles import described
from coldtrail_gateway.contract.printable import printable
from coldtrail_gateway.contract.utc import iso


@click.group(short_help="Add people and programs; let them in and keep them out.")
def people_group() -> None:
    """Add people and programs; let them in and keep them out.

    The terminal of the gateway acts as the operating system's user; with a session or token in
    $COLDTRAIL_TOKEN, as whom that speaks for. Every change goes into the audit trail, with why.

    \b
    coldtrail gateway people add ana --shown "Ana Costa" --first --why "set up"
    coldtrail gateway people redeem
    export COLDTRAIL_TOKEN=$(coldtrail gateway people sign-in ana)
    """  # noqa: D301


def account_json(account: Account) -> dict[str, Any]:
    """Return an account as JSON; there is nothing secret in it."""
    return {
        "name": account.name,
        "shown": account.shown,
        "kind": account.kind.value,
        "zone": account.zone,
        "made": iso(account.made_ms),
        "disabled": _moment(account.disabled_ms),
        "issuer": account.issuer,
        "subject": account.subject,
        "password_set": _moment(account.password_ms),
    }


def _moment(ms: int | None) -> str | None:
    return None if ms is None else iso(ms)


def _session_json(session: Session, now_ms: int) -> dict[str, Any]:
    return {
        "id": session.id,
        "how": session.how,
        "source": session.source,
        "made": iso(session.made_ms),
        "seen": iso(session.seen_ms),
        "ended": _moment(session.ended_ms),
        "open": session.is_open(now_ms),
    }


@performs("people.add")
@people_group.command()
@click.argument("name")
@click.option("--shown", required=True, help="The name that is shown, and printed on signatures.")
@click.option("--first", is_flag=True, help="As the first administrator; there must be none yet.")
@click.option("--program", is_flag=True, help="A program: it has tokens, and no password.")
@click.option("--zone", default="UTC", show_default=True, help="Time zone, such as Europe/Vienna.")
@click.option("--issuer", metavar="URL", help="The OpenID provider where the person signs in.")
@click.option("--subject", metavar="ID", help="Who the person is at that provider (sub).")
@why
@as_json
@at_desk
def add(
    desk: Desk,
    name: str,
    shown: str,
    zone: str,
    issuer: str | None,
    subject: str | None,
    why: str,
    *,
    first: bool,
    program: bool,
    as_json: bool,
) -> None:
    """Add NAME, a person or a program, without any role.

    Prints the one-time code with which the person sets a password, within a day: hand it over in
    a way that proves to whom. It is not shown again.

    \b
    coldtrail gateway people add ben --shown "Ben Oduya" --why "new in quality"
    coldtrail gateway people add erp --shown "The ERP" --program --why "orders"
    """  # noqa: D301
    new = people.New(name, shown, Kind.PROGRAM if program else Kind.PERSON, zone, issuer, subject)
    with desk.tower.write() as connection:
        make = people.add_first if first else people.add
        account, code = make(connection, desk.who, new, why, desk.now_ms)
    if as_json:
        show({**account_json(account), "code": code})
        return
    click.echo(f"added: {account.name}")
    if code is not None:
        _tell_code(code)


def _tell_code(code: str) -> None:
    click.echo(f"one-time code, for a day: {code}")
    click.echo("The person sets a password with: coldtrail gateway people redeem", err=True)


@performs("people.list")
@people_group.command("list")
@as_json
@at_desk
def list_(desk: Desk, *, as_json: bool) -> None:
    """List everybody, with their roles.

    \b
    coldtrail gateway people list --json
    """  # noqa: D301
    with desk.tower.read() as connection:
        rows = [
            (account, grants.held(connection, account.id))
            for account in accounts.everyone(connection)
        ]
    if as_json:
        show(
            [
                {**account_json(one), "roles": [described(*role) for role in held]}
                for one, held in rows
            ]
        )
        return
    table = Table("name", "shown", "kind", "signs in by", "roles", "disabled")
    for one, held in rows:
        table.add_row(
            one.name,
            printable(one.shown),
            one.kind.value,
            _signs_in_by(one),
            ", ".join(described(*role) for role in held) or "none",
            (_moment(one.disabled_ms) or "no")[:19],
        )
    console().print(table)


def _signs_in_by(account: Account) -> str:
    if account.kind is Kind.PROGRAM:
        return "token"
    if account.issuer is not None:
        return printable(account.issuer)
    return "password" if account.password_ms is not None else "has set no password yet"


@performs("people.list")
@people_group.command("show")
@click.argument("name")
@at_desk
def show_(desk: Desk, name: str) -> None:
    """Show NAME as JSON: the account, its roles and proposals, sessions and tokens.

    \b
    coldtrail gateway people show ana
    """  # noqa: D301
    with desk.tower.read() as connection:
        account = accounts.named(connection, name)
        show(_everything(desk, account))


def _everything(desk: Desk, account: Account) -> dict[str, Any]:
    with desk.tower.read() as connection:
        return {
            **account_json(account),
            "roles": [described(*role) for role in grants.held(connection, account.id)],
            "sessions": [
                _session_json(one, desk.now_ms) for one in sessions.of(connection, account.id)
            ],
            "tokens": [
                one.id for one in tokens.everything(connection) if one.account == account.id
            ],
        }


@performs("people.disable")
@people_group.command()
@click.argument("name")
@why
@at_desk
def disable(desk: Desk, name: str, why: str) -> None:
    """Keep NAME out at once: roles, sessions, tokens and codes end.

    \b
    coldtrail gateway people disable ben --why "left the company"
    """  # noqa: D301
    with desk.tower.write() as connection:
        people.disable(connection, desk.who, name, why, desk.now_ms)
    echo(f"disabled: {name}")


@performs("people.enable")
@people_group.command()
@click.argument("name")
@why
@at_desk
def enable(desk: Desk, name: str, why: str) -> None:
    """Let NAME in again, without any role.

    \b
    coldtrail gateway people enable ben --why "is back"
    """  # noqa: D301
    with desk.tower.write() as connection:
        people.enable(connection, desk.who, name, why, desk.now_ms)
    echo(f"enabled, without any role: {name}")


@performs("people.code")
@people_group.command()
@click.argument("name")
@why
@as_json
@at_desk
def code(desk: Desk, name: str, why: str, *, as_json: bool) -> None:
    """Make a one-time code with which NAME sets a new password.

    \b
    coldtrail gateway people code ben --why "has forgotten the password, called back"
    """  # noqa: D301
    with desk.tower.write() as connection:
        made = people.new_code(connection, desk.who, name, why, desk.now_ms)
    if as_json:
        show({"code": made})
    else:
        _tell_code(made)


@performs("self.redeem")
@people_group.command()
@secrets
@at_door
def redeem(desk: Desk, secrets: Secrets) -> None:
    """Set a password with a one-time code; both are asked for.

    \b
    coldtrail gateway people redeem
    """  # noqa: D301
    given = secrets.ask("One-time code")
    password = secrets.ask("New password", again=True)
    account = codes.redeem(desk.tower, given, password, desk.source, desk.now_ms)
    echo(f"{account.name} has a new password; all sessions have ended.")


@performs("self.sign-in")
@people_group.command("sign-in")
@click.argument("name")
@people_key
@secrets
@at_door
def sign_in_(desk: Desk, name: str, sealer: Sealer, secrets: Secrets) -> None:
    """Begin a session of NAME and print its secret, for $COLDTRAIL_TOKEN.

    Asks for the password and for a code of the second factor, or a recovery code. A session ends
    after 30 minutes of silence, and after 12 hours.

    \b
    export COLDTRAIL_TOKEN=$(coldtrail gateway people sign-in ana)
    """  # noqa: D301
    password = secrets.ask("Password")
    given = secrets.ask("Code of the second factor (nothing if there is none)", empty=True)
    attempt = Attempt(name, password, given, desk.source)
    click.echo(sign_in.sign_in(desk.tower, sealer, attempt, desk.now_ms))


@performs("self.sign-out")
@people_group.command("sign-out")
@at_desk
def sign_out(desk: Desk) -> None:
    """End the session in $COLDTRAIL_TOKEN.

    \b
    coldtrail gateway people sign-out
    """  # noqa: D301
    with desk.tower.write() as connection:
        sessions.sign_out(connection, desk.who, desk.now_ms)
    click.echo("signed out")


@performs("self.show")
@people_group.command()
@at_desk
def whoami(desk: Desk) -> None:
    """Show one's own account, roles and sessions as JSON.

    \b
    coldtrail gateway people whoami
    """  # noqa: D301
    with desk.tower.read() as connection:
        account = accounts.own(connection, desk.who, OPERATIONS["self.show"])
    show(_everything(desk, account))


@performs("self.password")
@people_group.command()
@people_key
@secrets
@at_desk
def password(desk: Desk, sealer: Sealer, secrets: Secrets) -> None:
    """Change one's own password, in a session; all one's sessions end.

    \b
    coldtrail gateway people password
    """  # noqa: D301
    old = secrets.ask("Password")
    given = secrets.ask("Code of the second factor (nothing if there is none)", empty=True)
    new = secrets.ask("New password", again=True)
    sign_in.change_password(desk.tower, sealer, desk.who, old, given, new, desk.now_ms)
    click.echo("changed; all sessions have ended")


@people_group.group("second-factor")
def factor() -> None:
    """Add or remove a device that makes codes (TOTP)."""


@performs("self.second-factor")
@factor.command("add")
@people_key
@secrets
@at_desk
def factor_add(desk: Desk, sealer: Sealer, secrets: Secrets) -> None:
    """Add one's own device, in a session; prints recovery codes.

    \b
    coldtrail gateway people second-factor add
    """  # noqa: D301
    given = secrets.ask("Password")
    account, secret = people.begin_second_factor(desk.tower, sealer, desk.who, given, desk.now_ms)
    click.echo(f"for the device: {second_factor.uri(secret, account.name)}")
    first = secrets.ask("First code of the device")
    made = people.confirm_second_factor(desk.tower, sealer, desk.who, first, desk.now_ms)
    click.echo("in force. Recovery codes, each for one sign-in without the device:")
    for one in made:
        click.echo(one)


@performs("self.second-factor")
@factor.command("remove")
@people_key
@secrets
@at_desk
def factor_remove(desk: Desk, sealer: Sealer, secrets: Secrets) -> None:
    """Remove one's own device, in a session.

    \b
    coldtrail gateway people second-factor remove
    """  # noqa: D301
    given = secrets.ask("Password")
    made = secrets.ask("Code of the second factor, or a recovery code")
    people.own_second_factor_off(desk.tower, sealer, desk.who, given, made, desk.now_ms)
    click.echo("removed")


@performs("people.second-factor-off")
@factor.command("reset")
@click.argument("name")
@why
@at_desk
def factor_reset(desk: Desk, name: str, why: str) -> None:
    """Remove the device of NAME, who has lost it and the recovery codes too.

    \b
    coldtrail gateway people second-factor reset ben --why "lost the phone, seen in person"
    """  # noqa: D301
    with desk.tower.write() as connection:
        people.second_factor_off(connection, desk.who, name, why, desk.now_ms)
    echo(f"removed the second factor of {name}; all sessions have ended")


@people_group.group("sessions")
def session_group() -> None:
    """List and end people's sessions."""


@performs("people.list")
@session_group.command("list")
@click.argument("name")
@as_json
@at_desk
def session_list(desk: Desk, name: str, *, as_json: bool) -> None:
    """List the sessions of NAME, the newest first.

    \b
    coldtrail gateway people sessions list ana
    """  # noqa: D301
    with desk.tower.read() as connection:
        account = accounts.named(connection, name, Kind.PERSON)
        found = [_session_json(one, desk.now_ms) for one in sessions.of(connection, account.id)]
    if as_json:
        show(found)
        return
    table = Table("session", "signed in by", "from", "began (UTC)", "seen (UTC)", "open")
    for one in found:
        table.add_row(
            str(one["id"]),
            one["how"],
            printable(one["source"]),
            one["made"][:19],
            one["seen"][:19],
            "yes" if one["open"] else "no",
        )
    console().print(table)


@performs("people.sessions-end")
@session_group.command("end")
@click.argument("name")
@why
@at_desk
def session_end(desk: Desk, name: str, why: str) -> None:
    """End all sessions of NAME.

    \b
    coldtrail gateway people sessions end ana --why "a laptop was stolen"
    """  # noqa: D301
    with desk.tower.write() as connection:
        ended = people.end_sessions(connection, desk.who, name, why, desk.now_ms)
    click.echo(f"ended: {ended}")
