"""The registered trackers, their keys and their shipments, within one transaction.

Statements that every message needs are built once: composing them anew costs more than running
them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.engine import Connection

from coldtrail_gateway.store.dialect import insert, lock_for_writing
from coldtrail_gateway.store.schema import keys, shipments, trackers


@dataclass(frozen=True, slots=True)
class KeyPair:
    """One version of a tracker's keys."""

    uplink: bytes
    downlink: bytes


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose a key is; `direction` is ``uplink`` or ``downlink``."""

    tracker: str
    version: int
    direction: str

    def __str__(self) -> str:
        return f"{self.direction} key of tracker {self.tracker}, version {self.version}"


class Tracker(NamedTuple):
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
_HOLDERS: Final = {
    column.name: sa.select(column, keys.c.tracker, keys.c.version).where(
        column.in_(bindparam("keys", expanding=True))
    )
    for column in (keys.c.uplink, keys.c.downlink)
}
_AT_ONCE: Final = 1000  # parameters of a statement; SQLite takes 32,766 at most
_TRACKERS: Final = sa.select(trackers).where(trackers.c.id.in_(bindparam("ids", expanding=True)))
_SHIPMENTS: Final = sa.select(shipments).where(
    shipments.c.id.in_(bindparam("ids", expanding=True))
)


class Registry:
    """The tables of what is registered within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def trackers(self) -> list[Tracker]:
        """Return all registered trackers by id."""
        rows = self._connection.execute(sa.select(trackers).order_by("id"))
        return [Tracker(*row) for row in rows.all()]

    def tracker(self, tracker: str) -> Tracker:
        """Return a registered tracker."""
        return self.named([tracker])[tracker]

    def named(self, ids: Collection[str]) -> dict[str, Tracker]:
        """Return those of the trackers that are registered, by id."""
        rows = self._connection.execute(_TRACKERS, {"ids": list(ids)})
        return {row.id: Tracker(*row) for row in rows}

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

    def lock_keys(self) -> None:
        """Let nobody else register keys until the transaction ends; PostgreSQL only."""
        lock_for_writing(self._connection, keys)

    def holders(self, values: Sequence[bytes]) -> dict[bytes, Holder]:
        """Return whose those of the keys are that are registered."""
        found: dict[bytes, Holder] = {}
        for direction, statement in _HOLDERS.items():
            for start in range(0, len(values), _AT_ONCE):
                some = {"keys": values[start : start + _AT_ONCE]}
                for value, tracker, version in self._connection.execute(statement, some):
                    found[value] = Holder(tracker, version, direction)
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

    def shipments(self, ids: Collection[str]) -> dict[str, Shipment]:
        """Return those of the shipments that are registered, by id."""
        rows = self._connection.execute(_SHIPMENTS, {"ids": list(ids)})
        return {row.id: Shipment(*row) for row in rows}

    def shipment(self, shipment: str) -> Shipment | None:
        """Return a registered shipment."""
        row = self._connection.execute(
            sa.select(shipments).where(shipments.c.id == shipment)
        ).one_or_none()
        return Shipment(*row) if row else None
