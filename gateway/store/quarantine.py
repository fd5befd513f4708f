"""Messages that are not believed, within one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from coldtrail_gateway.contract.envelope import MAX_SIZE
from coldtrail_gateway.store.dialect import insert
from coldtrail_gateway.store.schema import quarantine, refused

MAX_ROWS: Final = 1000


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A message that is not believed; `message` is its first 4 KiB."""

    topic: str
    reason: str
    detail: str
    message: bytes


_ADD: Final = sa.insert(quarantine)
_NEWEST: Final = sa.select(sa.func.max(quarantine.c.id)).scalar_subquery()
_DROP: Final = sa.delete(quarantine).where(quarantine.c.id <= _NEWEST - MAX_ROWS)


class Quarantine:
    """The table of the quarantine within one transaction, and the counts by reason."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, junk: Sequence[Quarantined], now_ms: int) -> None:
        """Keep messages that are not believed; beyond the quota the oldest are dropped."""
        if not junk:
            return
        rows = [
            {
                "received_ms": now_ms,
                "topic": item.topic,
                "reason": item.detail,
                "size": len(item.message),
                "message": item.message[:MAX_SIZE],
            }
            for item in junk
        ]
        self._connection.execute(_ADD, rows)
        self._connection.execute(_DROP)
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
