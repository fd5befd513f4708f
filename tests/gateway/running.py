"""A gateway as its user runs it: a process, at a real broker, watched by a client."""

from __future__ import annotations

import getpass
import json
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from coldtrail_gateway.store.database import Store
from coldtrail_simulator.services import tools
from coldtrail_simulator.services.process import Process, free_port
from tests.support.blocks.blockmaker import downlink, opened, uplink
from tests.support.host import PATIENCE_S, until

CONFIRMATION = "coldtrail/1/+/confirmation"
PRESENCE = "coldtrail/1/gateway/main"


def coldtrail(*arguments: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command of the gateway's to its end."""
    done = subprocess.run(
        [sys.executable, "-m", "coldtrail_boards", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    if check:
        assert done.returncode == 0, done.stderr
    return done


def registration(
    folder: Path, trackers: Sequence[str] = ("CT-1",), shipments: Sequence[str] = ("S-1",)
) -> Path:
    """Write a registration file: the shipments are of the first tracker."""
    document = {
        "coldtrail": "registration/1",
        "trackers": [
            {
                "id": tracker,
                "test": True,
                "keys": [
                    {
                        "version": 1,
                        "uplink": uplink(tracker).hex(),
                        "downlink": downlink(tracker).hex(),
                    }
                ],
            }
            for tracker in trackers
        ],
        "shipments": [{"id": shipment, "tracker": trackers[0]} for shipment in shipments],
    }
    path = folder / "registration.json"
    path.write_text(json.dumps(document))
    path.chmod(0o600)
    return path


class Client:
    """A tracker's or an onlooker's connection."""

    def __init__(self, port: int, *topics: str, window: int = 20) -> None:
        self.messages: deque[tuple[str, bytes, bool]] = deque()
        self._changed = threading.Condition()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.max_inflight_messages_set(window)
        self._client.on_message = self._take
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        if topics:
            subscribed = threading.Event()
            self._client.on_subscribe = lambda *_: subscribed.set()
            self._client.subscribe([(topic, 1) for topic in topics])
            assert subscribed.wait(PATIENCE_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _take(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        with self._changed:
            self.messages.append((message.topic, bytes(message.payload), message.retain))
            self._changed.notify_all()

    def publish(self, block: bytes, tracker: str = "CT-1", qos: int = 1) -> mqtt.MQTTMessageInfo:
        """Send a block as the tracker does."""
        return self._client.publish(f"coldtrail/1/{tracker}/up", block, qos=qos)

    def wait(self, condition: Callable[[], bool], limit_s: float = PATIENCE_S) -> bool:
        """Wait for a condition that depends on the messages received."""
        with self._changed:
            return self._changed.wait_for(condition, limit_s)

    def wait_for(self, count: int) -> bool:
        """Wait until so many messages have been received."""
        return self.wait(lambda: len(self.messages) >= count)

    def confirmations(self, tracker: str = "CT-1") -> list[dict[int, Any]]:
        """Return the confirmations received."""
        topic = f"coldtrail/1/{tracker}/confirmation"
        with self._changed:
            documents = [payload for name, payload, _ in self.messages if name == topic]
        return [opened(document, tracker) for document in documents]

    def presences(self) -> list[bytes]:
        """Return what the gateway has said of its presence."""
        with self._changed:
            return [payload for name, payload, _ in self.messages if name == PRESENCE]


class Gateway:
    """`coldtrail gateway serve` in a process of its own."""

    def __init__(
        self,
        folder: Path,
        broker: str,
        *options: str,
        db: str | None = None,
        command: Sequence[str] = ("-m", "coldtrail_gateway", "serve"),
        log: str = "gateway.log",
    ) -> None:
        self.database = db or str(folder / "gateway.db")
        self.log = folder / log
        arguments = ["--broker", broker, "--db", self.database, *options]
        self._start = lambda: Process("gateway", [sys.executable, *command, *arguments], self.log)
        self.process = self._start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.running:
            self.process.kill()

    def kill(self) -> None:
        """End it with SIGKILL."""
        self.process.kill()

    def restart(self) -> None:
        """Start it again."""
        self.process = self._start()

    @property
    def pid(self) -> int:
        """The process id."""
        return self.process._child.pid

    def stop(self, signal_number: int) -> int:
        """Send a signal, and return the exit code."""
        self.process._child.send_signal(signal_number)
        return self.process._child.wait()

    def said(self) -> str:
        """Return its log."""
        return self.log.read_text()


def running(
    folder: Path,
    url: str,
    *options: str,
    db: str | None = None,
    trackers: Sequence[str] = ("CT-1",),
) -> Gateway:
    """Start a gateway that knows some trackers and wait until it is online."""
    file = registration(folder, trackers)
    coldtrail("gateway", "register", file, "--db", db or folder / "gateway.db")
    served = Gateway(folder, url, *options, db=db)
    until(lambda: "INFO online" in served.said(), served.said)
    return served


@contextmanager
def mosquitto_with(folder: Path, *lines: str) -> Iterator[int]:
    """Run a Mosquitto for anonymous clients with these lines in its configuration; yield its port.

    Else it is as its packagers leave it.
    """
    port = free_port()
    file = folder / "own.conf"
    user = f"user {getpass.getuser()}"
    file.write_text(
        "\n".join([user, f"listener {port} 127.0.0.1", "allow_anonymous true", *lines, ""])
    )
    broker = Process("broker", [*tools.mosquitto(), "-c", str(file)], folder / "own.log")

    def answers() -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return True
        return False

    try:
        until(answers, broker.output)
        yield port
    finally:
        broker.stop()


def archived(gateway: Gateway, tracker: str = "CT-1") -> list[bytes]:
    """Return a tracker's blocks in the order in which they were archived."""
    with Store(gateway.database, create=False) as store, store.read() as tables:
        return [row.sealed for row in tables.archive.of(tracker)]
