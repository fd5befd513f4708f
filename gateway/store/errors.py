"""What a database fails of, in one sentence, told by its code."""

from __future__ import annotations

import sqlite3
from typing import Final

from sqlalchemy.exc import DataError as SqlDataError
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, StatementError

from coldtrail_gateway.errors import GatewayError


class StoreError(GatewayError):
    """The database cannot do what was asked; the message says what to do."""


class DataError(StoreError):
    """The database does not take a value, and will not take it another time either."""


class ExchangedError(StoreError):
    """The database's file is not the one that was opened: what is written there is lost."""


class NotOnStandbyError(StoreError):
    """What was written is there and stays there, but is lost when a standby has to take over."""


VALUE_ERRORS: Final = (UnicodeError, OverflowError)
"""What drivers raise of a value that they cannot even send."""

_ADVICE: Final = {
    sqlite3.SQLITE_READONLY: "is read-only: make it writable or name another with --db",
    sqlite3.SQLITE_FULL: "is full: free space on its file system",
    sqlite3.SQLITE_BUSY: "is locked: end what holds it (another program writes to it)",
    sqlite3.SQLITE_LOCKED: "is locked: end what holds it (another program writes to it)",
    sqlite3.SQLITE_IOERR: "cannot be written (disk I/O error): look at its disk and free space",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened: check that it, and its folder, can be written",
    sqlite3.SQLITE_NOTADB: "is not a database: name another with --db",
    sqlite3.SQLITE_CORRUPT: "is damaged: restore it from a copy",
}
# PostgreSQL, appendix A.
_SQLSTATES: Final = {
    "25006": _ADVICE[sqlite3.SQLITE_READONLY],
    "53100": _ADVICE[sqlite3.SQLITE_FULL],
    "55P03": _ADVICE[sqlite3.SQLITE_LOCKED],
    "57014": "takes too long: look at its server's load, and at what holds locks there",
}


def translated(error: Exception, name: str) -> StoreError:
    """Return what an error of the database `name` means."""
    if isinstance(error, (SqlDataError, IntegrityError, *VALUE_ERRORS)):
        return DataError(_sentence(error, name))
    if isinstance(error, StatementError) and isinstance(error.orig, VALUE_ERRORS):
        return DataError(_sentence(error, name))
    return StoreError(_sentence(error, name))


def _sentence(error: Exception, name: str) -> str:
    cause = error.orig if isinstance(error, StatementError) else None
    state = getattr(cause, "sqlstate", None)
    advice = _SQLSTATES.get(state) if state else None
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        advice = "has hung up: start its server again"
    elif isinstance(cause, sqlite3.Error):
        # The low byte is the kind; an error of the module itself has no code.
        advice = _ADVICE.get(getattr(cause, "sqlite_errorcode", 0) & 0xFF)
    elif isinstance(error, OperationalError) and cause is not None and state is None:
        # No server has said why.
        advice = "cannot be reached: start its server, or name the right one with --db"
    if advice is not None:
        return f"The database {name} {advice}."
    text = str(cause or error).strip()
    first = text.splitlines()[0] if text else type(error).__name__
    return f"The database {name} does not do what is asked of it: {first}."
