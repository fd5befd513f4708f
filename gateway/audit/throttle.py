"""Slows down whoever guesses, without giving anybody a way to lock others out.

An attempt is counted before it is judged, so that many at once gain nothing, and is taken off
again when it was right. Failures count by account and source together, by source alone (one
password tried on many accounts), and by account alone (many sources); after some that are free,
each doubles the wait. What counts by account alone holds back only strangers: a source from which
somebody has signed in to the account before, or a browser with an earlier session of it, has a
count of its own. So an account is never locked for its owner, whatever others try.

For a stranger's guesses from however many sources, the longest wait leaves some 24 a day for an
account; NIST SP 800-63B-4 would rather disable the password after 100. Who signs in from a new
place while somebody attacks asks for a one-time code: who redeems it is no stranger there.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from coldtrail_gateway.audit.people_tables import sign_in_failures as table
from coldtrail_gateway.errors import GatewayError
from coldtrail_gateway.store.dialect import insert, lock_for_writing

KEPT_MS: Final = 24 * 3_600_000
_FIRST_MS: Final = 1000


class TooSoon(GatewayError):
    """Too many attempts; `wait_ms` says when the next one is taken."""

    def __init__(self, wait_ms: int) -> None:
        self.wait_ms = wait_ms
        seconds = -(-wait_ms // 1000)
        super().__init__(f"Too many attempts have failed: wait {seconds} s, and try again.")


@dataclass(frozen=True, slots=True)
class Bucket:
    """What failures are counted for: so many are free, and the wait grows up to so long.

    That the free ones are used up is worth an entry in the trail where it is `remarkable`.
    """

    key: bytes
    free: int
    longest_ms: int
    remarkable: bool = True

    def wait_ms(self, failures: int) -> int:
        """Return how long after the last failure the next attempt is taken."""
        over = failures - self.free
        return 0 if over < 0 else min(self.longest_ms, _FIRST_MS << min(over, 30))


def network(source: str) -> str:
    """Return what a source is counted by: an IPv6 address by its network of 64 bits.

    Whoever has one address of such a network has them all.
    """
    try:
        address = ipaddress.ip_address(source.partition("%")[0])
    except ValueError:
        return source
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def stranger(name: str, source: str) -> list[Bucket]:
    """Return what counts where somebody comes from a source that the account does not know."""
    return [
        Bucket(_key("pair", name, source), 5, 15 * 60_000, remarkable=False),
        Bucket(_key("source", source), 30, 15 * 60_000),
        Bucket(_key("name", name), 20, 60 * 60_000),
    ]


def familiar(name: str, source: str) -> list[Bucket]:
    """Return what counts where the account knows the source."""
    return [Bucket(_key("familiar", name, source), 5, 15 * 60_000)]


def take(connection: Connection, buckets: list[Bucket], now_ms: int) -> None:
    """Count an attempt in every bucket, or in none.

    Raises:
        TooSoon: one of them has to wait.
    """
    lock_for_writing(connection, table)  # else many at once would all find the same count
    connection.execute(
        sa.delete(table).where(
            sa.or_(table.c.last_ms < now_ms - KEPT_MS, table.c.last_ms > now_ms + KEPT_MS)
        )
    )
    wait = max(_wait_ms(connection, bucket, now_ms) for bucket in buckets)
    if wait > 0:
        raise TooSoon(wait)
    for bucket in buckets:
        statement = insert(connection, table).values(bucket=bucket.key, failures=1, last_ms=now_ms)
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["bucket"],
                set_={"failures": table.c.failures + 1, "last_ms": now_ms},
            )
        )


def has_used_up(connection: Connection, buckets: list[Bucket]) -> bool:
    """Tell whether the failure just now was the last free one of a remarkable bucket."""
    keys = [bucket.key for bucket in buckets if bucket.remarkable]
    counted = {
        row.bucket: row.failures
        for row in connection.execute(
            sa.select(table.c.bucket, table.c.failures).where(table.c.bucket.in_(keys))
        )
    }
    return any(counted.get(one.key) == one.free for one in buckets if one.remarkable)


def give_back(connection: Connection, buckets: list[Bucket], *, forget: Bucket) -> None:
    """Take a right attempt off again; what it proves about one bucket clears that one."""
    for bucket in buckets:
        connection.execute(
            sa.update(table)
            .where(table.c.bucket == bucket.key, table.c.failures > 0)
            .values(failures=table.c.failures - 1)
        )
    connection.execute(sa.delete(table).where(table.c.bucket == forget.key))


def _wait_ms(connection: Connection, bucket: Bucket, now_ms: int) -> int:
    row = connection.execute(
        sa.select(table.c.failures, table.c.last_ms).where(table.c.bucket == bucket.key)
    ).one_or_none()
    if row is None:
        return 0
    # A failure that lies in the future was counted before the clock was set back.
    since = now_ms - row.last_ms if now_ms >= row.last_ms else 0
    return max(0, bucket.wait_ms(row.failures) - since)


def _key(*parts: str) -> bytes:
    # Somebody may type a password where the name belongs, so that no name is kept as it is.
    written = "\0".join(part[:1000] for part in parts)
    return sha256(written.encode("utf-8", "surrogatepass")).digest()
