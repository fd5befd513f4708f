"""What can be asked of the database and done to it within one transaction, by noun."""

from __future__ import annotations

from sqlalchemy.engine import Connection

from coldtrail_gateway.store.archive import Archive
from coldtrail_gateway.store.commands import Commands
from coldtrail_gateway.store.quarantine import Quarantine
from coldtrail_gateway.store.registry import Registry


class Tables:
    """The tables within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self.registry = Registry(connection)
        self.archive = Archive(connection)
        self.quarantine = Quarantine(connection)
        self.commands = Commands(connection)
