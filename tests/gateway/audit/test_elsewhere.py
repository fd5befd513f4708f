"""Changes in the archive's database: an entry before, an answer behind, also after a crash."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from coldtrail_gateway.audit import configuration, elsewhere, trail
from coldtrail_gateway.audit.trail import Action, Entry, Subject
from coldtrail_gateway.cli.main import gateway
from coldtrail_gateway.errors import GatewayError
from coldtrail_gateway.shipments import orders, registration
from coldtrail_gateway.store.database import Store
from coldtrail_gateway.store.tower.database import Tower
from tests.gateway.audit.kept import ANA, NOW_MS
from tests.support.blocks.blockmaker import DOWNLINK, UPLINK

RESTART = Action("thing.restart")
THING = Subject("thing", "T-1")
SECOND = bytes(range(64, 96))


def entries(tower: Tower) -> list[Entry]:
    with tower.read() as connection:
        return list(trail.find(connection))


def carry_out(tower: Tower, change: object, look: object) -> object:
    return elsewhere.carry_out(
        tower, ANA, RESTART, THING, {"n": 1}, {"n": 2}, "stuck", lambda: NOW_MS,
        change, look,  # type: ignore[arg-type]
    )  # fmt: skip


def test_a_change_elsewhere_has_an_entry_before_and_an_answer_behind(tower: Tower) -> None:
    def change(intent: Entry) -> str:
        assert entries(tower) == [intent]  # it is on disk before anything is changed
        return "done"

    assert carry_out(tower, change, None) == "done"
    intent, answer = entries(tower)
    assert (intent.action, intent.intent, intent.why) == ("thing.restart", True, "stuck")
    assert (answer.action, answer.answers) == ("intent.carried-out", intent.number)
    assert answer.actor == trail.SYSTEM


@pytest.mark.parametrize(
    ("done", "action"), [(False, "intent.not-carried-out"), (True, "intent.carried-out")]
)
def test_what_fails_is_looked_up(tower: Tower, done: bool, action: str) -> None:
    def fail(_intent: Entry) -> None:
        raise GatewayError("The server has hung up.")

    with pytest.raises(GatewayError, match="hung up"):
        carry_out(tower, fail, lambda _intent: done)
    _, answer = entries(tower)
    assert (answer.action, answer.why) == (action, "The server has hung up.")


def test_an_intent_that_was_left_is_answered_by_looking_once(tower: Tower) -> None:
    def end(_intent: Entry) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        carry_out(tower, end, None)
    looks = {RESTART.name: lambda _intent: True}
    # It may still be under way in another program.
    assert elsewhere.reconcile(tower, looks, NOW_MS + elsewhere.UNDER_WAY_MS) == []
    later_ms = NOW_MS + elsewhere.UNDER_WAY_MS + 1
    assert elsewhere.reconcile(tower, {}, later_ms) == []
    (answer,) = elsewhere.reconcile(tower, looks, later_ms)
    assert (answer.action, answer.answers) == ("intent.carried-out", 1)
    assert elsewhere.reconcile(tower, looks, later_ms) == []
    assert len(entries(tower)) == 2


def write(folder: Path, name: str, versions: int = 1, **shipments: object) -> Path:
    keys = [
        {"version": 1, "uplink": UPLINK.hex(), "downlink": DOWNLINK.hex()},
        {"version": 2, "uplink": SECOND.hex(), "downlink": SECOND[::-1].hex()},
    ]
    file = folder / name
    file.write_text(
        json.dumps(
            {
                "coldtrail": "registration/1",
                "trackers": [{"id": "CT-1", "keys": keys[:versions]}],
                "shipments": [
                    {"id": shipment, "tracker": "CT-1", "profile": profile}
                    for shipment, profile in shipments.items()
                ],
            }
        )
    )
    file.chmod(0o600)
    return file


def run(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(gateway, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result.output


def test_a_registration_is_recorded_without_keys(database: str, tmp_path: Path) -> None:
    run("register", write(tmp_path, "one.json", S1={"low": 2}), "--db", database)
    run("register", write(tmp_path, "one.json", S1={"low": 2}), "--db", database)  # no news
    run("register", write(tmp_path, "two.json", 2, S2=None), "--db", database)
    run("register", write(tmp_path, "bad.json", S1={"low": 3}), "--db", database, code=2)
    with Tower(database, create=False) as tower:
        found = entries(tower)
    assert [(entry.action, entry.subject.id) for entry in found] == [
        ("registration.register", "one.json"),
        ("intent.carried-out", "one.json"),
        ("registration.register", "two.json"),
        ("intent.carried-out", "two.json"),
        ("registration.register", "bad.json"),
        ("intent.not-carried-out", "bad.json"),
    ]
    assert found[0].before == {"trackers": {}, "shipments": {}}
    assert found[0].after == {
        "trackers": {"CT-1": {"test": False, "key_versions": [1]}},
        "shipments": {"S1": {"tracker": "CT-1", "profile": '{"low":2}'}},
    }
    assert found[2].before == {
        "trackers": {"CT-1": {"test": False, "key_versions": [1]}}, "shipments": {}
    }  # fmt: skip
    assert found[2].after == {
        "trackers": {"CT-1": {"test": False, "key_versions": [1, 2]}},
        "shipments": {"S2": {"tracker": "CT-1", "profile": None}},
    }
    assert "another tracker or profile" in found[5].why
    whole = b"".join(entry.line for entry in found)
    for key in (UPLINK, DOWNLINK, SECOND):
        assert key.hex().encode() not in whole
    assert {entry.actor.kind.value for entry in found} == {"console", "system"}


def test_a_command_is_recorded_with_who_asked_for_it(database: str, tmp_path: Path) -> None:
    run("register", write(tmp_path, "one.json"), "--db", database)
    run("command", "CT-1", "locate", "--db", database)
    run("command", "CT-1", "start-shipment", "S-7", "--db", database)
    run("command", "CT-1", "cancel", "--db", database)
    run("command", "CT-9", "locate", "--db", database, code=2)
    with Tower(database, create=False) as tower:
        found = entries(tower)[2:]
    assert [entry.action for entry in found] == [
        "command.give", "intent.carried-out",
        "command.give", "intent.carried-out",
        "command.cancel", "intent.carried-out",
    ]  # fmt: skip
    assert found[0].subject == Subject("tracker", "CT-1")
    assert found[0].after == {"action": "locate", "void_after_s": 3600}
    assert found[2].after == {"action": "start-shipment S-7", "void_after_s": 604800}
    assert [one["action"] for one in found[4].before["commands"]] == [
        "locate", "start-shipment S-7"
    ]  # fmt: skip
    assert found[0].actor == trail.console()


KILLED = """
import os, signal, sys
from coldtrail_gateway.audit import elsewhere
from coldtrail_gateway.audit.trail import console
from coldtrail_gateway.clock import SystemClock
from coldtrail_gateway.shipments import orders, registration
from coldtrail_gateway.store.database import Store
from coldtrail_gateway.store.tower.database import Tower
from pathlib import Path

