"""Commits blocks as fast as it can until it is killed: a database's URL, a seed.

It may write for every tracker, as a gateway does, and holds each transaction open for a moment.
"""

from __future__ import annotations

import sys
import time
from random import Random

from coldtrail_gateway.store.archive import Authentic
from coldtrail_gateway.store.database import Store

TRACKERS = [f"CT-{number}" for number in range(1, 9)]


def main() -> None:
    url, seed = sys.argv[1:]
    random = Random(int(seed))
    with Store(url, create=False) as store:
        number = 0
        while True:
            some = random.sample(TRACKERS, 2)
            with store.write() as tables:
                tables.registry.lock(some)
                for tracker in some:
                    number += 1
                    digest = random.randbytes(32)
                    chain = int(seed).to_bytes(8, "big")
                    block = Authentic(tracker, digest, digest, 1, chain, number)
                    tables.archive.add([block], 1_767_225_600_123)
                    time.sleep(random.choice((0, 0, 0.002)))


if __name__ == "__main__":
    main()
