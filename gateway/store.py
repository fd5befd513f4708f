"""The store: registrations, the archive of sealed blocks, and the quarantine.

SQLite in WAL mode with synchronous=FULL, or PostgreSQL: when `Store.write` has ended, what was
written is on disk.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from gateway import schema
from gateway.block import Head
from gateway.confirmation import MAX_RANGES, State
from gateway.envelope import MAX_SIZE
from gateway.errors import GatewayError

QUARANTINE_ROWS: Final = 1000
_BUSY_S: Final = 5.0
_CONNECT_S: Final = 10


class StoreError(GatewayError):
    """The database cannot do what was asked; the message says what to do."""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """One version of a tracker's keys."""

    uplink: bytes
    downlink: bytes


@dataclass(frozen=True, slots=True)
class Tracker:
    """A registered tracker; what is None is not known before its first block."""

    id: str
    test: bool
    chain: bytes | None
    key_version: int | None
    last_seen_ms: int | None


@dataclass(frozen=True, slots=True)
class Shipment:
    """A registered shipment; `profile` is JSON."""

    id: str
    tracker: str
    profile: str | None


@dataclass(frozen=True, slots=True)
class ArchivedRow:
    """A sealed block as it was received."""

    id: int
    sealed: bytes
    digest: bytes
    key_version: int
    received_ms: int
    chain: bytes | None
    number: int | None
    repeats: int
    repeated_ms: int | None


def default_path() -> Path:
    """Return the database file used when none is named."""
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "coldtrail" / "gateway.db"


class Store:
    """A database of this schema.

    `url` is an SQLAlchemy URL of SQLite or PostgreSQL, or the path of an SQLite file.

    Raises:
        StoreError: it cannot be reached, or a newer Coldtrail made it; without `create` also
            where there is none yet.
    """

    def __init__(self, url: str, *, create: bool) -> None:
        self._engine, self._name = _engine(url, create=create)
        if create:
            with self.write() as tables:
                tables.create()
        with self.read() as tables:
            tables.check_version(self._name)

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    @contextmanager
    def read(self) -> Iterator[Tables]:
        """A consistent view.

        Raises:
            StoreError: the database does not answer as it must.
        """
        with self._transaction(write=False) as tables:
            yield tables

    @contextmanager
    def write(self) -> Iterator[Tables]:
        """All or nothing; on disk when the block has ended without an exception.

        Raises:
            StoreError: nothing was written.
        """
        with self._transaction(write=True) as tables:
            yield tables

    @contextmanager
    def _transaction(self, *, write: bool) -> Iterator[Tables]:
        try:
            with self._engine.connect() as connection:
                connection.execution_options(coldtrail_write=write)
                with connection.begin():
                    yield Tables(connection)
        except SQLAlchemyError as error:
            raise StoreError(_sentence(error, self._name)) from error


