"""Forged messages by the thousand: what verifies is kept and confirmed first."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import quantiles

import pytest

from coldtrail_simulator.services.mosquitto import Broker
from tests.gateway.running import CONFIRMATION, Client, archived, running
from tests.support.blocks.blockmaker import Maker, rows

COUNT = 100
FORGED = 300
"""Before each genuine block: the flood is as fast as the gateway, on a busy machine too."""


def forgeries() -> Iterator[tuple[bytes, str]]:
    """Yield forged messages on the tracker's own topic and on an unknown one, without end."""
    forged = bytearray(Maker(key=bytes(32)).block(rows(12)))
    for number, tracker in enumerate(itertools.cycle(("CT-1", "CT-99"))):
        forged[-4:] = number.to_bytes(4, "big")
        yield bytes(forged), tracker


def waited_s(client: Client, maker: Maker, flood: Iterator[tuple[bytes, str]]) -> float:
    """Send a flood and a block behind it; return how long that waited for its confirmation."""
    block = maker.block(rows(12))
    began = time.monotonic()
    for message, tracker in flood:
        client.publish(message, tracker, qos=0)
    client.publish(block)
    # Each is confirmed; so this is all that it takes to keep up with the flood.
    assert client.wait(lambda: [d[2] for d in client.confirmations()][-1:] == [maker.number])
    client.messages.clear()
    return time.monotonic() - began


def figures(waits: list[float]) -> str:
    cuts = quantiles(waits, n=100)
    return f"p50 {cuts[49] * 1000:.1f} ms, p99 {cuts[98] * 1000:.1f} ms"


@pytest.mark.slow
def test_a_flood_of_forged_messages(mosquitto: Broker, tmp_path: Path) -> None:
    """The quarantine takes 200 a second of them, the rest is counted."""
    maker = Maker()
    with (
        running(tmp_path, f"mqtt://127.0.0.1:{mosquitto.port}") as gateway,
        Client(mosquitto.port, CONFIRMATION) as client,
    ):
        unloaded = [waited_s(client, maker, iter(())) for _ in range(COUNT)]
        began, forged = time.monotonic(), forgeries()
        loaded: list[float] = []
        # However slow the machine is, some second brings more than the quarantine takes.
        while len(loaded) < COUNT or "only counted" not in gateway.said():
            loaded.append(waited_s(client, maker, itertools.islice(forged, FORGED)))
        print(f"alone: {figures(unloaded)}; in the flood: {figures(loaded)}")
        assert len(archived(gateway)) == maker.number
        put_aside = gateway.said().count(": quarantined, ")
        counted = sum(int(n) for n in re.findall(r"(\d+) more messages", gateway.said()))
        assert 0 < put_aside <= 200 * (time.monotonic() - began + 1)  # the budget of each second
        assert counted > 0
