"""The oldest mosquitto that is supported, Debian 12's own, serves as the newest does."""

import shlex
import shutil
import socket
from collections.abc import Sequence
from pathlib import Path

import pytest

from coldtrail_simulator.services import debian
from coldtrail_simulator.services.mosquitto import Broker
from coldtrail_simulator.services.mqtt_watch import MqttWatch
from coldtrail_simulator.services.process import ServiceError, run
from tests.support.host import PATIENCE_S


@pytest.fixture(scope="module")
def oldest() -> tuple[str, ...]:
    """Return the argv prefix of mosquitto 2.0.11, fetched into the cache and not installed."""
    if not shutil.which("apt-get"):
        pytest.skip("apt-get is missing: run this on Debian or Ubuntu")

    def check(argv: Sequence[str]) -> None:
        said = run([*argv, "-h"], timeout=PATIENCE_S, any_exit=True)
        assert said.startswith("mosquitto version 2.0.11\n")

    return debian.fetched("mosquitto", debian.architecture(), check, "bookworm")


def test_the_oldest_broker_starts_and_serves(oldest, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("MOSQUITTO", shlex.join(oldest))
    broker = Broker(tmp_path)
    for _ in range(2):
        broker.start()
        watch = MqttWatch(broker.host, broker.port)
        watch.start()
        watch.stop()
        broker.kill()


def test_the_oldest_broker_says_why_it_does_not_start(oldest, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("MOSQUITTO", shlex.join(oldest))
    broker = Broker(tmp_path)
    broker.start()
    broker.stop()
    with (
        socket.create_server((broker.host, broker.port)),
        pytest.raises(ServiceError, match=r"did not start .*Address already in use"),
    ):
        broker.start()


def test_another_broker_at_the_port_is_not_taken_for_its_own(tmp_path: Path) -> None:
    first, second = Broker(tmp_path / "first"), Broker(tmp_path / "second")
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
    first.start()
    second.port = first.port
    with pytest.raises(ServiceError, match="did not start"):
        second.start()
    assert first.running
    first.stop()
