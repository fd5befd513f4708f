"""Accounts: one a person and one a program, by the name under which they act."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from coldtrail_gateway.audit.access import Denied, Who
from coldtrail_gateway.audit.names import folded
from coldtrail_gateway.audit.operations import Operation
from coldtrail_gateway.audit.people_tables import accounts
from coldtrail_gateway.audit.trail import Actor, Kind, Subject
from coldtrail_gateway.contract.printable import printable
from coldtrail_gateway.errors import GatewayError

KINDS: Final = (Kind.PERSON, Kind.PROGRAM)
_SHOWN: Final = 64  # characters of what somebody has typed, in a message


class AccountError(GatewayError):
    """There is no such account, or it is not one for this."""


@dataclass(frozen=True, slots=True)
class Account:
    """A person or a program.

    `zone` is the time zone that stands beside UTC in the trail. A person whose `issuer` and
    `subject` are stated signs in at that provider, and has no password here.
    """

    id: int
    kind: Kind
    name: str
    shown: str
    zone: str
    made_ms: int
    disabled_ms: int | None
    issuer: str | None
    subject: str | None
    password_ms: int | None

    def actor(self, source: str) -> Actor:
        """Return who acts when this account acts, from a source."""
        return Actor(self.kind, self.name, self.shown, source, self.zone)

    def entry(self) -> Subject:
        """Return the account as the subject of an entry of the trail."""
        return Subject(self.kind.value, self.name)


_COLUMNS: Final = tuple(
    accounts.c[name] for name in Account.__dataclass_fields__
)  # never the password's hash


def _account(values: dict[str, Any]) -> Account:
    return Account(**{**values, "kind": Kind(values["kind"])})


def everyone(connection: Connection) -> list[Account]:
    """Return all accounts by name, also those that are disabled."""
    rows = connection.execute(sa.select(*_COLUMNS).order_by("name"))
    return [_account(row._asdict()) for row in rows]


def by_id(connection: Connection, account: int) -> Account:
    """Return an account."""
    row = connection.execute(sa.select(*_COLUMNS).where(accounts.c.id == account)).one()
    return _account(row._asdict())


def by_identity(connection: Connection, issuer: str, subject: str) -> Account | None:
    """Return the account that signs in at a provider as this subject; None where none does."""
    row = connection.execute(
        sa.select(*_COLUMNS).where(accounts.c.issuer == issuer, accounts.c.subject == subject)
    ).one_or_none()
    return _account(row._asdict()) if row else None


def own(connection: Connection, who: Who, operation: Operation) -> Account:
    """Return the account of who asks for an operation on it.

    Raises:
        Denied: nobody has signed in.
    """
    who.check(operation)
    if who.account is None:
        raise Denied("That is about one's own account, and you have none: sign in first.")
    return by_id(connection, who.account)


def named(connection: Connection, typed: str, kind: Kind | None = None) -> Account:
    """Return the account of a name, however it was typed.

    Raises:
        AccountError: there is none, or it is of the other kind.
    """
    found = connection.execute(
        sa.select(*_COLUMNS).where(accounts.c.name == (folded(typed) or ""))
    ).one_or_none()
    if found is None:
        raise AccountError(
            f"There is no person or program {printable(typed, _SHOWN)} "
            "(coldtrail gateway people list)."
        )
    account = _account(found._asdict())
    if kind is not None and account.kind is not kind:
        raise AccountError(f"{account.name} is a {account.kind.value}, not a {kind.value}.")
    return account


def with_password(connection: Connection, name: str) -> tuple[Account, str] | None:
    """Return who may sign in by this name and a password, and what is kept of the password."""
    found = connection.execute(
        sa.select(*_COLUMNS, accounts.c.password).where(
            accounts.c.name == name,
            accounts.c.disabled_ms.is_(None),
            accounts.c.password.is_not(None),
        )
    ).one_or_none()
    if found is None:
        return None
    values = found._asdict()
    kept = values.pop("password")
    return _account(values), kept
