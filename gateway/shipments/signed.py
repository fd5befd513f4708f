"""Whether what people have signed of shipments still stands, looked after by the judge."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from coldtrail_gateway.audit import signatures, trail
from coldtrail_gateway.audit.signatures import KINDS, Signature
from coldtrail_gateway.audit.trail import Wanted
from coldtrail_gateway.readings import tables
from coldtrail_gateway.shipments import history, signed_record
from coldtrail_gateway.shipments.history import UnknownShipmentError
from coldtrail_gateway.store.database import Store
from coldtrail_gateway.store.tower.database import Tower

log = logging.getLogger("coldtrail.judge")

_AT_ONCE: Final = 500

_State = tuple[Any, ...]
_others = tables.shipments.alias("others")
# What moves when a signed record may have changed: blocks of the shipment, blocks of the tracker
# that nobody can read, numbers that are missing, kinds of finding.
_STATES = (
    sa.select(
        tables.shipments.c.shipment,
        tables.shipments.c.tracker,
        tables.shipments.c.blocks,
        tables.trackers.c.missing,
        tables.trackers.c.findings,
        tables.trackers.c.blocks
        - sa.select(sa.func.sum(_others.c.blocks))
        .where(_others.c.tracker == tables.shipments.c.tracker)
        .scalar_subquery(),
    )
    .join(tables.trackers, tables.trackers.c.id == tables.shipments.c.tracker)
    .where(tables.shipments.c.shipment.in_(sa.bindparam("shipments", expanding=True)))
    .order_by(tables.shipments.c.shipment, tables.shipments.c.tracker)
)


class Signed:
    """Compares what was signed of shipments with what their blocks say now.

    A shipment is read from the archive only when the read model says that something of it has
    changed, and once at the start.
    """

    def __init__(self, store: Store, tower: Tower, now_ms: Callable[[], int]) -> None:
        self._store = store
        self._tower = tower
        self._now_ms = now_ms
        self._standing: dict[str, list[Signature]] = {}
        self._seen: dict[str, list[_State]] = {}
        self._known = 0  # up to this entry of the trail signatures are known

    def review(self) -> None:
        """Note in the trail each signature that later data have superseded.

        Raises:
            GatewayError: a database does not answer, or the trail is not as it was written.
        """
        with self._tower.read() as connection:
            self._learn(connection)
            states = _states(connection, self._standing)
        for shipment, state in states.items():
            if self._seen.get(shipment) != state:
                self._compare(shipment)
                self._seen[shipment] = state

    def _learn(self, connection: Connection) -> None:
        """Take in the signatures that have been given since."""
        wanted = Wanted(action=signatures.SIGNED, kind="shipment", after=self._known)
        for entry in trail.find(connection, wanted):
            signed, shipment = signatures.signature(entry), entry.subject.id
            stands = signatures.standing(connection, signed, signed.digest).stands
            if stands and signed.kind in KINDS:  # else the verification of the trail names it
                self._standing.setdefault(shipment, []).append(signed)
                self._seen.pop(shipment, None)
            self._known = entry.number

    def _compare(self, shipment: str) -> None:
        try:
            with self._store.read() as archive:
                record = signed_record.of(history.load(archive, shipment))
        except UnknownShipmentError as error:
            log.warning("%s It is signed: nobody can tell whether that still stands.", error)
            return
        standing = []
        for signed in self._standing[shipment]:
            now = signatures.content_hash(KINDS[signed.kind], signed.subject, record)
            with self._tower.write() as connection:
                found = signatures.review(connection, signed, now, self._now_ms())
            if found.stands:
                standing.append(signed)
            else:
                log.warning(
                    "shipment %s: later data supersede signature %d", shipment, signed.number
                )
        if standing:
            self._standing[shipment] = standing
        else:
            del self._standing[shipment]


def _states(connection: Connection, shipments: Iterable[str]) -> dict[str, list[_State]]:
    found: dict[str, list[_State]] = {}
    names = list(shipments)
    for at in range(0, len(names), _AT_ONCE):
        some = {"shipments": names[at : at + _AT_ONCE]}
        for shipment, *state in connection.execute(_STATES, some):
            found.setdefault(shipment, []).append(tuple(state))
    return found
