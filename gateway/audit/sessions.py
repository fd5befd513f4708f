"""Sessions of people: begun by a sign-in, ended by silence, by age, or by somebody.

An ended session stays as a row, for its source and times; its secret opens nothing any more. Time
that has run out is written down when it is seen, so that a clock which is set back revives no
session; a session from the future, which such a clock leaves behind, is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from coldtrail_gateway.audit import accounts, grants, secret_text
from coldtrail_gateway.audit.access import Denied, Who, record, rights
from coldtrail_gateway.audit.accounts import Account
from coldtrail_gateway.audit.operations import OPERATIONS
from coldtrail_gateway.audit.people_tables import known_sources
from coldtrail_gateway.audit.people_tables import sessions as table
from coldtrail_gateway.contract.printable import printable
from coldtrail_gateway.store.dialect import insert
from coldtrail_gateway.store.tower.database import Tower

IDLE_MS: Final = 30 * 60_000
"""How long a session may be silent."""

LONGEST_MS: Final = 12 * 3_600_000
"""How long a session may last: a shift. NIST SP 800-63B-4 allows a day."""

CLOCKS_DIFFER_MS: Final = 5 * 60_000
"""How far what another machine wrote may lie in this machine's future."""

TOUCH_MS: Final = 60_000
"""How often use is written down; so much is a session's idle time too short at most."""

_LONGEST_SOURCE: Final = 200


@dataclass(frozen=True, slots=True)
class Session:
    """A session as it is listed; `ended_ms` is None while nothing has ended it."""

    id: int
    account: int
    how: str
    source: str
    made_ms: int
    seen_ms: int
    ended_ms: int | None
    revoked: bool

    def is_open(self, now_ms: int) -> bool:
        """Tell whether it holds at a moment."""
        newest = max(self.made_ms, self.seen_ms)
        return (
            self.ended_ms is None
            and newest <= now_ms + CLOCKS_DIFFER_MS
            and now_ms < min(self.seen_ms + IDLE_MS, self.made_ms + LONGEST_MS)
        )


_COLUMNS: Final = tuple(table.c[name] for name in Session.__dataclass_fields__)


def begin(connection: Connection, account: Account, how: str, source: str, now_ms: int) -> str:
    """Begin a session after a sign-in, and return its secret; `how` says by what it was proved."""
    source = printable(source, _LONGEST_SOURCE)
    record(
        connection,
        Who(account.actor(source), account.id),
        OPERATIONS["self.sign-in"],
        account.entry(),
        None,
        {"how": how},
        "",
        now_ms,
    )
    secret = secret_text.new(secret_text.SESSION)
    connection.execute(
        sa.insert(table).values(
            digest=secret_text.digest(secret),
            account=account.id,
            how=how,
            source=source,
            made_ms=now_ms,
            seen_ms=now_ms,
            revoked=False,
        )
    )
    know(connection, account.id, source, now_ms)
    return secret


def who(tower: Tower, secret: str, now_ms: int) -> Who:
    """Return who asks with a session's secret, with the rights of this moment.

    Raises:
        Denied: it is none, or the session has ended.
    """
    with tower.read() as connection:
        session = _of(connection, secret)
        open_now = session is not None and session.is_open(now_ms)
        if session is not None and open_now:
            account = accounts.by_id(connection, session.account)
            held = rights(grants.held(connection, account.id))
    if session is None or not open_now:
        if session is not None and session.ended_ms is None:
            with tower.write() as connection:
                _end(connection, table.c.id == session.id, now_ms, revoked=False)
        raise Denied("The session has ended: sign in again.")
    if now_ms - session.seen_ms >= TOUCH_MS:
        with tower.write() as connection:
            connection.execute(
                sa.update(table)
                .where(table.c.id == session.id, table.c.seen_ms < now_ms)
                .values(seen_ms=now_ms)
            )
    return Who(account.actor(session.source), account.id, held, session.id)


def familiar(connection: Connection, account: int, source: str, earlier: str | None) -> str | None:
    """Return by what an account knows who asks: an earlier session, or the source; None for none.

    `earlier` is the secret of a session, which may have run out; one that somebody has ended,
    perhaps because it was stolen, does not count.
    """
    session = _of(connection, earlier or "")
    if session is not None and session.account == account and not session.revoked:
        return f"session {session.id}"
    known = connection.execute(
        sa.select(known_sources.c.account).where(
            known_sources.c.account == account,
            known_sources.c.source == secret_text.digest(source),
        )
    ).first()
    return f"source {source}" if known else None


def know(connection: Connection, account: int, source: str, now_ms: int) -> None:
    """Remember that somebody has proved from this source to be the account's person."""
    statement = insert(connection, known_sources).values(
        account=account, source=secret_text.digest(source), seen_ms=now_ms
    )
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["account", "source"], set_={"seen_ms": now_ms}
        )
    )


def of(connection: Connection, account: int) -> list[Session]:
    """Return an account's sessions, the newest first."""
    asked = sa.select(*_COLUMNS).where(table.c.account == account).order_by(table.c.id.desc())
    return [Session(**row._asdict()) for row in connection.execute(asked)]


def sign_out(connection: Connection, by: Who, now_ms: int) -> None:
    """End the session in which somebody asks.

    Raises:
        Denied: nobody has signed in.
    """
    account = accounts.own(connection, by, OPERATIONS["self.sign-out"])
    record(connection, by, OPERATIONS["self.sign-out"], account.entry(), None, None, "", now_ms)
    _end(connection, table.c.id == by.session, now_ms, revoked=False)


def end_all(connection: Connection, account: int, now_ms: int) -> int:
    """End every session of an account, and return how many; the caller records that."""
    # Its sources may be a thief's.
    connection.execute(sa.delete(known_sources).where(known_sources.c.account == account))
    return _end(connection, table.c.account == account, now_ms, revoked=True)


def _of(connection: Connection, secret: str) -> Session | None:
    row = connection.execute(
        sa.select(*_COLUMNS).where(table.c.digest == secret_text.digest(secret))
    ).one_or_none()
    return Session(**row._asdict()) if row else None


def _end(
    connection: Connection, which: sa.ColumnElement[bool], now_ms: int, *, revoked: bool
) -> int:
    done = connection.execute(
        sa.update(table)
        .where(which, table.c.ended_ms.is_(None))
        .values(ended_ms=now_ms, revoked=revoked)
    )
    return done.rowcount
