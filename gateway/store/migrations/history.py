"""The revisions of a database, in their order; each brings what is there to the next.

A revision is a module of Alembic's kind: `revision`, `down_revision` and `upgrade()`, which works
through `alembic.op`. There is no way back. All that are missing are applied in one transaction.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection

from coldtrail_gateway.store import schema
from coldtrail_gateway.store.dialect import one_at_a_time, take_time
from coldtrail_gateway.store.tower import schema as tower

VERSION_TABLE: Final = "coldtrail_revision"
"""Holds the revision; with Alembic's own name another program may have a table beside ours."""

# It tells at each start which database it has before it.
logging.getLogger("alembic").setLevel(logging.WARNING)


@dataclass(frozen=True)
class History:
    """The revisions of one of the databases.

    Attributes:
        folder: where they are, beside this module.
        metadata: its tables, as the newest revision leaves them.
        holds: what a database with these tables is for, in a sentence.
        first: what to do where there is none yet, in a sentence.
        schema: the schema of PostgreSQL that holds the tables; None leaves that to the role.
        released: versions that were given out before there were revisions. The table
            `coldtrail_schema` holds them, and the first revision takes on from each.
    """

    folder: str
    metadata: sa.MetaData
    holds: str
    first: str
    schema: str | None = None
    released: tuple[str, ...] = ()

    @cached_property
    def _scripts(self) -> ScriptDirectory:
        folder = Path(__file__).parent / self.folder
        return ScriptDirectory(folder, version_locations=[folder])

    @property
    def newest(self) -> str:
        """The revision that this program works with."""
        return self._scripts.get_current_head() or "base"

    def revision(self, connection: Connection) -> str | None:
        """Return the revision of a database; None where it holds nothing of ours."""
        found = self._context(connection).get_current_revision()
        if (
            found is None
            and self.released
            and sa.inspect(connection).has_table("coldtrail_schema")
        ):
            return str(connection.scalar(sa.text("SELECT version FROM coldtrail_schema")))
        return found

    def knows(self, revision: str) -> bool:
        """Tell whether a revision is one that this program can bring to the newest."""
        own = {script.revision for script in self._scripts.walk_revisions()}
        return revision in own or revision in self.released

    def upgrade(self, connection: Connection) -> None:
        """Apply what is missing; leave a revision alone that this program does not know.

        Two processes that start at once do it once: the second waits for the first.
        """
        one_at_a_time(connection)
        take_time(connection)
        self._make_schema(connection)
        found = self.revision(connection)
        if found is not None and not self.knows(found):
            return
        base = found is None or found in self.released
        missing = self._scripts.iterate_revisions("head", "base" if base else found)
        context = self._context(connection)
        with Operations.context(context):
            for script in reversed(list(missing)):
                script.module.upgrade()
                context.stamp(self._scripts, script.revision)

    def _context(self, connection: Connection) -> MigrationContext:
        # The metadata says how a constraint is named.
        opts = {"version_table": VERSION_TABLE, "target_metadata": self.metadata}
        return MigrationContext.configure(connection, opts=opts)

    def _make_schema(self, connection: Connection) -> None:
        if self.schema is None or connection.dialect.name != "postgresql":
            return
        # A role that may make none can still use one that is there.
        if not sa.inspect(connection).has_schema(self.schema):
            connection.execute(sa.schema.CreateSchema(self.schema))


ARCHIVE: Final = History(
    "archive",
    schema.metadata,
    holds="Coldtrail gateway",
    first="register a tracker first (coldtrail gateway register FILE)",
    released=("1", "2", "3"),
)
TOWER: Final = History(
    "tower",
    tower.metadata,
    holds="read model of a gateway",
    first="start the judge first (coldtrail gateway judge)",
    schema="tower",
)
