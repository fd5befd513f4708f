"""Messages that are not believed, within one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.engine import Connection

from coldtrail_gateway.contract.envelope import MAX_SIZE
from coldtrail_gateway.store.dialect import QUARANTINE, insert, one_at_a_time
from coldtrail_gateway.store.schema import quarantine, refused

SHARE: Final = 20
"""How many messages are kept of one topic: the newest; a registered tracker's are always kept."""

MAX_UNKNOWN: Final = 1000
"""How many are kept of all topics together that name no registered tracker: the newest."""


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A message that is not believed; `known`: its topic names a registered tracker."""

    topic: str
    known: bool
    reason: str
    detail: str
    message: bytes


_ADD: Final = sa.insert(quarantine)
_other = quarantine.alias()


def _beyond(limit: int, *share: sa.ColumnElement[bool]) -> sa.ScalarSelect[int]:
    """Return the id of the newest row of a share that is one too many; null where none is."""
    newest = sa.select(_other.c.id).where(*share).order_by(_other.c.id.desc())
    return newest.limit(1).offset(limit).scalar_subquery()


_DROP_OF_TOPIC: Final = sa.delete(quarantine).where(
    quarantine.c.topic == bindparam("b_topic"),
    quarantine.c.id <= _beyond(SHARE, _other.c.topic == bindparam("b_topic")),
)
_DROP_UNKNOWN: Final = sa.delete(quarantine).where(
    quarantine.c.known == sa.false(),
    quarantine.c.id <= _beyond(MAX_UNKNOWN, _other.c.known == sa.false()),
)


class Quarantine:
    """The table of the quarantine within one transaction, and the counts by reason."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, junk: Sequence[Quarantined], now_ms: int) -> None:
        """Keep messages that are not believed; beyond a share its oldest are dropped."""
        if not junk:
            return
        rows = [
            {
                "received_ms": now_ms,
                "topic": item.topic,
                "reason": item.detail,
                "size": len(item.message),
                "message": item.message[:MAX_SIZE],
                "known": item.known,
            }
            for item in junk
        ]
        # Each drops what another one drops as well: in any order, they would wait for each other.
        one_at_a_time(self._connection, QUARANTINE)
        self._connection.execute(_ADD, rows)
        topics = sorted({item.topic for item in junk})
        self._connection.execute(_DROP_OF_TOPIC, [{"b_topic": topic} for topic in topics])
        self._connection.execute(_DROP_UNKNOWN)
        reasons = [item.reason for item in junk]
        for reason in sorted(set(reasons)):
            row = {"reason": reason, "count": reasons.count(reason)}
            count = insert(self._connection, refused).values(row)
            total = refused.c.count + count.excluded.count
            self._connection.execute(
                count.on_conflict_do_update(index_elements=["reason"], set_={"count": total})
            )

    def refused(self) -> Mapping[str, int]:
        """Return how many messages were ever refused, by reason."""
        rows = self._connection.execute(sa.select(refused).order_by("reason"))
        return {row[0]: row[1] for row in rows}
