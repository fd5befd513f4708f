"""What trackers write reaches every output as data: nothing in it is carried out.

The text goes the whole way: into a sealed block, through the archive, out by every command.
"""

from __future__ import annotations

import csv
import io
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cbor2
import pytest
from click.testing import CliRunner, Result
from hypothesis import example, given, settings
from hypothesis import strategies as st

from coldtrail_gateway.cli.logs import Lines
from coldtrail_gateway.cli.main import decode, gateway
from coldtrail_gateway.contract.printable import printable
from coldtrail_gateway.exports.text import to_csv
from coldtrail_gateway.ingest import intake
from coldtrail_gateway.ingest.intake import Arrival
from coldtrail_gateway.store.database import Store
from tests.gateway.running import registration
from tests.support.blocks import strategies
from tests.support.blocks.blockmaker import Maker, rows
from tests.support.blocks.contract import Text
from tests.support.blocks.journey import START, SYNC

COUNTER = START * 1000
NASTY = (
    "[/oops]",
    "[red]cold[/red]",
    ":skull:",
    "\x1b[2J\x1b]0;owned\x07",
    "\x9b31m",
    "a\r\nverified\n",
    "\u202egpj.exe",
    "=1+1",
    "@SUM(A1);=2",
    "\x00",
    "\ufeff\u2028",
)


@dataclass(frozen=True)
class Written:
    """All that a tracker can put into words."""

    reason: str
    shipment: str
    firmware: str
    profile: str
    instrument: str
    certificate: str


def texts(longest: int) -> st.SearchStrategy[str]:
    nasty = [text for text in NASTY if len(text.encode()) <= longest]
    return st.sampled_from(nasty) | strategies.value(Text(longest))


WRITTEN = st.builds(Written, texts(64), texts(32), texts(16), texts(32), texts(32), texts(32))


def blocks(said: Written) -> list[bytes]:
    """Return the blocks of two shipments; the first, of that name, has no stop."""
    maker = Maker(shipment=said.shipment)
    calibration = (16, 0, 0, said.instrument, said.certificate, START, START + 9, ())
    boot = [(3, 0, 1, 1, 0, said.firmware), (7, 0, said.profile, bytes(8)), calibration]
    first = maker.block(rows(2), [*boot, (10, 0, said.shipment)], SYNC)
    maker.shipment = "S-1"
    outcome = (17, 700, COUNTER, 2, 2, said.reason)
    return [first, maker.block(rows(2, start=600), [outcome])]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("said")


def outputs(folder: Path, said: Written) -> Iterator[tuple[str, Result]]:
    """Yield what every command says of it."""
    path = folder / "gateway.db"
    for file in folder.glob("gateway.*"):
        file.unlink()
    database = ("--db", str(path))

    def run(*arguments: str) -> tuple[str, Result]:
        result = CliRunner().invoke(gateway, [*arguments, *database])
        assert result.exception is None or isinstance(result.exception, SystemExit), arguments
        return " ".join(arguments), result

    run("register", str(registration(folder)))
    sealed = blocks(said)
    with Store(str(path), create=True) as store:
        with store.write() as tables:
            made = tables.commands.add("CT-1", [2], COUNTER, 90_000)
        assert made.counter == COUNTER
        intake.take(store, [Arrival("CT-1", block) for block in sealed], START * 1000 + 10**9)
    yield run("status")
    yield run("verify", "S-1")
    yield run("command", "CT-1", "list")
    for form in ("csv", "json", "senml-json", "epcis"):
        yield run("export", "S-1", "--format", form)
    log = folder / "log"
    head = {"coldtrail": "readout/1", "tracker": "CT-1", "chain": "00"}
    log.write_bytes(b"".join(map(cbor2.dumps, [head, *map(list, enumerate(sealed))])))
    yield run("verify-file", str(log))
    yield run("verify-file", str(log), "--shipment", "S-9")
    yield "verify-file another", run("verify-file", str(log), "--shipment", said.shipment)[1]
    for number, block in enumerate(sealed):
        (folder / "block").write_bytes(block)
        for options in ([], ["--json"]):
            yield (
                f"decode {number}",
                CliRunner().invoke(decode, [str(folder / "block"), *options]),
            )


