"""Tokens for programs: shown once, kept as a digest, for a time, with no more than their scope."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from coldtrail_gateway.audit import accounts, grants, secret_text, trail
from coldtrail_gateway.audit.access import Denied, Who, record, rights
from coldtrail_gateway.audit.operations import OPERATIONS
from coldtrail_gateway.audit.people_tables import tokens as table
from coldtrail_gateway.audit.roles import Permission
from coldtrail_gateway.audit.sessions import CLOCKS_DIFFER_MS, TOUCH_MS
from coldtrail_gateway.audit.trail import Kind
from coldtrail_gateway.contract.printable import printable
from coldtrail_gateway.errors import GatewayError
from coldtrail_gateway.store.tower.database import Tower

DAY_MS: Final = 24 * 3_600_000
LONGEST_DAYS: Final = 366
_ID_SIZE: Final = 8
_ID_LETTERS: Final = "abcdefghijkmnpqrstuvwxyz23456789"
_LONGEST_LABEL: Final = 80


class TokenError(GatewayError):
    """A token that is not made or ended; the message says why."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token as it is listed: `id` is the part of it that tells it apart."""

    id: str
    account: int
    label: str
    scope: frozenset[Permission]
    made_ms: int
    expires_ms: int
    used_ms: int | None
    revoked_ms: int | None

    def is_open(self, now_ms: int) -> bool:
        """Tell whether it opens anything at a moment."""
        return (
            self.revoked_ms is None
            and self.made_ms <= now_ms + CLOCKS_DIFFER_MS
            and now_ms < self.expires_ms
        )


_COLUMNS: Final = tuple(table.c[name] for name in Token.__dataclass_fields__)


def make(
    connection: Connection,
    who: Who,
    program: str,
    label: str,
    scope: Collection[Permission],
    days: int,
    why: str,
    now_ms: int,
) -> tuple[Token, str]:
    """Make a token of a program; return it and its secret, which nobody will show again.

    It gives what is both in its scope and in the program's roles, at the moment of its use.

    Raises:
        TokenError: the scope, the label or the days are not possible.
        AccountError: there is no such program.
    """
    who.check(OPERATIONS["tokens.make"])
    trail.lock(connection)
    account = accounts.named(connection, program, Kind.PROGRAM)
    if account.disabled_ms is not None:
        raise TokenError(f"{account.name} is disabled: enable it first.")
    if not scope or Permission.SIGN in scope:
        raise TokenError("A token has at least one permission, and never the one to sign.")
    if not 1 <= days <= LONGEST_DAYS:
        raise TokenError(f"A token lasts 1 to {LONGEST_DAYS} days.")
    if not 1 <= len(label) <= _LONGEST_LABEL or not label.isprintable():
        raise TokenError(f"A label has 1 to {_LONGEST_LABEL} printable characters.")
    number = "".join(secrets.choice(_ID_LETTERS) for _ in range(_ID_SIZE))
    token = Token(
        number, account.id, label, frozenset(scope), now_ms, now_ms + days * DAY_MS, None, None
    )
    after: dict[str, Any] = {
        "id": number,
        "label": label,
        "scope": " ".join(sorted(scope)),
        "expires_ms": token.expires_ms,
    }
    record(connection, who, OPERATIONS["tokens.make"], account.entry(), None, after, why, now_ms)
    secret = secret_text.new(f"{secret_text.TOKEN}{number}_")
    connection.execute(
        sa.insert(table).values(
            id=number,
            digest=secret_text.digest(secret),
            account=account.id,
            label=label,
            scope=" ".join(sorted(scope)),
            made_ms=now_ms,
            expires_ms=token.expires_ms,
        )
    )
    return token, secret


def who(tower: Tower, secret: str, source: str, now_ms: int) -> Who:
    """Return which program asks with a token, with the rights of this moment.

    Raises:
        Denied: it is none, has ended, or its program is disabled.
    """
    number = _id(secret.removeprefix(secret_text.TOKEN)[:_ID_SIZE])
    with tower.read() as connection:
        row = connection.execute(
            sa.select(*_COLUMNS, table.c.digest).where(table.c.id == number)
        ).one_or_none()
        same = hmac.compare_digest(row.digest if row else b"", secret_text.digest(secret))
        token = _token(row) if row and same else None
        account = accounts.by_id(connection, token.account) if token else None
        held = grants.held(connection, account.id) if account else []
    if token is None or account is None or not token.is_open(now_ms) or account.disabled_ms:
        raise Denied("The token is wrong, has ended or was revoked: ask for a new one.")
    if token.used_ms is None or now_ms - token.used_ms >= TOUCH_MS:
        with tower.write() as connection:
            connection.execute(
                sa.update(table).where(table.c.id == token.id).values(used_ms=now_ms)
            )
    allowed = {
        permission: scope
        for permission, scope in rights(held).items()
        if permission in token.scope
    }
    return Who(account.actor(f"token {token.id}, {printable(source, 200)}"), account.id, allowed)


def everything(connection: Connection) -> list[Token]:
    """Return all tokens there have been, the newest first."""
    asked = sa.select(*_COLUMNS).order_by(table.c.made_ms.desc(), table.c.id)
    return [_token(row) for row in connection.execute(asked)]


def revoke(connection: Connection, by: Who, number: str, why: str, now_ms: int) -> Token:
    """End a token at once.

    Raises:
        TokenError: there is no such token, or it was revoked already.
    """
    by.check(OPERATIONS["tokens.revoke"])
    trail.lock(connection)
    row = connection.execute(sa.select(*_COLUMNS).where(table.c.id == _id(number))).one_or_none()
    if row is None:
        raise TokenError(
            f"There is no token {printable(number, 64)} (coldtrail gateway tokens list)."
        )
    token = _token(row)
    if token.revoked_ms is not None:
        raise TokenError(f"Token {number} was revoked already.")
    account = accounts.by_id(connection, token.account)
    before = {"id": token.id, "label": token.label, "scope": " ".join(sorted(token.scope))}
    record(connection, by, OPERATIONS["tokens.revoke"], account.entry(), before, None, why, now_ms)
    connection.execute(sa.update(table).where(table.c.id == number).values(revoked_ms=now_ms))
    return token


def revoke_all(connection: Connection, account: int, now_ms: int) -> None:
    """End every token of a program that is about to be disabled; the caller records that."""
    connection.execute(
        sa.update(table)
        .where(table.c.account == account, table.c.revoked_ms.is_(None))
        .values(revoked_ms=now_ms)
    )


def _id(typed: str) -> str:
    """Return what may be a token's id; nothing where it holds what no database need be asked."""
    return typed if set(typed) <= set(_ID_LETTERS) else ""


def _token(row: Any) -> Token:
    values = {name: getattr(row, name) for name in Token.__dataclass_fields__}
    known = {permission.value for permission in Permission}
    # A permission that a later version no longer has gives nothing.
    scope = frozenset(Permission(word) for word in values["scope"].split() if word in known)
    return Token(**{**values, "scope": scope})
