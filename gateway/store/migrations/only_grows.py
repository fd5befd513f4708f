"""Triggers of tables whose rows are only ever added: the database itself refuses the rest.

They stop mistakes, and everybody who may not drop them. Who may drop them is not stopped, but
found out by the hashes and the anchors. For revisions: what is here is as fixed as they are.
"""

from __future__ import annotations

from typing import Final

from alembic import op

_SQLITE: Final = """
CREATE TRIGGER {table}_no_{verb} BEFORE {verb} ON {table}
BEGIN SELECT RAISE(ABORT, '{table} only grows: no row is changed or removed'); END
"""
# REPLACE removes a row, and the trigger of DELETE does not hear of it.
_SQLITE_REPLACE: Final = """
CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table}
WHEN EXISTS (SELECT 1 FROM {table} WHERE {key} = NEW.{key})
BEGIN SELECT RAISE(ABORT, '{table} only grows: no row is replaced'); END
"""
_POSTGRESQL: Final = (
    """
CREATE FUNCTION {table}_only_grows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '{table} only grows: no row is changed or removed';
END $$
""",
    """
CREATE TRIGGER {table}_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION {table}_only_grows()
""",
    # Also where session_replication_role says that triggers are for others.
    "ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_only_grows",
)
_SQLITE_CHAIN: Final = """
CREATE TRIGGER {table}_in_order BEFORE INSERT ON {table}
WHEN NEW.number IS NOT (SELECT coalesce(max(number), 0) + 1 FROM {table})
  OR NEW.previous IS NOT coalesce(
    (SELECT digest FROM {table} ORDER BY number DESC LIMIT 1), zeroblob(32))
BEGIN SELECT RAISE(ABORT, '{table} is a chain: a row follows the newest'); END
"""
_POSTGRESQL_CHAIN: Final = (
    """
CREATE FUNCTION {table}_in_order() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.number IS DISTINCT FROM (SELECT coalesce(max(number), 0) + 1 FROM {table})
    OR NEW.previous IS DISTINCT FROM coalesce(
        (SELECT digest FROM {table} ORDER BY number DESC LIMIT 1),
        decode(repeat('00', 32), 'hex'))
    THEN
        RAISE EXCEPTION '{table} is a chain: a row follows the newest';
    END IF;
    RETURN NEW;
END $$
""",
    """
CREATE TRIGGER {table}_in_order BEFORE INSERT ON {table}
FOR EACH ROW EXECUTE FUNCTION {table}_in_order()
""",
    "ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_in_order",
)


def protect(table: str, key: str) -> None:
    """Let the rows of a table, which `key` tells apart, only be added."""
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(_SQLITE.format(table=table, verb=verb))
        op.execute(_SQLITE_REPLACE.format(table=table, key=key))
    else:
        for statement in _POSTGRESQL:
            op.execute(statement.format(table=table))


def protect_chain(table: str) -> None:
    """Let rows only be added, each behind the newest: `number`, `previous` and `digest`."""
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(_SQLITE.format(table=table, verb=verb))
        op.execute(_SQLITE_CHAIN.format(table=table))
    else:
        for statement in _POSTGRESQL + _POSTGRESQL_CHAIN:
            op.execute(statement.format(table=table))
