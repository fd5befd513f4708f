"""The bundle of sealed blocks: checked with pycose and cbor2, with a key that is not in it."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest
from click.testing import CliRunner, Result

from coldtrail_gateway.cli.main import decode, gateway
from coldtrail_gateway.contract.utc import iso
from coldtrail_gateway.ingest import intake
from coldtrail_gateway.ingest.intake import Arrival
from coldtrail_gateway.store.database import Store
from coldtrail_gateway.store.registry import KeyPair, Shipment
from tests.support.blocks.blockmaker import BOOT_EVENT, Maker, hash16, opened, rows
from tests.support.blocks.journey import START, SYNC

# Not the counting bytes of other tests: these must be recognised wherever they were.
UPLINK, DOWNLINK = (Random(seed).randbytes(32) for seed in (1, 2))
ARRIVAL_MS: Final = (START + 90_000) * 1000
Run = Callable[..., Result]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A database with a tracker and two shipments of it."""
    path = tmp_path / "gateway.db"
    with Store(str(path), create=True) as store, store.write() as tables:
        tables.registry.add_tracker("CT-1", test=True)
        tables.registry.add_key("CT-1", 1, KeyPair(UPLINK, DOWNLINK))
        for shipment in ("S-1", "=S 2"):
            tables.registry.add_shipment(Shipment(shipment, "CT-1", None))
    return path


def deliver(path: Path, blocks: Sequence[bytes], now_ms: int = ARRIVAL_MS) -> None:
    with Store(str(path), create=False) as store:
        for block in blocks:
            (kept,) = intake.take(store, [Arrival("CT-1", block)], now_ms)
            assert isinstance(kept, intake.Kept)


def exported(path: Path, target: Path, shipment: str = "S-1") -> zipfile.ZipFile:
    arguments = ["export", shipment, "--format", "blocks", "-o", str(target), "--db", str(path)]
    done = CliRunner().invoke(gateway, arguments)
    assert (done.exit_code, done.output) == (0, "")
    return zipfile.ZipFile(target)


def index(file: zipfile.ZipFile) -> Any:
    return json.loads(file.read("index.json"))


def maker() -> Maker:
    return Maker(key=UPLINK)


def journey() -> list[bytes]:
    """Return a block before the shipment, three of it, and one of the next."""
    made = maker()
    made.shipment = None
    blocks = [made.block([], [BOOT_EVENT], SYNC)]
    made.shipment = "S-1"
    blocks.append(made.block(rows(3), [(10, 0, "S-1")], SYNC))
    blocks += [made.block(rows(3, start=900 * n), [], SYNC) for n in (1, 2)]
    made.shipment = "=S 2"
    return [*blocks, made.block(rows(1, start=4000), [(10, 4000, "=S 2")])]


def test_an_auditor_with_the_key_checks_every_block(database: Path, tmp_path: Path) -> None:
    blocks = journey()
    deliver(database, blocks)
    with exported(database, tmp_path / "evidence.zip") as file:
        said = index(file)["blocks"]
        assert [block["number"] for block in said] == [2, 3, 4]
        previous = hash16(blocks[0])
        for block, sealed in zip(said, blocks[1:4], strict=True):
            content = file.read(block["file"])
            assert content == sealed
            assert hashlib.sha256(content).hexdigest() == block["sha256"]
            payload = opened(content, block["tracker"], UPLINK, direction="up")
            assert (payload[1].hex(), payload[2]) == (block["chain"], block["number"])
            assert (payload[7], payload[3]) == (block["shipment"], previous)
            assert (block["key_version"], block["state"]) == (1, "archived")
            assert block["arrived"] == iso(ARRIVAL_MS)
            previous = hash16(content)
        with pytest.raises(AssertionError, match="MAC"):
            opened(file.read(said[0]["file"]), "CT-1", DOWNLINK, direction="up")


def test_the_index_is_the_same_for_a_spreadsheet(database: Path, tmp_path: Path) -> None:
    deliver(database, journey())
    with exported(database, tmp_path / "evidence.zip", "=S 2") as file:
        (block,) = index(file)["blocks"]
        (row,) = csv.DictReader(io.TextIOWrapper(file.open("index.csv"), encoding="utf-8"))
    assert block["shipment"] == "=S 2"
    assert row.pop("shipment") == "'=S 2"  # no formula
    assert row == {name: str(value) for name, value in block.items() if name != "shipment"}


def test_no_part_of_a_key_is_in_it(database: Path, tmp_path: Path) -> None:
    deliver(database, journey())
    target = tmp_path / "evidence.zip"
    with exported(database, target) as file:
        contents = [target.read_bytes(), *map(file.read, file.namelist())]
    for key in (UPLINK, DOWNLINK):
        for start in range(29):
            part = key[start : start + 4]
            for content in contents:
                assert part not in content
                assert part.hex().encode() not in content.lower()
        for content in contents:
            for form in (base64.b64encode, base64.urlsafe_b64encode, base64.b85encode):
                assert form(key)[:12] not in content


