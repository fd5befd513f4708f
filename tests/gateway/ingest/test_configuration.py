"""What a gateway was started with is in the audit trail, and never in its way."""

from __future__ import annotations

import signal
from pathlib import Path

from coldtrail_gateway.audit import trail
from coldtrail_gateway.audit.trail import Kind, Subject, Wanted
from coldtrail_gateway.store.tower.database import Tower
from coldtrail_simulator.services.mosquitto import Broker
from tests.gateway.running import Gateway, coldtrail, registration, running
from tests.support.host import until


def noted(database: str) -> list[trail.Entry]:
    with Tower(database, create=False) as tower, tower.read() as connection:
        return list(trail.find(connection, Wanted(action="configuration.change")))


def test_a_configuration_is_noted_when_it_is_another(tmp_path: Path, mosquitto: Broker) -> None:
    plain = f"mqtt://127.0.0.1:{mosquitto.port}"
    with_password = plain.replace("mqtt://", "mqtt://gate:hunter2@")
    with running(tmp_path, plain) as served:
        served.stop(signal.SIGTERM)
        for log, url in (("same.log", plain), ("other.log", with_password)):
            with Gateway(tmp_path, url, log=log) as again:
                until(lambda: "online" in again.said(), again.said)
                again.stop(signal.SIGTERM)
    first, second = noted(served.database)
    assert first.subject == Subject("gateway", "main")
    assert first.actor.kind is Kind.CONFIGURATION
    assert first.before is None
    assert (first.after["broker"], first.after["password"]) == (plain, None)
    assert second.before == first.after
    assert second.after == {**first.after, "user": "gate", "password": "(not recorded)"}
    assert b"hunter2" not in first.line + second.line


def test_a_gateway_serves_also_where_the_trail_takes_nothing(
    tmp_path: Path, mosquitto: Broker
) -> None:
    file = registration(tmp_path)
    coldtrail("gateway", "register", file, "--db", tmp_path / "gateway.db")
    (tmp_path / "gateway.tower.db").write_bytes(b"no database at all" * 300)
    with Gateway(tmp_path, f"mqtt://127.0.0.1:{mosquitto.port}") as served:
        until(lambda: "online" in served.said(), served.said)
        assert "Warning: the audit trail does not take the configuration" in served.said()
