"""Signing in with name, password and, where it is in force, a second factor.

Whoever asks learns one thing, whether all of it is right: not whether there is such a person, and
not which part was wrong. An attempt for nobody does the same work as one for somebody: the same
statements, and one verification of a password.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from coldtrail_gateway.audit import accounts, codes, devices, passwords, sessions, throttle
from coldtrail_gateway.audit.access import Denied, Who, record
from coldtrail_gateway.audit.accounts import Account
from coldtrail_gateway.audit.devices import CodeProof
from coldtrail_gateway.audit.names import folded
from coldtrail_gateway.audit.operations import OPERATIONS
from coldtrail_gateway.audit.people_tables import accounts as account_table
from coldtrail_gateway.audit.second_factor import Sealer
from coldtrail_gateway.audit.signatures import Proof
from coldtrail_gateway.audit.throttle import Bucket
from coldtrail_gateway.audit.trail import SYSTEM, Action, Subject, append
from coldtrail_gateway.contract.printable import printable
from coldtrail_gateway.store.tower.database import Tower

_GUESSED: Final = Action("sign-in.guessed")
_NOBODY: Final = ""  # a name that no account has


class SignInRefused(Denied):
    """Name, password or code is wrong; nothing says which."""

    def __init__(self) -> None:
        super().__init__("Name, password or code is wrong.")


@dataclass(frozen=True, slots=True)
class Attempt:
    """What somebody has typed, and from where; `earlier` is a session that the browser kept."""

    name: str
    password: str = field(repr=False)
    code: str = field(default="", repr=False)
    source: str = "terminal"
    earlier: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class _Judged:
    account: Account
    code: CodeProof | None
    rehashed: str | None


def sign_in(tower: Tower, sealer: Sealer, attempt: Attempt, now_ms: int) -> str:
    """Return the secret of a new session.

    Raises:
        SignInRefused: something is wrong.
        TooSoon: too many attempts have failed.
    """
    name = folded(attempt.name) or _NOBODY
    source = throttle.network(attempt.source)
    buckets = _take(tower, name, source, attempt.earlier, now_ms)
    judged = _judge(tower, sealer, name, attempt.password, attempt.code, now_ms)
    if judged is None:
        _remark(tower, name, source, buckets, now_ms)
        raise SignInRefused
    with tower.write() as connection:
        secret = sessions.begin(
            connection,
            judged.account,
            "password and code" if judged.code else "password",
            source,
            now_ms,
        )
        _conclude(connection, judged, buckets, now_ms)
    return secret


def prove(tower: Tower, sealer: Sealer, who: Who, password: str, code: str, now_ms: int) -> Proof:
    """Prove once more, in a session, who one is: before a signature, or a new password.

    It has transactions of its own, so that it is called before the one that signs.

    Raises:
        Denied: nobody has signed in.
        SignInRefused: something is wrong.
        TooSoon: too many attempts have failed.
    """
    # The session is known, and its failures count for it alone.
    with tower.write() as connection:
        account = accounts.own(connection, who, OPERATIONS["self.password"])
        buckets = throttle.familiar(account.name, f"proof in session {who.session}")
        throttle.take(connection, buckets, now_ms)
    judged = _judge(tower, sealer, account.name, password, code, now_ms)
    if judged is None:
        _remark(tower, account.name, who.actor.source, buckets, now_ms)
        raise SignInRefused
    with tower.write() as connection:
        _conclude(connection, judged, buckets, now_ms)
    components = {"password"}
    if judged.code is not None:
        components.add("totp" if judged.code.step is not None else "recovery code")
    return Proof(account.name, frozenset(components))


def change_password(
    tower: Tower, sealer: Sealer, who: Who, old: str, code: str, new: str, now_ms: int
) -> None:
    """Set one's own new password, and end all one's sessions.

    Raises:
        Denied: what `prove` raises.
        PasswordRefused: the new one is not taken.
    """
    prove(tower, sealer, who, old, code, now_ms)
    with tower.read() as connection:
        account = accounts.own(connection, who, OPERATIONS["self.password"])
    kept = passwords.make(new, account.name, account.shown)
    with tower.write() as connection:
        record(
            connection,
            who,
            OPERATIONS["self.password"],
            account.entry(),
            None,
            {"set": "password"},
            "",
            now_ms,
        )
        codes.set_password(connection, account.id, kept, now_ms)
        codes.end_all(connection, account.id, now_ms)
        sessions.end_all(connection, account.id, now_ms)


def _take(tower: Tower, name: str, source: str, earlier: str | None, now_ms: int) -> list[Bucket]:
    with tower.write() as connection:
        account = connection.scalar(
            sa.select(account_table.c.id).where(account_table.c.name == name)
        )
        known_by = sessions.familiar(connection, account or 0, source, earlier)
        if known_by is None:
            buckets = throttle.stranger(name, source)
        else:
            buckets = throttle.familiar(name, known_by)
        throttle.take(connection, buckets, now_ms)
    return buckets


def _judge(
    tower: Tower, sealer: Sealer, name: str, password: str, code: str, now_ms: int
) -> _Judged | None:
    with tower.read() as connection:
        found = accounts.with_password(connection, name)
        account, kept = found or (None, None)
        proof = devices.look(connection, sealer, account.id if account else None, code, now_ms)
    right = passwords.matches(kept, password)
    if not right or account is None or kept is None or (proof is not None and not proof):
        return None
    return _Judged(
        account, proof, passwords.again(password) if passwords.is_outdated(kept) else None
    )


def _remark(tower: Tower, name: str, source: str, buckets: list[Bucket], now_ms: int) -> None:
    """Let the trail say that somebody is guessing (21 CFR 11.300(d)), once a count is used up.

    A name that no account has may be a password in the wrong field, and is not recorded.
    """
    with tower.read() as connection:
        known = connection.scalar(
            sa.select(account_table.c.name).where(account_table.c.name == name)
        )
        if not throttle.has_used_up(connection, buckets):
            return
    with tower.write() as connection:
        append(
            connection,
            SYSTEM,
            _GUESSED,
            Subject("sign-in", known or "unknown"),
            None,
            {"source": printable(source, 200)},
            "",
            now_ms,
        )


def _conclude(connection: Connection, judged: _Judged, buckets: list[Bucket], now_ms: int) -> None:
    account = judged.account
    # What was true when it was judged may have ended since.
    same = connection.execute(
        sa.select(account_table.c.id).where(
            account_table.c.id == account.id,
            account_table.c.disabled_ms.is_(None),
            account_table.c.password_ms == account.password_ms,
        )
    ).first()
    used = judged.code is None or devices.use(connection, account.id, judged.code, now_ms)
    needed = devices.in_force(connection, account.id)
    if same is None or not used or needed is not bool(judged.code):
        raise SignInRefused
    if judged.rehashed is not None:
        connection.execute(
            sa.update(account_table)
            .where(account_table.c.id == account.id)
            .values(password=judged.rehashed)
        )
    throttle.give_back(connection, buckets, forget=buckets[0])