def test_two_runs_give_the_same_bytes(database: Path, tmp_path: Path) -> None:
    deliver(database, journey())
    for name in ("one", "two"):
        exported(database, tmp_path / name).close()
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_late_blocks_and_what_was_confirmed(database: Path, tmp_path: Path) -> None:
    blocks = journey()
    deliver(database, [blocks[0], blocks[1], blocks[3]])
    with exported(database, tmp_path / "early.zip") as file:
        assert index(file)["chains"] == [
            {"chain": b"chain  1".hex(), "watermark": 2, "beyond": [[4, 4]]}
        ]
    deliver(database, [blocks[2]], ARRIVAL_MS + 7_200_000)
    with exported(database, tmp_path / "late.zip") as file:
        assert [block["number"] for block in index(file)["blocks"]] == [2, 3, 4]
        assert index(file)["blocks"][1]["arrived"] == iso(ARRIVAL_MS + 7_200_000)
        assert index(file)["chains"][0] == {
            "chain": b"chain  1".hex(),
            "watermark": 4,
            "beyond": [],
        }


def test_both_blocks_of_a_fork_and_what_nobody_understands(database: Path, tmp_path: Path) -> None:
    made = maker()
    first = made.block(rows(1), [BOOT_EVENT], SYNC)
    other = made.copy()
    fork = [made.block(rows(2, start=600)), other.block(rows(2, start=600, value=1))]
    strange = made.block(k0=2)
    deliver(database, [first, *fork, strange, first])
    with exported(database, tmp_path / "evidence.zip") as file:
        said = index(file)["blocks"]
        assert [block["number"] for block in said] == [1, 2, 2, 3]
        assert [file.read(block["file"]) for block in said] == [first, *fork, strange]
    assert [block["repeats"] for block in said] == [1, 0, 0, 0]
    assert [block["state"] == "archived" for block in said] == [True, True, True, False]
    assert "version 2" in said[3]["state"]
    assert said[3]["shipment"] is None


def test_a_shipment_without_blocks(database: Path, tmp_path: Path) -> None:
    with exported(database, tmp_path / "evidence.zip") as file:
        assert file.namelist() == ["VERIFY.txt", "index.json", "index.csv"]
        assert (index(file)["blocks"], index(file)["chains"]) == ([], [])


# --- read back ---


def verify_file(path: Path, *arguments: str) -> Result:
    return CliRunner().invoke(gateway, ["verify-file", str(path), *arguments])


def test_verify_file_reads_it_back(database: Path, tmp_path: Path) -> None:
    deliver(database, journey())
    target = tmp_path / "evidence.zip"
    exported(database, target).close()
    done = verify_file(target, "--db", str(database))
    assert done.exit_code == 0, done.output
    assert [row["verified"] for row in csv.DictReader(io.StringIO(done.stdout))] == ["yes"] * 9
    without = verify_file(target, "--db", str(tmp_path / "none.db"))
    assert without.exit_code == 1
    assert "samples vouched for: 0 of 9" in without.stderr


def test_decode_verifies_a_block_with_the_key_alone(database: Path, tmp_path: Path) -> None:
    deliver(database, journey())
    key = tmp_path / "key"
    key.touch(0o600)
    key.write_text(UPLINK.hex())
    with exported(database, tmp_path / "evidence.zip") as file:
        block = Path(file.extract(index(file)["blocks"][0]["file"], tmp_path))
    done = CliRunner().invoke(
        decode, [str(block), "--tracker", "CT-1", "--key-file", str(key), "--json"]
    )
    assert (done.exit_code, json.loads(done.output)["mac"]) == (0, "verifies")


def rewritten(source: Path, target: Path, changes: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(source) as file, zipfile.ZipFile(target, "w") as other:
        for name in file.namelist():
            other.writestr(name, changes.get(name, file.read(name)))
    return target


def test_a_bundle_that_was_changed_is_refused(database: Path, tmp_path: Path) -> None:
    deliver(database, journey())
    target = tmp_path / "evidence.zip"
    with exported(database, target) as file:
        one, other = (block["file"] for block in index(file)["blocks"][:2])
        exchanged = file.read(other)
    done = verify_file(rewritten(target, tmp_path / "changed.zip", {one: exchanged}))
    assert done.exit_code == 2
    assert f"{one} is not the block that its index names" in done.stderr


@pytest.mark.parametrize(
    "content",
    [
        b"{}",
        b"[]",
        b"\xff",
        b'{"coldtrail": "evidence/2"}',
        b'{"coldtrail": "evidence/1", "tracker": "ct 1", "blocks": []}',
        b'{"coldtrail": "evidence/1", "tracker": "CT-1", "blocks": [{"file": "x"}]}',
        b'{"coldtrail": "evidence/1", "tracker": "CT-1", "blocks": 1}',
    ],
)
def test_a_zip_file_that_is_no_bundle(tmp_path: Path, content: bytes) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as file:
        file.writestr("index.json", content)
    done = verify_file(tmp_path / "x.zip")
    assert done.exit_code == 2
    assert "no bundle of sealed blocks" in done.stderr
    assert done.stderr.count("\n") == 1
