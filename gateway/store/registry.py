"""The registered trackers, their keys and their shipments, within one transaction.

Statements that every message needs are built once: composing them anew costs more than running
them.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.engine import Connection

from coldtrail_gateway.store.dialect import insert
from coldtrail_gateway.store.schema import keys, shipments, trackers


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


_LOCK: Final = (
    sa.select(trackers.c.id)
    .where(trackers.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(trackers.c.id)
    .with_for_update()
)
_KEYS: Final = sa.select(keys).where(keys.c.tracker.in_(bindparam("ids", expanding=True)))
_TRACKER: Final = sa.select(trackers).where(trackers.c.id == bindparam("id"))


class Registry:
    """The tables of what is registered within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def trackers(self) -> list[Tracker]:
        """Return all registered trackers by id."""
        rows = self._connection.execute(sa.select(trackers).order_by("id"))
        return [Tracker(*row) for row in rows]

    def tracker(self, tracker: str) -> Tracker:
        """Return a registered tracker."""
        return Tracker(*self._connection.execute(_TRACKER, {"id": tracker}).one())

    def lock(self, ids: Collection[str]) -> None:
        """Lock these trackers, so that no other gateway extends their chains meanwhile.

        PostgreSQL only; SQLite has one writer at a time.
        """
        self._connection.execute(_LOCK, {"ids": list(ids)})

    def keys(self, ids: Collection[str]) -> dict[str, dict[int, KeyPair]]:
        """Return the keys by version of those of the trackers that are registered."""
        found: dict[str, dict[int, KeyPair]] = {}
        for row in self._connection.execute(_KEYS, {"ids": list(ids)}):
            found.setdefault(row.tracker, {})[row.version] = KeyPair(row.uplink, row.downlink)
        return found

    def add_tracker(self, tracker: str, *, test: bool) -> None:
        """Register a tracker; one that is registered gets the new test mark."""
        statement = insert(self._connection, trackers).values(id=tracker, test=test)
        self._connection.execute(
            statement.on_conflict_do_update(index_elements=["id"], set_={"test": test})
        )

    def add_key(self, tracker: str, version: int, pair: KeyPair) -> None:
        """Register a key version that is not registered yet."""
        self._connection.execute(
            sa.insert(keys).values(
                tracker=tracker, version=version, uplink=pair.uplink, downlink=pair.downlink
            )
        )

    def add_shipment(self, shipment: Shipment) -> None:
        """Register a shipment that is not registered yet."""
        self._connection.execute(
            sa.insert(shipments).values(
                id=shipment.id, tracker=shipment.tracker, profile=shipment.profile
            )
        )

    def shipment(self, shipment: str) -> Shipment | None:
        """Return a registered shipment."""
        row = self._connection.execute(
            sa.select(shipments).where(shipments.c.id == shipment)
        ).one_or_none()
        return Shipment(*row) if row else None
