"""Gateways that put messages aside in one database at once do not get in each other's way."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from random import Random
from threading import Barrier

from coldtrail_gateway.store.database import Store
from coldtrail_gateway.store.quarantine import Quarantined

GATEWAYS = 4
ROUNDS = 25
EACH = 200  # as many as a gateway puts aside in a second
NOW_MS = 1_767_225_600_123


def test_several_gateways_in_a_flood(database: str) -> None:
    """Each drops the oldest of all, and so rows that another one drops."""
    Store(database, create=True).close()
    at_once = Barrier(GATEWAYS)

    def put_aside(seed: int) -> None:
        random = Random(seed)
        with Store(database, create=False) as store, ExitStack() as failed:
            failed.callback(at_once.abort)  # nobody waits for one who has failed
            for _ in range(ROUNDS):
                topics = [f"T{random.randrange(60)}" for _ in range(EACH)]
                junk = [Quarantined(topic, False, "r", "r", b"junk") for topic in topics]
                at_once.wait()
                with store.write() as tables:
                    tables.quarantine.add(junk, NOW_MS)
            at_once.wait()
            failed.pop_all()

    with ThreadPoolExecutor(GATEWAYS) as pool:
        list(pool.map(put_aside, range(GATEWAYS)))
    with Store(database, create=False) as store, store.read() as tables:
        assert tables.quarantine.refused() == {"r": GATEWAYS * ROUNDS * EACH}
