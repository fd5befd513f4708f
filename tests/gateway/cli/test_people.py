"""``coldtrail gateway people``, ``roles`` and ``tokens`` as their user runs them."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pyotp
import pytest
from click.testing import CliRunner

from coldtrail_gateway.audit import trail
from coldtrail_gateway.cli.main import gateway
from coldtrail_gateway.store.tower.database import Tower
from coldtrail_simulator.services.clock_server import ClockServer
from tests.gateway.running import registration

PASSWORD = "umbrella quarry 7 lantern"
NOW_MS = 1_770_000_000_000
DAY = 86_400_000


class Terminal:
    """Somebody at the terminal, or with a token."""

    def __init__(self, folder: Path, clock: list[int], address: str) -> None:
        self.db = str(folder / "gateway.db")
        self.key = str(folder / "people.key")
        self.clock = clock
        self.address = address
        self.folder = folder

    def run(
        self,
        *arguments: str,
        code: int = 0,
        answers: tuple[str, ...] = (),
        token: str | None = None,
        why: str | None = "of the test",
    ) -> str:
        """Run a command; answers are what the user types."""
        options = ["--db", self.db]
        if arguments[0] not in ("export", "verify", "register", "verify-file"):
            options += ["--clock", self.address]
        if why is not None and arguments[:2] in WITH_REASON:
            options += ["--why", why]
        done = CliRunner().invoke(
            gateway,
            [*arguments, *options],
            input="".join(f"{answer}\n" for answer in answers),
            env={"COLDTRAIL_TOKEN": token, "COLDTRAIL_PEOPLE_KEY": self.key},
        )
        assert done.exit_code == code, (arguments, done.output, done.exception)
        return done.output

    def json(self, *arguments: str, token: str | None = None) -> Any:
        return json.loads(self.run(*arguments, "--json", token=token))

    def first(self, name: str = "ana", password: str = PASSWORD) -> None:
        made = self.json("people", "add", name, "--shown", "Ana Costa", "--first")
        self.run("people", "redeem", answers=(made["code"], password, password))

    def session(self, name: str, password: str = PASSWORD, code: str = "") -> str:
        said = self.run("people", "sign-in", name, answers=(password, code))
        found = re.search(r"cts_\S+", said)
        assert found, said
        return found[0]


WITH_REASON = {
    *(("people", one) for one in ("add", "disable", "enable", "code")),
    *(("roles", one) for one in ("grant", "confirm", "revoke", "share")),
    *(("tokens", one) for one in ("make", "revoke")),
    ("people", "second-factor-reset"),
}


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    times = [NOW_MS]
    server = ClockServer(lambda: times[-1])
    yield Terminal(tmp_path, times, server.address)
    server.close()


def test_from_the_first_administrator_to_a_role_that_is_held(
    terminal: Terminal, cheap_passwords: None
) -> None:
    terminal.first()
    ana = terminal.session("ana")
    made = terminal.json("people", "add", "ben", "--shown", "Ben Oduya", token=ana)
    terminal.run("people", "redeem", answers=(made["code"], PASSWORD, PASSWORD))
    said = terminal.run("roles", "grant", "ben", "operator", token=ana)
    grant = re.search(r"grant (\d+)", said)
    assert grant
    assert "ask" not in said
    terminal.run("roles", "confirm", grant[1])  # the terminal is another than ana
    ben = json.loads(terminal.run("people", "whoami", token=terminal.session("ben")))
    assert (ben["name"], ben["roles"]) == ("ben", ["operator"])
    listed = terminal.json("roles", "list")
    assert [(one["name"], one["role"], one["state"]) for one in listed] == [
        ("ana", "administrator", "held"),
        ("ben", "operator", "held"),
    ]
    assert listed[1]["proposed_by"] == "person:ana"
    assert listed[1]["confirmed_by"].startswith("console:")
    terminal.run("roles", "revoke", grant[1], token=ana)
    assert len(terminal.json("roles", "list", "--all")) == 2
    assert len(terminal.json("roles", "list")) == 1


def test_only_what_the_token_may_is_done(terminal: Terminal, cheap_passwords: None) -> None:
    terminal.clock.append(time.time_ns() // 1_000_000)  # register takes no --clock
    terminal.first()
    ana = terminal.session("ana")
    terminal.run("people", "add", "erp", "--shown", "The ERP", "--program")
    grant = re.search(r"grant (\d+)", terminal.run("roles", "grant", "erp", "program"))
    assert grant
    terminal.run("roles", "confirm", grant[1], token=ana)
    token = terminal.json(
        *("tokens", "make", "erp", "--label", "orders", "--scope", "pack", "--days", "30")
    )
    assert (token["scope"], token["open"]) == (["pack"], True)
    secret = token["token"]
    for refused in (
        ("people", "list"),
        ("people", "add", "eve", "--shown", "Eve"),
        ("roles", "grant", "ana", "operator"),
        ("status",),
        ("verify", "S-1"),
        ("command", "CT-1", "reboot"),
    ):
        said = terminal.run(*refused, code=2, token=secret)
        assert "erp may not do" in said, refused
    assert "trackers 1" in terminal.run(
        "register", str(registration(terminal.folder)), token=secret
    )
    terminal.run("tokens", "revoke", token["id"])
    said = terminal.run("register", str(registration(terminal.folder)), code=2, token=secret)
    assert "was revoked" in said
    (listed,) = terminal.json("tokens", "list")
    assert listed["open"] is False
    assert secret not in terminal.run("tokens", "list")


def test_a_sponsors_session_exports_nothing_of_others(
    terminal: Terminal, cheap_passwords: None
) -> None:
    terminal.clock.append(time.time_ns() // 1_000_000)  # export takes no --clock
    terminal.first()
    terminal.run("register", str(registration(terminal.folder, shipments=("S-1", "S-2"))))
    made = terminal.json("people", "add", "carla", "--shown", "Carla Ruiz")
    terminal.run("people", "redeem", answers=(made["code"], PASSWORD, PASSWORD))
    grant = re.search(
        r"grant (\d+)",
        terminal.run("roles", "grant", "carla", "operator", "--organisation", "acme"),
    )
    assert grant
    terminal.run("roles", "confirm", grant[1], token=terminal.session("ana"))
    terminal.run("roles", "share", "S-1", "acme")
    carla = terminal.session("carla")
    terminal.run("export", "S-1", token=carla)
    for other in ("S-2", "S-3"):
        said = terminal.run("export", other, code=2, token=carla)
        assert f"There is no shipment {other}" in said
    assert "for everything" in terminal.run("status", code=2, token=carla)
    terminal.run("roles", "share", "S-1", "acme", "--end")
    terminal.run("export", "S-1", code=2, token=carla)


def test_a_second_factor_by_hand(terminal: Terminal, cheap_passwords: None) -> None:
    terminal.first()
    ana = terminal.session("ana")
    # The device is read off the terminal, so that its first code is known only then.
    begun = terminal.run(
        "people", "second-factor", "add", answers=(PASSWORD, "000000"), token=ana, code=2
    )
    assert "no code of the new device" in begun
    command = [sys.executable, "-m", "coldtrail_boards", "gateway", "people", "second-factor"]
    command += ["add", "--db", terminal.db, "--clock", terminal.address]
    read, write = os.pipe()
    child = subprocess.Popen(
        [*command, "--secrets-fd", str(read)],
        stdout=subprocess.PIPE,
        text=True,
        pass_fds=(read,),
        env={
            **os.environ,
            "COLDTRAIL_TOKEN": ana,
            "COLDTRAIL_PEOPLE_KEY": terminal.key,
            "PYTHONUNBUFFERED": "1",
        },
    )
    os.close(read)
    os.write(write, f"{PASSWORD}\n".encode())
    assert child.stdout
    uri = child.stdout.readline().split()[-1]
    device = pyotp.parse_uri(uri)
    assert isinstance(device, pyotp.TOTP)
    assert (device.name, device.issuer) == ("ana", "Coldtrail")
    command_line = Path(f"/proc/{child.pid}/cmdline").read_bytes().decode()
    os.write(write, f"{device.at(NOW_MS // 1000)}\n".encode())
    os.close(write)
    told = child.stdout.read()
    assert child.wait() == 0, told
    spare = told.split()[-10:]
    assert "in force" in told
    assert PASSWORD not in command_line
    assert ana not in command_line
    terminal.run("people", "sign-in", "ana", answers=(PASSWORD, ""), code=2)
    terminal.clock.append(NOW_MS + 30_000)
    ana = terminal.session("ana", code=device.at(NOW_MS // 1000 + 30))
    terminal.run("people", "second-factor", "remove", answers=(PASSWORD, spare[0]), token=ana)
    terminal.session("ana")


def test_secrets_come_by_a_prompt_or_a_descriptor_and_by_no_option(
    terminal: Terminal, cheap_passwords: None
) -> None:
    for command in gateway.commands["people"].commands.values():  # type: ignore[attr-defined]
        for parameter in command.params:
            names = {*parameter.opts, parameter.name}
            assert not names & {"--password", "--code", "password", "code"}, command.name
            assert "PASSWORD" not in str(parameter.envvar)
    made = terminal.json("people", "add", "ana", "--shown", "Ana Costa", "--first")
    read, write = os.pipe()
    os.write(write, f"{made['code']}\n{PASSWORD}\n".encode())
    os.close(write)
    said = terminal.run("people", "redeem", "--secrets-fd", str(read))
    os.close(read)
    assert "ana has a new password" in said
    read, write = os.pipe()
    os.close(write)
    assert "Missing" in terminal.run("people", "redeem", "--secrets-fd", str(read), code=2)
    os.close(read)
    assert "not open" in terminal.run("people", "redeem", "--secrets-fd", "1000", code=2)


def test_nothing_secret_is_printed_but_what_was_asked_for(
    terminal: Terminal, cheap_passwords: None
) -> None:
    made = terminal.json("people", "add", "ana", "--shown", "Ana Costa", "--first")
    said = terminal.run("people", "redeem", answers=(made["code"], PASSWORD, PASSWORD))
    assert PASSWORD not in said
    assert made["code"] not in said
    wrong = "not the password of ana"
    said = terminal.run("people", "sign-in", "ana", answers=(wrong, ""), code=2)
    assert said.strip().endswith("Error: Name, password or code is wrong.")
    assert wrong not in said
    session = terminal.session("ana")
    for shown in (
        ("people", "list"),
        ("people", "show", "ana"),
        ("people", "sessions", "list", "ana"),
    ):
        said = terminal.run(*shown, token=session)
        assert session not in said
        assert "argon2" not in said
    with Tower(terminal.db, create=False) as tower, tower.read() as connection:
        told = repr(list(trail.find(connection)))
    for secret in (PASSWORD, wrong, session, made["code"]):
        assert secret not in told


def test_a_change_without_a_reason_is_not_made(terminal: Terminal) -> None:
    arguments = ("people", "add", "ana", "--shown", "Ana Costa", "--first")
    for why in (None, "", "  "):
        assert "Say why" in terminal.run(*arguments, why=why, code=2)
    assert terminal.json("people", "list") == []


@pytest.mark.parametrize(
    "token", ["x", "", "cts_" + "A" * 43, "ctp_abcdefgh_" + "A" * 43, "cts_" + "A" * 100_000]
)
def test_a_token_that_is_none_is_a_sentence_and_not_the_terminal(
    terminal: Terminal, token: str
) -> None:
    for command in (("people", "list"), ("status",), ("people", "whoami")):
        said = terminal.run(*command, token=token, code=2)
        assert said.startswith("Error: ")
        assert not token or token not in said
    assert "sign in first" in terminal.run("people", "whoami", code=2)


def test_an_account_that_was_altered_by_hand_is_a_sentence(
    terminal: Terminal, cheap_passwords: None
) -> None:
    terminal.first()
    with closing(sqlite3.connect(terminal.folder / "gateway.tower.db")) as database, database:
        database.execute("UPDATE accounts SET shown = x'ff00'")
    for command in (("people", "list"), ("people", "show", "ana"), ("tokens", "list")):
        said = terminal.run(*command, code=2)
        assert said.startswith("Error: ")
        assert "changed it by hand" in said


def test_an_ended_session_does_not_keep_anybody_from_signing_in_again(
    terminal: Terminal, cheap_passwords: None
) -> None:
    terminal.first()
    old = terminal.session("ana")
    terminal.clock.append(NOW_MS + DAY)
    said = terminal.run("people", "sign-in", "ana", answers=(PASSWORD, ""), token=old)
    new = said.split()[-1]
    assert "signed out" in terminal.run("people", "sign-out", token=new)
    assert "ended" in terminal.run("people", "list", token=new, code=2)


def test_the_matrix_is_that_of_the_program(terminal: Terminal) -> None:
    done = CliRunner().invoke(gateway, ["roles", "matrix", "--json"])
    matrix = json.loads(done.output)
    assert matrix["roles.grant"] == ["administrator"]
    assert "sponsor" not in matrix["tracker.status"]
    assert "shipment.export" in CliRunner().invoke(gateway, ["roles", "matrix"]).output
