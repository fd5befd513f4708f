"""The connection to the broker breaks, at every moment; nothing is lost, and the gateway stays."""

from __future__ import annotations

import signal
import sqlite3
from pathlib import Path

import pytest

from coldtrail_simulator.services.mosquitto import Broker
from tests.gateway.running import (
    CONFIRMATION,
    Client,
    Gateway,
    archived,
    running,
)
from tests.support.blocks.blockmaker import DOWNLINK, Maker
from tests.support.host import until


@pytest.mark.parametrize(("kind", "count"), [("paho", 120), ("socket", 200)])
def test_it_breaks_at_every_call(mosquitto: Broker, tmp_path: Path, kind: str, count: int) -> None:
    makers = {name: Maker(tracker=name) for name in ("CT-1", "CT-2", "CT-3")}
    blocks: dict[str, list[bytes]] = {name: [] for name in makers}
    url = f"mqtt://127.0.0.1:{mosquitto.port}"
    with running(tmp_path, url, trackers=list(makers)) as gateway:
        # From now on the broker keeps what it cannot deliver.
        assert gateway.stop(signal.SIGTERM) == 0
    launcher = ("-m", "tests.gateway.ingest.cut_gateway", kind, str(count), "serve")
    with (
        Client(mosquitto.port, CONFIRMATION) as client,
        Gateway(tmp_path, url, command=launcher, log="broken.log") as gateway,
    ):

        def all_confirmed() -> bool:
            return all(
                any(document[2] == len(own) for document in client.confirmations(name)[-1:])
                for name, own in blocks.items()
            )

        last = f"breaking before call {count},"
        while last not in gateway.said() and gateway.process.running:
            for name, maker in makers.items():
                blocks[name].append(maker.block())
                client.publish(blocks[name][-1], name)
            client.wait(all_confirmed, 0.2)
        assert client.wait(all_confirmed), gateway.said()[-3000:]
        until(lambda: gateway.said().rstrip().endswith("online"))
        assert gateway.stop(signal.SIGTERM) == 0
        assert "Traceback" not in gateway.said()
        for name, own in blocks.items():
            assert sorted(archived(gateway, name)) == sorted(own)


@pytest.mark.parametrize("repaired", [True, False])
def test_an_error_that_nobody_has_thought_of(
    mosquitto: Broker, tmp_path: Path, repaired: bool
) -> None:
    """Here: a key in the database that is no key. The gateway begins again, a few times."""
    with (
        running(tmp_path, f"mqtt://127.0.0.1:{mosquitto.port}") as gateway,
        Client(mosquitto.port, CONFIRMATION) as client,
    ):
        keys = sqlite3.connect(gateway.database, isolation_level=None)
        keys.execute("UPDATE keys SET downlink = 7")
        client.publish(Maker().block())
        until(lambda: "unexpected error" in gateway.said())
        if repaired:
            keys.execute("UPDATE keys SET downlink = ?", (DOWNLINK,))
            assert client.wait(lambda: [d[2] for d in client.confirmations()][:1] == [1])
            until(lambda: gateway.said().rstrip().endswith("online"))
        else:
            assert gateway.process._child.wait() == 2
            assert "an unexpected error 5 times in a row" in gateway.process.last_words()
            assert gateway.said().count("Traceback") == 5
            assert not client.confirmations()
        keys.close()
