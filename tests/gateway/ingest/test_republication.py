"""What must be published is remembered until the broker has taken it."""

from __future__ import annotations

import re
import socket
import threading
from contextlib import suppress
from pathlib import Path

import cbor2
import pytest

from coldtrail_gateway.contract.envelope import Kind, seal
from coldtrail_gateway.ingest import intake
from coldtrail_gateway.ingest.intake import Arrival
from coldtrail_gateway.store.database import Store
from coldtrail_gateway.store.registry import KeyPair
from coldtrail_simulator.services.mosquitto import Broker
from tests.gateway.running import CONFIRMATION, PRESENCE, Client, Gateway
from tests.support.blocks.blockmaker import DOWNLINK, UPLINK, Maker, opened
from tests.support.extent import slice_or_all
from tests.support.host import until

TRACKERS = slice_or_all(5_000, 20_000)


class Proxy:
    """Passes bytes on to a broker; a connection ends after so many bytes for the broker."""

    def __init__(self, port: int, limit: int) -> None:
        self._broker = port
        self.limit = limit
        self.cuts = 0
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._server.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._broker))
            threading.Thread(target=self._pass, args=(far, near, None), daemon=True).start()
            threading.Thread(target=self._pass, args=(near, far, self.limit), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, limit: int | None) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                if limit is not None:
                    data, limit = data[:limit], limit - len(data)
                sink.sendall(data)
                if limit is not None and limit <= 0:
                    self.cuts += 1
                    break
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@pytest.mark.slow
def test_a_connection_that_ends_in_the_middle(mosquitto: Broker, tmp_path: Path) -> None:
    """Thousands of trackers; the connection ends after 40 % of their confirmations, twice."""
    names = [f"FLEET-{number}" for number in range(TRACKERS)]
    database = tmp_path / "gateway.db"
    payload = Maker().payload()
    with Store(str(database), create=True) as store:
        with store.write() as tables:
            for name in names:
                tables.registry.add_tracker(name, test=True)
                tables.registry.add_key(name, 1, KeyPair(UPLINK, DOWNLINK))
        encoded = cbor2.dumps(payload, canonical=True)
        arrivals = [Arrival(name, seal(encoded, Kind.BLOCK, name, 1, UPLINK)) for name in names]
        for at in range(0, TRACKERS, 1000):
            intake.take(store, arrivals[at : at + 1000], 1_767_225_600_123)
        size = len(intake.documents(store, names[:1], 1_767_225_600_123)[names[0]])
    # Of each: the document, its topic of some 35 bytes, and 5 bytes of MQTT.
    proxy = Proxy(mosquitto.port, TRACKERS * 4 // 10 * (size + 40))
    with Gateway(tmp_path, f"mqtt://127.0.0.1:{proxy.port}") as gateway:
        until(lambda: proxy.cuts == 2)
        proxy.limit = 2**40
        until(lambda: "INFO online" in gateway.said())
        with Client(mosquitto.port, PRESENCE, CONFIRMATION) as client:
            assert client.wait(lambda: len(client.messages) >= TRACKERS + 1)
            retained = {topic: payload for topic, payload, _ in client.messages}
            assert client.presences() == [b"online"]
    proxy.close()
    documents = {name: retained[f"coldtrail/1/{name}/confirmation"] for name in names}
    assert all(opened(documents[name], name, DOWNLINK)[2] == 1 for name in names[::1000])
    # What the broker had taken was not published again.
    left = [int(n) for n in re.findall(r"confirmations to publish again: (\d+)", gateway.said())]
    assert left[0] == TRACKERS
    assert left[1] < TRACKERS * 0.7
    assert left[2] < TRACKERS * 0.4
