"""Commands: made by the command line, kept in the store, retained one at a time, told of."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import cbor2
import pytest
from click.testing import CliRunner

from coldtrail_boards.profiles import profile as profiles
from coldtrail_gateway.cli.main import gateway
from coldtrail_gateway.contract.command import MAX_PROFILE, Outcome, Value, configure
from coldtrail_gateway.store.database import Store
from coldtrail_simulator.services.clock_server import ClockServer
from coldtrail_simulator.services.mosquitto import Broker
from tests.gateway.running import Client, Gateway, coldtrail, registration
from tests.support.blocks import cddl
from tests.support.blocks.blockmaker import Maker, opened

NOW_MS = 1_750_000_000_000
TOPIC = "coldtrail/1/CT-1/command"
PROFILE = profiles.load("refrigerated_2_8").encode()


def outcome(counter: int, action: int, said: int, reason: str | None = None) -> list[Any]:
    """Return event 17."""
    return [17, 60, counter, action, said, *([reason] if reason else [])]


@contextmanager
def clock(times: list[int]) -> Iterator[str]:
    """A clock whose time is the last of the list."""
    server = ClockServer(lambda: times[-1])
    try:
        yield server.address
    finally:
        server.close()


def run(*arguments: str | Path, code: int = 0) -> str:
    """Run a command of the gateway's; return what it says."""
    done = CliRunner().invoke(gateway, [str(argument) for argument in arguments])
    assert done.exit_code == code, done.output
    return done.output


class Operator:
    """Somebody at the command line."""

    def __init__(self, folder: Path, clock_address: str, db: str | None = None) -> None:
        self.database = db or str(folder / "gateway.db")
        self.clock = clock_address
        run("register", registration(folder), "--db", self.database)

    def command(self, *arguments: str | Path, code: int = 0) -> str:
        """Run an action; return what it says."""
        options = ("--db", self.database, "--clock", self.clock)
        return run("command", "CT-1", *arguments, *options, code=code)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """A broker that retains nothing yet."""
    broker = Broker(tmp_path)
    broker.start()
    yield broker
    broker.stop()


def commands(client: Client) -> list[bytes]:
    """Return what has come on the command topic."""
    return [payload for topic, payload, _ in list(client.messages) if topic == TOPIC]