@given(said=WRITTEN)
@settings(max_examples=60, deadline=None)
@example(said=Written(*NASTY[:2], ":skull:", *NASTY[4:7]))
@example(said=Written("a\r\nverified\n", "=1+1", "\x1b[2J", "\x9b31m", "\u202e", "\x00"))
def test_no_output_has_a_control_character(folder: Path, said: Written) -> None:
    for command, result in outputs(folder, said):
        text = result.output
        assert text, command
        wrong = {c for c in text if not c.isprintable()} - {"\n"}
        assert not wrong, (command, wrong)


@given(reason=texts(64).filter(lambda text: len(printable(text)) < 60))
@settings(max_examples=60, deadline=None)
@example(reason="[/oops]")
@example(reason="[red]cold[/red]")
@example(reason=":skull:")
@example(reason="a\nverified")
def test_what_is_printed_is_what_was_said(folder: Path, reason: str) -> None:
    """Of a decoded block, for people in its printable form, and exactly in JSON."""
    said = Written(reason, "S-0", "1", "p", "i", "c")
    shown = [result.output for command, result in outputs(folder, said) if command == "decode 1"]
    assert f"outcome refused, reason {printable(reason)}\n" in shown[0]
    document = json.loads(shown[1])
    assert document["events"][0]["reason"] == reason


@pytest.mark.parametrize("reason", ["[/oops]", "[red]x[/red]", ":skull:", "\x1b[2J"])
def test_a_reason_in_the_tables(folder: Path, reason: str) -> None:
    said = dict(outputs(folder, Written(reason, "S", "1", "p", "i", "c")))
    for command in ("status", "command CT-1 list"):
        assert said[command].exit_code == 0
        assert f"refused: {printable(reason)}" in said[command].output


def test_a_finding_is_one_line(folder: Path) -> None:
    """A shipment's name cannot write "verified" between them."""
    said = dict(outputs(folder, Written("r", "S\nverified", "1", "p", "i", "c")))
    lines = said["verify-file another"].stderr.splitlines()
    assert lines[-1] == "NOT verified"
    assert "verified" not in lines
    assert r"shipment S\nverified ends with block 1 without a stop" in " ".join(lines)


def test_json_brings_every_text_back_exactly(folder: Path) -> None:
    said = Written("\x1b\x9b\u202e\x7f\ufeff", "S", "1.0", "\x00", "\u2028", "\U0001f976")
    document: Any = json.loads(dict(outputs(folder, said))["export S-1 --format json"].output)
    assert document["events"][0]["reason"] == said.reason
    (calibration,) = document["calibrations"]
    assert (calibration["instrument"], calibration["certificate"]) == ("\u2028", "\U0001f976")


def test_an_argument_is_text_from_outside_too(tmp_path: Path) -> None:
    database = ("--db", str(tmp_path / "gateway.db"))
    CliRunner().invoke(gateway, ["register", str(registration(tmp_path)), *database])
    for arguments in (
        ["verify", "S\x1b[2J"],
        ["export", "S\n"],
        ["verify", "\udcff"],
        ["export", "\0"],
    ):
        result = CliRunner().invoke(gateway, [*arguments, *database])
        assert result.exit_code == 2
        assert "\x1b" not in result.stderr
        assert result.stderr.count("\n") == 1


def test_a_line_of_the_log_is_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(Lines("%(levelname)s %(message)s"))
    log = logging.getLogger("coldtrail.test")
    log.propagate = False
    log.addHandler(handler)
    try:
        raise ValueError("no\x1b[2J")
    except ValueError:
        log.exception("broker %s: lost", "b\nINFO online\x9b")
    lines = capfd.readouterr().err.splitlines()
    assert lines[0] == r"ERROR broker b\nINFO online\u009b: lost"
    assert lines[-1] == r"ValueError: no\u001b[2J"


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("S-1", "S-1"),
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("+1+1", "'+1+1"),
        ("-1+1", "'-1+1"),
        ("@SUM", "'@SUM"),
        ("＝1", "'＝1"),
        ("\t=1", r"\t=1"),
        ("a;=1", r"a\u003b=1"),
        ('a,"=1', 'a,"=1'),
        ("-0.05", "-0.05"),
        ("-196", "-196"),
        ("", ""),
    ],
)
def test_no_cell_is_a_formula(text: str, cell: str) -> None:
    (row,) = csv.DictReader(io.StringIO(to_csv(["name", "x"], [{"name": text, "x": 1}])))
    assert row["name"] == cell