class Tables:
    """What can be asked and done within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        dialect = connection.dialect.name
        self._insert: Any = sqlite.insert if dialect == "sqlite" else postgresql.insert

    # --- schema ---

    def create(self) -> None:
        """Make the tables that are not there yet."""
        schema.metadata.create_all(self._connection)
        # A database of another version keeps the number it has.
        if self._connection.scalar(sa.select(schema.schema.c.version)) is None:
            self._connection.execute(
                self._insert(schema.schema).values(version=schema.VERSION).on_conflict_do_nothing()
            )

    def check_version(self, name: str) -> None:
        """Refuse a database that is none of ours, or a newer one."""
        if not sa.inspect(self._connection).has_table(schema.schema.name):
            raise StoreError(
                f"{name} holds no Coldtrail gateway: register a tracker first "
                "(coldtrail gateway register FILE)."
            )
        version = self._connection.scalar(sa.select(schema.schema.c.version))
        if version != schema.VERSION:
            raise StoreError(
                f"{name} has schema {version}, this program knows {schema.VERSION}: "
                "use the version of Coldtrail that made it, or a newer one."
            )

    # --- registrations ---

    def trackers(self) -> list[Tracker]:
        """Return all registered trackers by id."""
        rows = self._connection.execute(sa.select(schema.trackers).order_by("id"))
        return [Tracker(*row) for row in rows]

    def lock(self, trackers: Collection[str]) -> None:
        """Let no other gateway extend these trackers' chains until the transaction ends.

        PostgreSQL only; SQLite has one writer at a time.
        """
        c = schema.trackers.c
        self._connection.execute(
            sa.select(c.id).where(c.id.in_(trackers)).order_by(c.id).with_for_update()
        )

    def chain(self, tracker: str) -> bytes | None:
        """Return the chain of the newest message of a tracker that verified."""
        c = schema.trackers.c
        return self._connection.scalar(sa.select(c.chain).where(c.id == tracker))

    def keys(self, trackers: Collection[str]) -> dict[str, dict[int, KeyPair]]:
        """Return the keys by version of those of the trackers that are registered."""
        statement = sa.select(schema.keys).where(schema.keys.c.tracker.in_(trackers))
        found: dict[str, dict[int, KeyPair]] = {}
        for row in self._connection.execute(statement):
            found.setdefault(row.tracker, {})[row.version] = KeyPair(row.uplink, row.downlink)
        return found

    def add_tracker(self, tracker: str, *, test: bool) -> None:
        """Register a tracker; one that is registered gets the new test mark."""
        statement = self._insert(schema.trackers).values(id=tracker, test=test)
        self._connection.execute(
            statement.on_conflict_do_update(index_elements=["id"], set_={"test": test})
        )

    def add_key(self, tracker: str, version: int, pair: KeyPair) -> None:
        """Register a key version that is not registered yet."""
        self._connection.execute(
            sa.insert(schema.keys).values(
                tracker=tracker, version=version, uplink=pair.uplink, downlink=pair.downlink
            )
        )

    def add_shipment(self, shipment: Shipment) -> None:
        """Register a shipment that is not registered yet."""
        self._connection.execute(
            sa.insert(schema.shipments).values(
                id=shipment.id, tracker=shipment.tracker, profile=shipment.profile
            )
        )

    def shipment(self, shipment: str) -> Shipment | None:
        """Return a registered shipment."""
        row = self._connection.execute(
            sa.select(schema.shipments).where(schema.shipments.c.id == shipment)
        ).one_or_none()
        return Shipment(*row) if row else None

    # --- archive ---

    def archive(
        self,
        tracker: str,
        sealed: bytes,
        digest: bytes,
        key_version: int,
        head: Head | None,
        now_ms: int,
    ) -> bool:
        """Keep a sealed block that verifies; return whether these bytes are new.

        The same bytes again are counted, not kept twice.
        """
        c = schema.blocks.c
        chain, number = (head.chain, head.number) if head else (None, None)
        inserted = self._connection.execute(
            self._insert(schema.blocks)
            .values(
                tracker=tracker,
                digest=digest,
                sealed=sealed,
                key_version=key_version,
                received_ms=now_ms,
                chain=chain,
                number=number,
                repeats=0,
            )
            .on_conflict_do_nothing(index_elements=["tracker", "digest"])
        )
        new = bool(inserted.rowcount)
        if not new:
            self._connection.execute(
                sa.update(schema.blocks)
                .where(c.tracker == tracker, c.digest == digest)
                .values(repeats=c.repeats + 1, repeated_ms=now_ms)
            )
        elif head:
            self._keep(tracker, head)
        seen: dict[str, object] = {"last_seen_ms": now_ms, "key_version": key_version}
        if chain is not None:
            seen["chain"] = chain
        self._connection.execute(
            sa.update(schema.trackers).where(schema.trackers.c.id == tracker).values(seen)
        )
        return new

    def _keep(self, tracker: str, head: Head) -> None:
        """Add a number to the ranges kept, joining those it touches."""
        c = schema.kept.c
        touching = sa.and_(
            c.tracker == tracker,
            c.chain == head.chain,
            c.first <= head.number + 1,
            c.last >= head.number - 1,
        )
        spans = self._connection.execute(sa.select(c.first, c.last).where(touching)).all()
        if any(first <= head.number <= last for first, last in spans):
            return
        self._connection.execute(sa.delete(schema.kept).where(touching))
        self._connection.execute(
            sa.insert(schema.kept).values(
                tracker=tracker,
                chain=head.chain,
                first=min([head.number, *(first for first, _ in spans)]),
                last=max([head.number, *(last for _, last in spans)]),
            )
        )

    def state(self, tracker: str, chain: bytes, key_version: int) -> State:
        """Return what the confirmation document has to say of a chain."""
        k, b = schema.kept.c, schema.blocks.c
        rows = self._connection.execute(
            sa.select(k.first, k.last)
            .where(k.tracker == tracker, k.chain == chain)
            .order_by(k.first)
            # The watermark, the ranges beyond it.
            .limit(1 + MAX_RANGES)
        )
        spans = tuple((first, last) for first, last in rows)
        state = State(tracker, chain, key_version, spans, None)
        if not state.watermark:
            return state
        # Of a fork, the block that came first.
        digest = self._connection.scalar(
            sa.select(b.digest)
            .where(b.tracker == tracker, b.chain == chain, b.number == state.watermark)
            .order_by(b.id)
            .limit(1)
        )
        return State(tracker, chain, key_version, spans, digest)

    def archived(self, tracker: str) -> Iterator[ArchivedRow]:
        """Return every block of a tracker in the order of arrival."""
        c = schema.blocks.c
        names = list(ArchivedRow.__dataclass_fields__)
        rows = self._connection.execute(
            sa.select(*(c[name] for name in names)).where(c.tracker == tracker).order_by(c.id)
        )
        return (ArchivedRow(*row) for row in rows)

    # --- quarantine ---

    def quarantine(self, topic: str, message: bytes, reason: str, kind: str, now_ms: int) -> None:
        """Put aside a message that is not believed; the oldest gives way when there are many."""
        table = schema.quarantine
        self._connection.execute(
            sa.insert(table).values(
                received_ms=now_ms,
                topic=topic,
                reason=reason,
                size=len(message),
                message=message[:MAX_SIZE],
            )
        )
        newest = sa.select(sa.func.max(table.c.id)).scalar_subquery()
        self._connection.execute(sa.delete(table).where(table.c.id <= newest - QUARANTINE_ROWS))
        count = self._insert(schema.refused).values(reason=kind, count=1)
        self._connection.execute(
            count.on_conflict_do_update(
                index_elements=["reason"], set_={"count": schema.refused.c.count + 1}
            )
        )

    def refused(self) -> Mapping[str, int]:
        """Return how many messages were ever refused, by reason."""
        rows = self._connection.execute(sa.select(schema.refused).order_by("reason"))
        return {row[0]: row[1] for row in rows}

    def quarantined(self) -> Sequence[sa.Row[Any]]:
        """Return what is in the quarantine, oldest first."""
        return self._connection.execute(sa.select(schema.quarantine).order_by("id")).all()


# --- engines ---


def _engine(text: str, *, create: bool) -> tuple[Engine, str]:
    try:
        url = make_url(text if "://" in text else f"sqlite:///{text}")
        if url.drivername in ("postgresql", "postgres"):
            url = url.set(drivername="postgresql+psycopg")
        name = url.render_as_string(hide_password=True)
        if url.get_backend_name() == "sqlite":
            return _sqlite(url, create=create)
        if url.get_backend_name() != "postgresql":
            raise StoreError(f"{name} is neither SQLite nor PostgreSQL: name one of these.")
        engine = sa.create_engine(
            url, connect_args={"connect_timeout": _CONNECT_S}, pool_pre_ping=True
        )
    except (ArgumentError, NoSuchModuleError) as error:
        raise StoreError(
            "The database is named by a URL (sqlite:///FILE, postgresql://HOST/NAME) or a path: "
            f"{error}."
        ) from error
    return engine, name


def _sqlite(url: sa.URL, *, create: bool) -> tuple[Engine, str]:
    name = url.database or ""
    if not name or name == ":memory:":
        raise StoreError("The database must be a file: one in memory keeps nothing.")
    if not name.startswith("file:"):
        path = Path(name)
        if create:
            _create_private(path)
        elif not path.exists():
            raise StoreError(
                f"There is no database at {path}: register a tracker first "
                "(coldtrail gateway register FILE), or name the right one with --db."
            )
    engine = sa.create_engine(url, connect_args={"timeout": _BUSY_S, "isolation_level": None})

    @sa.event.listens_for(engine, "connect")
    def connected(dbapi_connection: Any, _record: object) -> None:
        cursor = dbapi_connection.cursor()
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        if create:
            cursor.execute("PRAGMA journal_mode=WAL")
        cursor.close()

    @sa.event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        # A reader that turns into a writer may find itself locked out without a wait.
        write = connection.get_execution_options().get("coldtrail_write")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine, name


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


_ADVICE: Final = (
    ("readonly database", "is read-only: make it writable or name another with --db"),
    ("is full", "is full: free space on its file system"),
    ("is locked", "is locked: end what holds it (another program writes to it)"),
    ("disk I/O error", "cannot be written (disk I/O error): look at its disk and free space"),
    ("unable to open", "cannot be opened: check the path and its permissions"),
    ("not a database", "is not a database: name another with --db"),
    ("malformed", "is damaged: restore it from a copy"),
)


def _sentence(error: SQLAlchemyError, name: str) -> str:
    cause = str(error.orig) if isinstance(error, DBAPIError) else str(error)
    for mark, advice in _ADVICE:
        if mark in cause:
            return f"The database {name} {advice}."
    first = cause.strip().splitlines()[0] if cause.strip() else type(error).__name__
    return f"The database {name} does not do what is asked of it: {first}."
