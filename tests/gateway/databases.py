"""Databases for the tests: SQLite files, and a private PostgreSQL where there is a server."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from tests.support.host import until

MISSING = (
    "No PostgreSQL server is installed: install one (Debian: apt-get install postgresql), "
    "or put its initdb and postgres on PATH."
)

LATER = sa.text("UPDATE coldtrail_revision SET version_num = '9999_later'")
"""Makes a database one that a later program has brought on."""

_numbers = itertools.count()


def programs() -> Path | None:
    """Return the folder of the newest PostgreSQL server; None where there is none."""
    folders = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name)
    )
    found = shutil.which("initdb")
    if found:
        folders.append(Path(found).resolve().parent)
    usable = [folder for folder in folders if (folder / "postgres").exists()]
    return usable[-1] if usable else None


class Server:
    """A private server that listens on a Unix socket only, with settings of its own."""

    def __init__(self, folder: Path, home: Path, *settings: str) -> None:
        self._folder = folder
        self._home = home
        self._settings = [word for setting in settings for word in ("-c", setting)]
        self._run_as: dict[str, Any] = {}
        if os.getuid() == 0:
            # It refuses to run as root.
            nobody = pwd.getpwnam("nobody")
            os.chown(home, nobody.pw_uid, nobody.pw_gid)
            self._run_as = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        subprocess.run(
            [
                folder / "initdb",
                "-D",
                home / "data",
                "-U",
                "coldtrail",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--locale=C",
                "--no-sync",
            ],
            check=True,
            capture_output=True,
            cwd=home,
            **self._run_as,
        )
        self.url = f"postgresql://coldtrail@/postgres?host={home}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._process = subprocess.Popen(
            [
                self._folder / "postgres",
                "-D",
                self._home / "data",
                "-k",
                self._home,
                "-c",
                "listen_addresses=",
                *self._settings,
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self._home,
            **self._run_as,
        )
        until(lambda: _is_ready(self._folder, self._home), "PostgreSQL")

    def start_as_standby(self) -> None:
        """Start it as a standby, which goes on where it had ended and takes no writes."""
        (self._home / "data" / "standby.signal").touch()
        self.start()

    def stop_at_once(self) -> None:
        """End it as a fault does, without a checkpoint; what is not on disk is gone."""
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait()


@contextmanager
def postgresql(folder: Path, *settings: str) -> Iterator[Server]:
    """Run a private server."""
    # A socket's path may have no more than 107 bytes.
    with tempfile.TemporaryDirectory(prefix="pg-", dir="/tmp") as name:
        server = Server(folder, Path(name), *settings)
        server.start()
        try:
            yield server
        finally:
            server.stop_at_once()


def create(server: str, options: str = "") -> str:
    """Create an empty database with these options at the server; return its URL."""
    name = f"test{next(_numbers)}"
    own = engine(server)
    with own.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name} {options}")
    own.dispose()
    return server.replace("/postgres?", f"/{name}?")


def engine(url: str) -> sa.Engine:
    """Return an engine of the tests' own at a database, which nothing is hidden from."""
    return sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))


def revision(url: str) -> str | None:
    """Return what a database says its revision is."""
    own = engine(url)
    with own.connect() as connection:
        found: str | None = connection.scalar(
            sa.text("SELECT version_num FROM coldtrail_revision")
        )
    own.dispose()
    return found


def tamper(url: str, *statements: sa.Executable) -> None:
    """Change a database behind the gateway's back."""
    own = engine(url)
    with own.begin() as connection:
        for statement in statements:
            connection.execute(statement)
    own.dispose()


def unprotect(url: str) -> None:
    """Let rows of blocks be changed, as whoever owns the database can."""
    if url.startswith("postgresql"):
        tamper(url, sa.DDL("ALTER TABLE blocks DISABLE TRIGGER ALL"))
    else:
        own = engine(url)
        with own.begin() as connection:
            triggers = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
            for name in connection.scalars(sa.text(triggers)).all():
                connection.exec_driver_sql(f"DROP TRIGGER {name}")
        own.dispose()


def _is_ready(folder: Path, home: Path) -> bool:
    # Without a socket it does not wait, whatever time it is given.
    asked = subprocess.run([folder / "pg_isready", "-h", home], check=False, capture_output=True)
    return asked.returncode == 0