def test_counters_rise_whatever_the_clock_does_and_outcomes_are_kept(store: Store) -> None:
    with store.write() as tables:
        made = [
            tables.commands.add("CT-1", [2], now_ms, 600)
            for now_ms in (NOW_MS, NOW_MS, NOW_MS - 5000, NOW_MS + 9)
        ]
    assert [one.counter - NOW_MS for one in made] == [0, 1, 2, 9]
    oldest = made[0]
    with store.write() as tables:
        assert tables.commands.due(NOW_MS // 1000)["CT-1"] == oldest
        tables.commands.sent(oldest, NOW_MS + 10)
        tables.commands.tell("CT-1", oldest.counter, Outcome.TAKEN, None, NOW_MS + 20)
        tables.commands.tell("CT-1", oldest.counter, Outcome.REFUSED, "why", NOW_MS + 30)
        tables.commands.tell("CT-1", oldest.counter, Outcome.DONE, None, NOW_MS + 40)  # a copy
        tables.commands.tell("CT-1", 17, Outcome.DONE, None, NOW_MS)  # none of ours
        tables.commands.cancel(made[1], NOW_MS + 50)
    with store.read() as tables:
        states = [one.state(NOW_MS) for one in tables.commands.of("CT-1")]
        assert states == ["refused: why", "cancelled", "waiting", "waiting"]
        assert tables.commands.due(NOW_MS // 1000)["CT-1"] == made[2]
        assert tables.commands.due(NOW_MS // 1000 + 595)["CT-1"] == made[3]
        assert not tables.commands.due(NOW_MS // 1000 + 600)
        assert tables.commands.of("CT-1")[2].state(NOW_MS + 600_000) == "expired"


def test_every_action_is_sealed_as_the_contract_says(store: Store) -> None:
    actions: list[list[Value]] = [configure(PROFILE), [2], [3], [4], [5, 1], [6, "S-2"], [7]]
    for action in actions:
        with store.write() as tables:
            payload = tables.commands.add("CT-1", action, NOW_MS, 3600).payload()
        assert cddl.is_valid("command", payload), payload.hex()
        assert cbor2.loads(payload)[3] == action
        assert cbor2.dumps(cbor2.loads(payload), canonical=True) == payload
    assert actions[0][1] == sha256(PROFILE).digest()[:8]


def test_no_profile_of_the_contract_is_too_long() -> None:
    widest = {
        0: 1, 1: "n" * 32, 2: 86400, 3: 86400, 4: 604800, 5: 604800, 6: 604800,
        7: [[240 + i, 4, 7, 4, -16777215, 1073741823, 16777215, 86400] for i in range(16)],
        8: list(range(10)), 9: 1, 10: 604800, 11: list(range(10)), 12: 1, 13: 86400,
    }  # fmt: skip
    assert cddl.is_valid("profile", cbor2.dumps(widest))
    assert len(cbor2.dumps(widest, canonical=True)) <= MAX_PROFILE


def test_the_oldest_open_command_is_retained_and_replaced_by_its_outcome(
    tmp_path: Path, database: str, broker: Broker
) -> None:
    times = [NOW_MS]
    url = f"mqtt://127.0.0.1:{broker.port}"
    with (
        clock(times) as address,
        Client(broker.port, TOPIC, "coldtrail/1/CT-1/confirmation", "coldtrail/1/gateway/+")
        as tracker,
    ):  # fmt: skip
        operator = Operator(tmp_path, address, database)
        operator.command("acknowledge")
        with Gateway(tmp_path, url, "--clock", address, db=database):
            assert tracker.wait(lambda: tracker.presences()[-1:] == [b"online"])
            first = opened(commands(tracker)[-1])
            assert first == {0: 1, 1: NOW_MS, 2: NOW_MS // 1000 + 7 * 86400, 3: [2]}
            # Made by another process while the gateway serves; behind the first, so it waits.
            operator.command("stop-shipment", "--expires", "1 h")
            assert " sent" in operator.command("list")
            assert "waiting" in operator.command("list")
            maker = Maker()
            count = len(commands(tracker))
            tracker.publish(maker.block(events=[outcome(NOW_MS, 2, 0), outcome(NOW_MS, 2, 1)]))
            assert tracker.wait(lambda: len(commands(tracker)) > count)
            second = opened(commands(tracker)[-1])
            assert (second[1], second[3]) == (NOW_MS + 1, [7])
            # The next command comes before the confirmation of the block that told of the last.
            assert tracker.wait(lambda: bool(tracker.confirmations()))
            topics = [topic for topic, _, _ in tracker.messages]
            assert topics.index("coldtrail/1/CT-1/confirmation") > 0
            assert topics.index("coldtrail/1/CT-1/confirmation") > max(
                i for i, topic in enumerate(topics) if topic == TOPIC
            )
            tracker.publish(maker.block(events=[outcome(second[1], 7, 2, "no shipment")]))
            assert tracker.wait(lambda: commands(tracker)[-1] == b"")
            listed = operator.command("list")
            assert "done" in listed
            assert "refused: no shipment" in listed
            # One that expires is withdrawn, and so is one that is cancelled.
            operator.command("locate", "--expires", "10 min")
            assert tracker.wait(lambda: commands(tracker)[-1] != b"")
            times.append(NOW_MS + 601_000)
            assert tracker.wait(lambda: commands(tracker)[-1] == b"")
            assert "expired" in operator.command("list")
            operator.command("reboot")
            assert tracker.wait(lambda: commands(tracker)[-1] != b"")
            assert operator.command("cancel") == "cancelled: 1\n"
            assert tracker.wait(lambda: commands(tracker)[-1] == b"")
    said = "1 done, 1 refused: no shipment, 1 cancelled, 1 expired"
    assert said in run("status", "--db", database)


def test_a_broker_that_forgot_hears_it_again(tmp_path: Path) -> None:
    forgetful = Broker(tmp_path)
    forgetful.start()
    try:
        with clock([NOW_MS]) as address:
            operator = Operator(tmp_path, address)
            operator.command("send-again", "7")
            url = f"mqtt://127.0.0.1:{forgetful.port}"
            with Gateway(tmp_path, url, "--clock", address):
                with Client(forgetful.port, TOPIC) as tracker:
                    assert tracker.wait(lambda: bool(commands(tracker)))
                forgetful.kill()
                forgetful.start()
                with Client(forgetful.port, TOPIC) as tracker:
                    assert tracker.wait(lambda: bool(commands(tracker)))
                    assert opened(commands(tracker)[-1])[3] == [5, 7]
    finally:
        forgetful.stop()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["reboot", "--expires", "2 h"], "60 min at most"),
        (["locate", "--expires", "1 week"], "whole number with s, min, h or d"),
        (["send-again", "0"], "0 is not in the range"),
        (["start-shipment", "S" * 33], "32 bytes"),
        (["start-shipment", "S-9"], "registered with tracker CT-2"),
        (["cancel"], "Nothing to cancel"),
        (["configure", "PROFILE.toml"], "coldtrail profile NAME -o FILE"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_one_sentence(
    arguments: list[str], says: str, tmp_path: Path
) -> None:
    toml = tmp_path / "PROFILE.toml"
    toml.write_text("name = 'x'\n")
    with clock([NOW_MS]) as address:
        operator = Operator(tmp_path, address)
        document = json.loads(registration(tmp_path, ("CT-2",), ("S-9",)).read_text())
        other = tmp_path / "other.json"
        other.touch(mode=0o600)
        other.write_text(json.dumps(document))
        run("register", other, "--db", operator.database)
        said = operator.command(
            *(toml if word == "PROFILE.toml" else word for word in arguments), code=2
        )
        assert says in " ".join(said.split())
        assert operator.command("list").count("CT-1") == 1  # only its title


def test_a_tracker_that_nobody_knows_gets_none(tmp_path: Path) -> None:
    with clock([NOW_MS]) as address:
        operator = Operator(tmp_path, address)
        said = run("command", "CT-7", "reboot", "--db", operator.database, code=2)
    assert "CT-7 is not registered" in said


def test_starting_a_shipment_registers_it_and_decode_shows_a_command(
    tmp_path: Path, broker: Broker
) -> None:
    with clock([NOW_MS]) as address:
        operator = Operator(tmp_path, address)
        operator.command("start-shipment", "S-2")
        with Store(operator.database, create=False) as store, store.read() as tables:
            shipment = tables.registry.shipment("S-2")
            assert shipment is not None
            assert shipment.tracker == "CT-1"
        with (
            Gateway(tmp_path, f"mqtt://127.0.0.1:{broker.port}", "--clock", address),
            Client(broker.port, TOPIC) as tracker,
        ):
            assert tracker.wait(lambda: bool(commands(tracker) and commands(tracker)[-1]))
            shown = coldtrail("decode", commands(tracker)[-1].hex()).stdout
    assert "start-shipment S-2" in shown
    assert str(NOW_MS) in shown
