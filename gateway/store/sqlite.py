"""An SQLite file: made private, written through to the disk, with a limit to every wait."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from coldtrail_gateway.store.errors import StoreError

_BUSY_S: Final = 5.0
_FULL: Final = 2  # of PRAGMA synchronous
_OCTAL: Final = re.compile(r"\\([0-7]{3})")
# Where two machines do not see each other's locks and shared memory, which WAL needs.
_NETWORK: Final = re.compile(
    r"(nfs\d?|cifs|smb\d?|smbfs|9p|afs|ceph|glusterfs|lustre|fuse\.(sshfs|rclone|glusterfs|s3fs))"
)


def engine(path: Path, *, create: bool, first: str) -> Engine:
    """Return an engine of a file; with `create`, make it where it is not there yet.

    `first` says what to do where it is missing.

    Raises:
        StoreError: there is none, it cannot be made, or its file system cannot hold one.
    """
    path = path.absolute()
    if create:
        _create_private(path)
    elif not _exists(path):
        raise StoreError(
            f"There is no database at {path}: {first}, or name the right one with --db."
        )
    kind = file_system(path.resolve(), Path("/proc/self/mountinfo"))
    if _NETWORK.fullmatch(kind):
        raise StoreError(
            f"The database {path} lies on a network file system ({kind}), where SQLite cannot "
            "keep it whole: name a file on a local disk, or PostgreSQL, with --db."
        )
    made = sa.create_engine(
        sa.URL.create("sqlite", database=str(path)),
        connect_args={"timeout": _BUSY_S, "isolation_level": None},
        hide_parameters=True,  # keys are among them
    )

    @sa.event.listens_for(made, "connect")
    def connected(dbapi_connection: Any, _record: object) -> None:
        # Else one text that is no UTF-8 stops whoever reads its row, and hides which row it is.
        dbapi_connection.text_factory = _text
        cursor = dbapi_connection.cursor()
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        (journal,) = cursor.execute("PRAGMA journal_mode=WAL").fetchone()
        (synchronous,) = cursor.execute("PRAGMA synchronous").fetchone()
        cursor.close()
        if (journal, synchronous) != ("wal", _FULL):
            raise StoreError(
                f"The database {path} cannot be written safely here (journal mode {journal}, not "
                "WAL): move it to a local disk, or name another with --db."
            )

    @sa.event.listens_for(made, "begin")
    def begun(connection: Connection) -> None:
        # A reader that turns into a writer may find itself locked out without a wait.
        write = connection.get_execution_options().get("coldtrail_write")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return made


def file_system(path: Path, mounts: Path) -> str:
    """Return the kind of file system a path lies on, by a table as /proc/self/mountinfo (proc(5)).

    Empty where the system has no such table or the table does not tell.
    """
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return ""
    kind, depth = "", -1
    for line in lines:
        before, _, after = line.partition(" - ")
        place = Path(_OCTAL.sub(lambda match: chr(int(match[1], 8)), before.split()[4]))
        # Of two at one place the later hides the earlier.
        if path.is_relative_to(place) and len(place.parts) >= depth:
            kind, depth = after.split()[0], len(place.parts)
    return kind


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


@contextmanager
def alone(path: Path) -> Iterator[bool]:
    """Be the only process that holds a file's lock while the block lasts; False where one does.

    The lock is that of a file beside it, ``NAME.lock``: SQLite loses its own where the file itself
    is closed.

    Raises:
        StoreError: that file cannot be made.
    """
    lock = path.with_name(f"{path.name}.lock")
    try:
        descriptor = os.open(lock, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(
            f"The file {lock} cannot be made ({error.strerror}): check the permissions of its "
            "folder."
        ) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_ours = True
        except BlockingIOError:
            is_ours = False
        yield is_ours
    finally:
        os.close(descriptor)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:
        raise StoreError(
            f"The database {path} cannot be opened ({error.strerror}): check the path and its "
            "permissions, or name another with --db."
        ) from error


def _create_private(path: Path) -> None:
    """Make the file before SQLite does: it will hold keys, and SQLite would obey the umask."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        if not path.is_file():
            raise StoreError(f"{path} is not a file: name another with --db.") from None
    except OSError as error:
        raise StoreError(
            f"The database {path} cannot be made ({error.strerror}): name another with --db."
        ) from error