when, what, database, file = sys.argv[1:]
store, tower = Store(database, create=True), Tower(database, create=True)
real = Store.write if when == "before" else Tower.write
left = 1 if when == "before" else 2

def killing(self):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(self)

now = SystemClock().now_ms
if when == "before":
    Store.write = killing
else:
    Tower.write = killing
if what == "register":
    registration.register(store, tower, Path(file), console(), now)
elif what == "give":
    orders.give(store, tower, console(), "CT-1", [3], 3600, now)
else:
    orders.cancel(store, tower, console(), "CT-1", None, now)
"""


@pytest.mark.parametrize("what", ["register", "give", "cancel"])
@pytest.mark.parametrize(
    ("when", "action"), [("before", "intent.not-carried-out"), ("behind", "intent.carried-out")]
)
def test_a_program_that_is_killed_in_between(
    database: str, tmp_path: Path, what: str, when: str, action: str
) -> None:
    """Killed before the change, or between it and its answer: the next program finds out."""
    if what != "register":
        run("register", write(tmp_path, "one.json"), "--db", database)
    if what == "cancel":
        run("command", "CT-1", "reboot", "--db", database)
    file = write(tmp_path, "two.json", 2, S2=None)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, when, what, database, file], check=False, env=os.environ
    )
    assert killed.returncode == -signal.SIGKILL
    with Store(database, create=False) as store, Tower(database, create=False) as tower:
        intent = entries(tower)[-1]
        assert intent.intent
        looks = {
            registration.REGISTER.name: registration.look(store),
            orders.GIVE.name: orders.look_given(store),
            orders.CANCEL.name: orders.look_cancelled(store),
        }
        later_ms = intent.at_ms + elsewhere.UNDER_WAY_MS + 1
        (answer,) = elsewhere.reconcile(tower, looks, later_ms)
    assert (answer.action, answer.answers) == (action, intent.number)


def test_a_configuration_is_recorded_when_it_changes(tower: Tower) -> None:
    gate = Subject("gateway", "main")
    for broker in ("one", "one", "two"):
        with tower.write() as connection:
            configuration.note(
                connection, ANA, gate,
                {"broker": f"mqtts://gate:hunter2@{broker}.example.org", "ca": None}, NOW_MS,
            )  # fmt: skip
    first, second = entries(tower)
    assert first.before is None
    assert first.after == {"broker": "mqtts://gate@one.example.org", "ca": None}
    assert second.before == first.after
    assert second.after == {"broker": "mqtts://gate@two.example.org", "ca": None}
