"""`coldtrail gateway verify-file`: a log from the cable, verified with what the gateway knows."""

import csv
import io
from pathlib import Path

import cbor2
import pytest
from click.testing import CliRunner, Result

from coldtrail_gateway.cli.main import gateway
from coldtrail_simulator.shipment import identity
from tests.support import terminal
from tests.support.trackers import travelled
from tests.support.trackers.bench import profile

NAME = identity.simulated(1, "bench")
HEAD = {"coldtrail": "readout/1", "tracker": NAME.tracker, "chain": "00"}


@pytest.fixture(scope="module")
def blocks() -> list[bytes]:
    return travelled.log(NAME.device_file("broker.example", 1883), profile(), 4, 6)[1]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("gateway")
    NAME.write_registration(folder / "registration.json")
    database = str(folder / "gateway.db")
    arguments = ["register", str(folder / "registration.json"), "--db", database]
    assert CliRunner().invoke(gateway, arguments).exit_code == 0
    return database


def written(path: Path, blocks: list[bytes], head: object = HEAD) -> Path:
    items = [head, *([n, block] for n, block in enumerate(blocks, 1))]
    path.write_bytes(b"".join(cbor2.dumps(item) for item in items))
    return path


def verify_file(path: Path, *arguments: str) -> Result:
    return CliRunner().invoke(gateway, ["verify-file", str(path), *arguments])


def rows(result: Result) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(result.stdout)))


def test_what_verifies_is_vouched_for(blocks: list[bytes], database: str, tmp_path: Path):
    done = verify_file(written(tmp_path / "log", blocks), "--db", database)
    assert done.exit_code == 0, done.output
    assert [row["verified"] for row in rows(done)] == ["yes"] * 24
    assert [int(row["t_s"]) for row in rows(done)] == list(range(60, 60 + 24 * 300, 300))
    assert "verified" in done.stderr


def test_a_block_that_was_touched_is_named_and_left_out(
    blocks: list[bytes], database: str, tmp_path: Path
):
    forged = bytearray(blocks[2])
    forged[60] ^= 1
    touched = [*blocks[:2], bytes(forged), blocks[3]]
    done = verify_file(written(tmp_path / "log", touched), "--db", database)
    assert done.exit_code == 1
    assert "damaged: a block (row 3): MAC does not verify" in done.stderr
    assert len(rows(done)) == 18


def test_without_a_key_everything_is_there_and_nothing_vouched_for(
    blocks: list[bytes], database: str, tmp_path: Path
):
    stranger = {**HEAD, "tracker": "CT-9"}
    done = verify_file(written(tmp_path / "log", blocks, stranger), "--db", database)
    assert done.exit_code == 1
    assert "tracker CT-9 is not registered here" in done.stderr
    assert {row["verified"] for row in rows(done)} == {"unverified"}
    assert len(rows(done)) == 24
    assert "samples vouched for: 0 of 24" in done.stderr


def test_what_a_broken_transfer_left_is_passed_over(
    blocks: list[bytes], database: str, tmp_path: Path
):
    path = written(tmp_path / "log", blocks)
    path.write_bytes(path.read_bytes()[:-10])
    done = verify_file(path, "--db", database)
    assert len(rows(done)) == 18


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "no read-out"),
        (b"time_utc,payload_c\n", "no read-out"),
        (cbor2.dumps({**HEAD, "tracker": "no tracker"}), "names no tracker"),
        (cbor2.dumps(HEAD) + cbor2.dumps("block"), "no block"),
        (cbor2.dumps(HEAD), "nothing to write"),
    ],
)
def test_what_is_no_read_out_is_refused(content: bytes, says: str, database: str, tmp_path: Path):
    (tmp_path / "log").write_bytes(content)
    done = verify_file(tmp_path / "log", "--db", database, "-o", str(tmp_path / "out.csv"))
    assert done.exit_code == 2
    assert says in done.stderr
    assert not (tmp_path / "out.csv").exists()


def test_another_shipment_is_named_by_those_that_are_there(
    blocks: list[bytes], database: str, tmp_path: Path
):
    path = written(tmp_path / "log", blocks)
    done = verify_file(path, "--db", database, "--shipment", "S-404")
    assert done.exit_code == 2
    assert f"it has {NAME.shipment}" in done.stderr


def test_a_terminal_shows_the_result_and_how_to_get_the_samples(
    blocks: list[bytes], database: str, tmp_path: Path
):
    path = str(written(tmp_path / "log", blocks))
    code, shown = terminal.run("verify-file", path, "--db", database)
    assert code == 0
    assert "samples vouched for: 24 of 24\n" in shown
    assert "\nverified\n" in shown
    assert "The 24 samples are not shown: -o FILE writes them as CSV." in shown
    assert "time_utc" not in shown
    target = tmp_path / "out.csv"
    code, shown = terminal.run("verify-file", path, "--db", database, "-o", str(target))
    assert code == 0
    assert "not shown" not in shown
    assert len(target.read_text().splitlines()) == 25
