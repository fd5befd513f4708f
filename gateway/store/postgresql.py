"""A PostgreSQL server: commits that are on its disk, and a limit to every wait.

A commit waits for a synchronous standby without any limit of the server's own. When that wait is
cancelled, the transaction stays: it is on this server's disk, everybody sees it, COMMIT says that
it has been done, and yet it is gone when the standby takes over. So the commit is called undone
(`NotOnStandbyError`), and nothing that was read may be confirmed before a later commit has been
answered by the standby, which then has everything before it (`settle`).
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, Final, cast
from urllib.parse import parse_qsl

import psycopg
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError

from coldtrail_gateway.store.errors import NotOnStandbyError, StoreError
from coldtrail_gateway.urls import Url

# libpq, 34.1.2: a server that is gone is noticed within half a minute.
_CLIENT: Final = {
    "connect_timeout": "10",  # s
    "keepalives_idle": "10",  # s
    "keepalives_interval": "5",  # s
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",  # ms
}
# Of the session, whatever server, role and database have: what a confirmation rests on; and a
# gateway whose machine is gone must not hold its locks for hours.
_SESSION: Final = {
    "lock_timeout": "5s",
    "statement_timeout": "10s",
    # A gateway that was halted in the middle of a transaction; a long verification is none.
    "idle_in_transaction_session_timeout": "5min",
    "tcp_keepalives_idle": "10s",
    "tcp_keepalives_interval": "5s",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "20s",
}
# With a synchronous standby, `remote_apply` waits for more than `on` does.
_SYNCHRONOUS: Final = """
    SELECT set_config(
        'synchronous_commit',
        CASE current_setting('synchronous_commit') WHEN 'remote_apply' THEN 'remote_apply'
        ELSE 'on' END,
        false
    )
"""
_SET: Final = "SELECT set_config(%s, %s, false)"
COMMIT_S: Final = 5.0
"""How long a commit waits for a synchronous standby, in seconds."""

_CANCEL_S: Final = 1.0
# What no session can set, and why it must be so.
_SERVER: Final = {
    "fsync": ("on", "a power cut would take confirmed blocks: set fsync = on"),
    "full_page_writes": ("on", "a power cut could damage it: set full_page_writes = on"),
    "server_encoding": (
        "UTF8",
        "it cannot hold every text: make the database anew with ENCODING 'UTF8'",
    ),
}


def engine(url: Url, schema: str | None) -> Engine:
    """Return an engine of a server; a connection fails where the server is not safe.

    Tables are looked for in `schema` alone; None leaves that to the role and the URL.

    Raises:
        ValueError: the URL's query is not one of PostgreSQL's; the message quotes nothing of it.
    """
    query = _query(url)
    made = sa.create_engine(
        sa.URL.create(
            "postgresql+psycopg",
            username=url.username,
            password=url.password,
            host=url.host or None,
            port=url.port,
            database=url.path.removeprefix("/") or None,
            query=query,
        ),
        connect_args={name: value for name, value in _CLIENT.items() if name not in query},
        pool_pre_ping=True,
        hide_parameters=True,  # keys are among them
    )

    @sa.event.listens_for(made, "do_connect")
    def connect(_d: object, _record: object, given: Any, named: Any) -> psycopg.Connection[Any]:
        connection = _Connection.connect(*given, **named)
        connection.place = str(url)
        return connection

    @sa.event.listens_for(made, "connect")
    def connected(connection: psycopg.Connection[Any], _record: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute(_SYNCHRONOUS)
            for name, value in _SESSION.items():
                cursor.execute(_SET, (name, value))
            if schema is not None:
                cursor.execute(_SET, ("search_path", schema))
            for name, (wanted, reason) in _SERVER.items():
                cursor.execute("SELECT current_setting(%s)", (name,))
                row = cursor.fetchone()
                if row != (wanted,):
                    raise StoreError(
                        f"The database {url} is not safe ({name} is {row and row[0]}): {reason}."
                    )
        connection.commit()

    return made


def copy(connection: Connection, statement: str, rows: Iterable[Sequence[Any]]) -> None:
    """Write rows by a COPY … FROM STDIN: many of them cost a tenth of what an INSERT takes.

    Raises:
        DBAPIError: as of any other statement.
    """
    driver = cast("psycopg.Connection[Any]", connection.connection.driver_connection)
    try:
        with driver.cursor() as cursor, cursor.copy(statement.encode()) as stream:
            for row in rows:
                stream.write_row(row)
    except psycopg.Error as error:
        raise DBAPIError.instance(statement, None, error, psycopg.Error) from error


class _Connection(psycopg.Connection[Any]):
    """A connection whose commits do not wait for ever, and say when a standby has them not."""

    place = ""

    def commit(self) -> None:
        """Commit, within `COMMIT_S`.

        Raises:
            NotOnStandbyError: it is on the disk of this server alone.
        """
        warnings = []

        def notice(told: psycopg.errors.Diagnostic) -> None:
            # A commit warns of nothing else than that its wait was cancelled, by whomever.
            if told.severity_nonlocalized == "WARNING":
                warnings.append(told)

        limit = threading.Timer(COMMIT_S, cancel, [self])
        self.add_notice_handler(notice)
        limit.start()
        try:
            super().commit()
        finally:
            limit.cancel()
            limit.join()  # a cancellation that is on its way must not hit the next statement
            self.remove_notice_handler(notice)
        if warnings:
            raise NotOnStandbyError(
                f"The database {self.place} keeps this on its own disk alone, because its "
                "synchronous standby has not answered: start the standby, or take it out of "
                "synchronous_standby_names."
            )


def cancel(connection: psycopg.Connection[Any]) -> None:
    """Let the server end what a connection waits for; from any thread."""
    with suppress(psycopg.Error):  # then it has ended, or is lost
        connection.cancel_safe(timeout=_CANCEL_S)


def settle(connection: Connection) -> None:
    """Write something, so that this commit is answered only when the standby has all before it.

    A server without a synchronous standby is not written to: what one sees there is on its disk.
    """
    connection.execute(
        sa.text(
            "SELECT pg_logical_emit_message(true, 'coldtrail', '') "
            "WHERE current_setting('synchronous_standby_names') <> ''"
        )
    )


def _query(url: Url) -> dict[str, str]:
    known = {option.keyword.decode() for option in psycopg.pq.Conninfo.get_defaults()}
    try:
        pairs = dict(parse_qsl(url.query, keep_blank_values=True, strict_parsing=bool(url.query)))
    except ValueError:
        pairs = {"": ""}
    if unknown := pairs.keys() - known:
        raise ValueError(
            f"its query has {len(unknown)} settings that PostgreSQL's client does not know"
        )
    return pairs
