"""One-time codes: how a new person, or one who has forgotten the password, sets one.

A code is shown once to whoever made it and hands it over; a later one of the same account, use,
or a day ends it. A code sets a password and nothing else: it takes no second factor off and gives
no role.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from coldtrail_gateway.audit import accounts, passwords, secret_text, sessions
from coldtrail_gateway.audit.access import Who, record
from coldtrail_gateway.audit.accounts import Account
from coldtrail_gateway.audit.operations import OPERATIONS
from coldtrail_gateway.audit.people_tables import accounts as account_table
from coldtrail_gateway.audit.people_tables import one_time_codes as table
from coldtrail_gateway.errors import GatewayError
from coldtrail_gateway.store.tower.database import Tower

LIFE_MS: Final = 24 * 3_600_000


class CodeRefused(GatewayError):
    """A one-time code that opens nothing."""


def new(connection: Connection, account: int, now_ms: int) -> str:
    """Return a new code of an account, and end its earlier ones; the caller records that."""
    end_all(connection, account, now_ms)
    code = secret_text.new_typed()
    connection.execute(
        sa.insert(table).values(
            digest=secret_text.digest_typed(code),
            account=account,
            made_ms=now_ms,
            expires_ms=now_ms + LIFE_MS,
        )
    )
    return code


def end_all(connection: Connection, account: int, now_ms: int) -> None:
    """End every code of an account."""
    connection.execute(
        sa.update(table)
        .where(table.c.account == account, table.c.ended_ms.is_(None))
        .values(ended_ms=now_ms)
    )


def redeem(tower: Tower, code: str, password: str, source: str, now_ms: int) -> Account:
    """Set the password of the account whose code this is, and end its sessions.

    Raises:
        CodeRefused: the code is none, was used, was replaced, or is too old.
        PasswordRefused: the password is not taken; the code can be used again.
    """
    digest = secret_text.digest_typed(code)
    with tower.read() as connection:
        account = _open(connection, digest, now_ms)
    # Takes long, so that no transaction waits for it.
    kept = passwords.make(password, account.name, account.shown)
    with tower.write() as connection:
        who = Who(account.actor(source), account.id)
        record(
            connection,
            who,
            OPERATIONS["self.redeem"],
            account.entry(),
            None,
            {"set": "password"},
            "",
            now_ms,
        )
        _open(connection, digest, now_ms)  # perhaps used meanwhile
        end_all(connection, account.id, now_ms)
        set_password(connection, account.id, kept, now_ms)
        sessions.end_all(connection, account.id, now_ms)
        sessions.know(connection, account.id, source, now_ms)
    return account


def set_password(connection: Connection, account: int, kept: str, now_ms: int) -> None:
    """Keep a new password; the caller records that."""
    connection.execute(
        sa.update(account_table)
        .where(account_table.c.id == account)
        .values(password=kept, password_ms=now_ms)
    )


def _open(connection: Connection, digest: bytes, now_ms: int) -> Account:
    account = connection.scalar(
        sa.select(table.c.account).where(
            table.c.digest == digest,
            table.c.ended_ms.is_(None),
            table.c.made_ms <= now_ms + sessions.CLOCKS_DIFFER_MS,
            table.c.expires_ms > now_ms,
        )
    )
    found = None if account is None else accounts.by_id(connection, account)
    if found is None or found.disabled_ms is not None:
        raise CodeRefused(
            "The code is wrong, was used already or is more than a day old: ask an administrator "
            "for a new one."
        )
    return found
