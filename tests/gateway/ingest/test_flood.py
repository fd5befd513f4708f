"""Forged messages by the thousand: what verifies is kept and confirmed first."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from statistics import quantiles

import pytest

from coldtrail_simulator.services.mosquitto import Broker
from coldtrail_simulator.services.process import Process
from tests.gateway.running import CONFIRMATION, Client, archived, running
from tests.support.blocks.blockmaker import Maker, rows
from tests.support.host import until

FORGED_A_SECOND = 3000
COUNT = 100
SESSION_S = 10.0


def latencies_s(client: Client, maker: Maker) -> list[float]:
    """Send blocks one after the other; return how long each waited for its confirmation."""
    waits = []

    def is_confirmed() -> bool:
        return [d[2] for d in client.confirmations()][-1:] == [maker.number]

    for _ in range(COUNT):
        block = maker.block(rows(12))
        began = time.monotonic()
        client.publish(block)
        # What a broker drops, because the gateway does not keep up on a busy machine, the tracker
        # sends again.
        while not client.wait(is_confirmed, SESSION_S):
            client.publish(block)
        waits.append(time.monotonic() - began)
        client.messages.clear()
    return waits


def figures(waits: list[float]) -> str:
    cuts = quantiles(waits, n=100)
    return f"p50 {cuts[49] * 1000:.1f} ms, p99 {cuts[98] * 1000:.1f} ms"


@pytest.mark.slow
def test_a_flood_of_forged_messages(mosquitto: Broker, tmp_path: Path) -> None:
    """On the tracker's own topic and on an unknown one; the quarantine takes 200 a second."""
    maker = Maker()
    with (
        running(tmp_path, f"mqtt://127.0.0.1:{mosquitto.port}") as gateway,
        Client(mosquitto.port, CONFIRMATION) as client,
    ):
        unloaded = latencies_s(client, maker)
        program = ["-m", "tests.gateway.ingest.flood", str(mosquitto.port)]
        argv = [sys.executable, *program, str(FORGED_A_SECOND), "CT-1", "CT-99"]
        began = time.monotonic()
        flood = Process("flood", argv, tmp_path / "flood.log")
        try:
            until(lambda: "only counted" in gateway.said())
            loaded = latencies_s(client, maker)
            assert flood.running, flood.output()
        finally:
            flood.kill()
        print(f"alone: {figures(unloaded)}; in the flood: {figures(loaded)}")
        assert len(archived(gateway)) == 2 * COUNT
        put_aside = gateway.said().count(": quarantined, ")
        counted = sum(int(n) for n in re.findall(r"(\d+) more messages", gateway.said()))
        assert 0 < put_aside <= 200 * (time.monotonic() - began + 1)  # the budget of each second
        assert counted > 0
