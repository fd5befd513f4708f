"""The commands: what they print, what they refuse, and with which exit code."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cbor2
import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from coldtrail_gateway.cli.main import decode, gateway
from coldtrail_gateway.contract import envelope
from coldtrail_gateway.contract.envelope import Kind
from coldtrail_gateway.ingest import intake
from coldtrail_gateway.ingest.intake import Arrival
from coldtrail_gateway.readings.tables import samples
from coldtrail_gateway.store.database import Store
from coldtrail_gateway.store.tower.database import Tower
from tests.gateway.running import registration
from tests.support import terminal
from tests.support.blocks.blockmaker import BOOT_EVENT, DOWNLINK, UPLINK, Maker, hash16, rows
from tests.support.blocks.blockmaker import downlink as downlink_of
from tests.support.blocks.blockmaker import uplink as uplink_of
from tests.support.blocks.journey import rough_journey

START = 1_767_225_600  # 2026-01-01
ARRIVAL_MS = (START + 31 * 86_400) * 1000
VECTORS = Path(__file__).resolve().parents[3] / "firmware" / "vectors"
Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run a command of the gateway's on this test's database."""

    def run(*arguments: str | Path) -> Result:
        words = [*map(str, arguments), "--db", str(tmp_path / "gateway.db")]
        result = CliRunner().invoke(gateway, words)
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result

    return run


def deliver(folder: Path, *blocks: bytes) -> None:
    store = Store(str(folder / "gateway.db"), create=True)
    intake.take(store, [Arrival("CT-1", block) for block in blocks], ARRIVAL_MS)
    store.close()


def told(output: str, tracker: str = "CT-1") -> dict[str, str]:
    """Return a tracker's line of `status`, by the heads of the columns."""
    lines = output.splitlines()
    heads = next(line for line in lines if line.startswith("┃"))
    cells = next(line for line in lines if line.startswith(f"│ {tracker} "))
    return {
        head.strip(): cell.strip()
        for head, cell in zip(
            heads.strip("┃").split("┃"), cells.strip("│").split("│"), strict=True
        )
    }


def shipment() -> list[bytes]:
    maker = Maker()
    alarm = (5, 900, 2, 2, 0, 3, 800, 600, 812, 650)
    return [
        maker.block(rows(3), [BOOT_EVENT], (0, 0, START, 0, 500, 1)),
        maker.block(rows(3, start=900), [alarm]),
    ]


# --- register ---


def test_register_may_be_repeated(run: Run, tmp_path: Path) -> None:
    file = registration(tmp_path)
    for _ in range(2):
        result = run("register", file)
        assert result.exit_code == 0
        assert result.output == "registered: trackers 1, shipments 1\n"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_file_that_others_can_read_is_refused(run: Run, tmp_path: Path, mode: int) -> None:
    file = registration(tmp_path)
    file.chmod(mode)
    result = run("register", file)
    assert result.exit_code == 2
    assert "Others can read the keys" in result.stderr
    assert result.stderr.count("\n") == 1
    assert "CT-1" not in run("status").output


def test_a_database_that_others_can_read_is_warned_of(run: Run, tmp_path: Path) -> None:
    run("register", registration(tmp_path))
    (tmp_path / "gateway.db").chmod(0o640)
    result = run("status")
    assert result.exit_code == 0
    assert result.stderr.startswith("Warning: others can read the keys in")
    assert result.stderr.count("\n") == 1


def changed(folder: Path, **entries: Any) -> Path:
    document = json.loads(registration(folder).read_text()) | entries
    path = folder / "changed.json"
    path.write_text(json.dumps(document))
    path.chmod(0o600)
    return path


def tracker(
    name: str, version: Any = 1, uplink: Any = None, downlink: Any = None, **more: Any
) -> dict[str, Any]:
    key = {
        "version": version,
        "uplink": uplink_of(name).hex() if uplink is None else uplink,
        "downlink": downlink_of(name).hex() if downlink is None else downlink,
    }
    return {"id": name, "keys": [key], **more}


OTHER = bytes(range(64, 96)).hex()
# The same key twice: in the file, in the database, in the other direction, in another version.
SHARED = (
    [tracker("CT-2", uplink=OTHER), tracker("CT-3", uplink=OTHER)],
    [tracker("CT-2", uplink=OTHER), tracker("CT-3", downlink=OTHER)],
    [tracker("CT-2", downlink=OTHER), tracker("CT-2", version=2, downlink=OTHER)],
    [tracker("CT-2", uplink=UPLINK.hex())],
    [tracker("CT-2", downlink=DOWNLINK.hex())],
    [tracker("CT-2", downlink=UPLINK.hex())],
    [tracker("CT-1", version=2, uplink=UPLINK.hex(), downlink=OTHER)],
    [tracker("CT-1", version=2, uplink=DOWNLINK.hex(), downlink=UPLINK.hex())],
)


@pytest.mark.parametrize(
    ("entries", "complaint"),
    [
        ({"trackers": [tracker("CT-2"), tracker("CT-1", uplink=OTHER)]}, "other keys"),
        ({"trackers": [tracker("CT-2"), tracker("ct-1")]}, "trackers.1.id"),
        ({"trackers": [tracker("CT-2", uplink="77" * 31)]}, "64 hexadecimal digits"),
        ({"trackers": [tracker("CT-2", uplink="z" * 64)]}, "64 hexadecimal digits"),
        ({"trackers": [tracker("CT-2", uplink=7)]}, "64 hexadecimal digits"),
        ({"trackers": [tracker("CT-2", uplink=OTHER, downlink=OTHER)]}, "different keys"),
        ({"trackers": [tracker("CT-2", uplink="00" * 32)]}, "no secret"),
        ({"trackers": [tracker("CT-2", downlink="ff" * 32)]}, "no secret"),
        *(({"trackers": given}, "make a key of its own") for given in SHARED),
        ({"trackers": [tracker("CT-2", version=0)]}, "version"),
        ({"trackers": [tracker("CT-2", version=256)]}, "version"),
        ({"trackers": [tracker("CT-2", version="1")]}, "version"),
        ({"trackers": [tracker("CT-2", colour="red")]}, "colour"),
        ({"trackers": [{"id": "CT-2", "keys": []}]}, "keys"),
        ({"trackers": [tracker("CT-2")], "shipments": [{"id": "S-2", "tracker": "X"}]}, "names"),
        ({"trackers": [tracker("CT-2")], "shipments": [{"id": "", "tracker": "CT-1"}]}, "id"),
        (
            {"trackers": [tracker("CT-2")], "shipments": [{"id": "é" * 17, "tracker": "CT-2"}]},
            "32 bytes",
        ),
        (
            {"trackers": [tracker("CT-2")], "shipments": [{"id": "S-1", "tracker": "CT-2"}]},
            "another tracker",
        ),
        ({"coldtrail": "registration/2"}, "coldtrail"),
    ],
)
def test_a_bad_file_registers_nothing(
    run: Run, tmp_path: Path, entries: dict[str, Any], complaint: str
) -> None:
    run("register", registration(tmp_path))
    result = run("register", changed(tmp_path, **entries))
    assert result.exit_code == 2
    assert complaint in result.stderr
    assert "Nothing was registered" in result.stderr
    assert result.stderr.count("\n") == 1
    for key in (UPLINK, DOWNLINK):
        assert key.hex() not in result.stderr
    assert "CT-2" not in run("status").output


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00", '{"trackers": []}', "[" * 100_000])
def test_files_that_are_no_registration(run: Run, tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(text)
    path.chmod(0o600)
    result = run("register", path)
    assert result.exit_code == 2
    assert "is not a registration file" in result.stderr


def test_a_file_that_is_not_there(run: Run, tmp_path: Path) -> None:
    result = run("register", tmp_path / "none.json")
    assert result.exit_code == 2
    assert "does not exist" in result.stderr


# --- status, export, verify ---


@pytest.mark.parametrize("command", [["status"], ["export", "S-1"], ["verify", "S-1"]])
def test_without_a_database_there_is_a_sentence(run: Run, command: list[str]) -> None:
    result = run(*command)
    assert result.exit_code == 2
    assert "register a tracker first" in result.stderr


@pytest.mark.parametrize("command", ["export", "verify"])
def test_an_unknown_shipment(run: Run, tmp_path: Path, command: str) -> None:
    run("register", registration(tmp_path))
    result = run(command, "S-9")
    assert result.exit_code == 2
    assert "S-9 is not registered" in result.stderr


def test_status_shows_every_tracker(run: Run, tmp_path: Path) -> None:
    run("register", registration(tmp_path, ["CT-1", "CT-2"]))
    maker = Maker()
    deliver(tmp_path, *shipment(), b"junk")
    clone = maker.copy()
    deliver(tmp_path, clone.block(rows(1)))
    output = run("status").output
    assert told(output) == {
        "tracker": "CT-1 (test)",
        "shipment": "S-1",
        "last contact (UTC)": "2026-02-01 00:00:00",
        "payload": "5.02 °C",
        "of (UTC)": "unknown",  # of its boot's only sync there is a fork
        "samples": "7",
        "blocks missing": "0",
        "alarms": "1 standing of 1",
        "faults": "none",
        "position": "unknown",
        "battery": "3600 mV",
        "commands": "none",
        "findings": "fork",
    }
    assert told(output, "CT-2")["last contact (UTC)"] == "never"
    assert told(output, "CT-2")["payload"] == "unknown"
    assert "not the contract's COSE_Mac0 1" in output


def test_status_shows_faults_the_place_and_who_has_seen_the_alarms(
    run: Run, tmp_path: Path
) -> None:
    run("register", registration(tmp_path))
    maker = Maker()
    again = (5, 900, 8, 1, 0, 3, 800, 0, 812, 0)
    fault = (13, 900, 0, 3, 1)
    place = (2, 900, 52_520_008, -13_404_954, 25, 1)
    deliver(tmp_path, *rough_journey())

    def cells() -> list[str]:
        line = told(run("status").output)
        return [line[head] for head in ("alarms", "faults", "position")]

    assert cells() == [
        "1, all ended, acknowledged",
        "calibration overdue",
        "cell 234-15-4660-27447297",
    ]
    maker.chain = b"another!"
    deliver(tmp_path, maker.block(rows(1), [fault, again, place]))
    assert cells() == ["1 standing of 2", "probe open", "52.52001, -13.40495 ± 25 m"]
    faults = [(13, 1200, 2, 12, 1), (13, 1200, 2, 7, 1), (13, 1300, 2, 7, 0), (13, 1300, 0, 3, 0)]
    deliver(tmp_path, maker.block(rows(1, start=1200), faults))
    assert cells()[1] == "light interrupt storm"
    deliver(tmp_path, maker.block(rows(1, start=1500), [(13, 1500, 2, 12, 0)]))
    assert cells() == ["1 standing of 2", "none", "52.52001, -13.40495 ± 25 m"]


def test_status_shows_the_alarms_of_the_present_shipment(run: Run, tmp_path: Path) -> None:
    run("register", registration(tmp_path, shipments=["S-1", "S-2"]))
    start, end = (5, 300, 2, 1, 0, 3, 800, 0, 812, 0), (6, 600, 2, 1, 801, 830, 300)

    def alarms() -> str:
        return told(run("status").output)["alarms"]

    maker = Maker()
    deliver(tmp_path, maker.block(rows(3), [BOOT_EVENT, start]))
    assert alarms() == "1 standing of 1"
    # Stopped and not yet on the next journey: the receiver still sees what happened.
    maker.shipment = None
    deliver(tmp_path, maker.block([], [(20, 700, 1)]))
    assert alarms() == "1 standing of 1"
    maker.shipment = "S-2"
    deliver(tmp_path, maker.block(rows(3, start=900), [(10, 900, "S-2")]))
    assert alarms() == "none"
    deliver(
        tmp_path, maker.block(rows(1, start=1800), [(5, 1800, *start[2:]), (6, 1900, *end[2:])])
    )
    assert alarms() == "1, all ended"


def test_status_keeps_an_alarm_through_a_log_that_is_formatted_anew(
    run: Run, tmp_path: Path
) -> None:
    """The tracker forgets it, the shipment does not."""
    run("register", registration(tmp_path))
    deliver(tmp_path, Maker().block(rows(3), [BOOT_EVENT, (5, 300, 2, 1, 0, 3, 800, 0, 812, 0)]))
    deliver(tmp_path, Maker(chain=b"chain  2", boot=2).block(rows(1), [(3, 0, 2, 1, 0, "1.0")]))
    assert told(run("status").output)["alarms"] == "1 standing of 1"


def test_status_counts_no_alarm_that_was_of_the_arrival(run: Run, tmp_path: Path) -> None:
    run("register", registration(tmp_path))
    maker = Maker()

    def alarms(*events: tuple[int, ...]) -> str:
        deliver(tmp_path, maker.block(rows(1), list(events)))
        return told(run("status").output)["alarms"]

    light, shock = (5, 900, 7, 1, 3, 3, 100, 0, 40_000, 0), (5, 910, 8, 1, 8, 3, 8000, 0, 9000, 0)
    landed, withdrawn = (6, 910, 8, 1, 9000, 9000, 0), (6, 990, 8, 5, 9000, 9000, 0)
    assert alarms(light, shock, landed) == "1 standing of 2"
    assert alarms(withdrawn) == "1 standing of 1"
    assert alarms((6, 990, 7, 5, 300, 40_000, 90)) == "none"
    assert alarms((5, 995, 1, 1, 0, 3, 800, 0, 812, 0)) == "1 standing of 1"


def test_status_as_json_has_units_in_its_names(run: Run, tmp_path: Path) -> None:
    run("register", registration(tmp_path, ["CT-1", "CT-2"]))
    maker = Maker()
    place = (2, 900, 52_520_008, -13_404_954, 25, 1)
    deliver(tmp_path, maker.block(rows(3), [BOOT_EVENT], (0, 0, START, 0, 500, 1)))
    deliver(tmp_path, maker.block(rows(1, start=900), [place]), b"junk")
    document = json.loads(run("status", "--json").output)
    assert document["behind"] == {"blocks_at_most": 0, "oldest_utc": None}
    assert list(document["quarantined"].values()) == [1]
    first, second = document["trackers"]
    assert first["shipment"] == "S-1"
    assert (first["payload_c"], first["battery_mv"]) == (5.0, 3600)
    assert first["payload_utc"] == "2026-01-01T00:15:00.000Z"
    assert first["position"] == {
        "latitude": 52.520008,
        "longitude": -13.404954,
        "radius_m": 25,
        "source": "gnss",
        "time_utc": "2026-01-01T00:15:00.000Z",
    }
    assert (second["tracker"], second["shipment"], second["payload_c"]) == ("CT-2", None, None)


def test_status_without_a_tracker_says_what_to_do(run: Run, tmp_path: Path) -> None:
    Store(str(tmp_path / "gateway.db"), create=True).close()
    result = run("status")
    assert result.output == "No tracker is registered yet: coldtrail gateway register FILE\n"


def test_export_to_standard_output_and_to_a_file(run: Run, tmp_path: Path) -> None:
    run("register", registration(tmp_path))
    deliver(tmp_path, *shipment())
    text = run("export", "S-1").stdout
    assert [row["t_s"] for row in csv.DictReader(io.StringIO(text))] == [
        "0",
        "300",
        "600",
        "900",
        "1200",
        "1500",
    ]
    target = tmp_path / "out.csv"
    target.write_text("before")
    assert run("export", "S-1", "-o", target).exit_code == 0
    assert target.read_text() == text
    document = json.loads(run("export", "S-1", "--format", "json").stdout)
    assert sorted(document) == [
        "calibrations",
        "events",
        "findings",
        "samples",
        "shipment",
        "tracker",
    ]
    assert [event["type"] for event in document["events"]] == ["boot", "alarm-start"]
    assert [path.name for path in tmp_path.iterdir() if "out.csv" in path.name] == ["out.csv"]


@pytest.mark.parametrize("form", ["senml-json", "senml-cbor", "epcis"])
def test_export_in_standard_formats(run: Run, tmp_path: Path, form: str) -> None:
    run("register", registration(tmp_path))
    deliver(tmp_path, *shipment())
    target = tmp_path / "out"
    assert run("export", "S-1", "--format", form, "-o", target).stderr == ""
    printed = run("export", "S-1", "--format", form)
    if form == "senml-cbor":
        assert target.read_bytes() == printed.stdout_bytes
        assert len(cbor2.loads(printed.stdout_bytes)) == 26
    elif form == "senml-json":
        assert target.read_text() == printed.stdout
        assert len(json.loads(printed.stdout)) == 26
    else:
        assert (
            json.loads(target.read_text())["epcisBody"] == json.loads(printed.stdout)["epcisBody"]
        )
        assert "epcis" in run("export", "S-1", "--corrects", target).stderr
        again = run("export", "S-1", "--format", form, "--corrects", target)
        assert json.loads(again.stdout)["epcisBody"] == json.loads(printed.stdout)["epcisBody"]


def test_export_says_what_it_leaves_out(run: Run, tmp_path: Path) -> None:
    run("register", registration(tmp_path))
    deliver(tmp_path, Maker().block(rows(3), [BOOT_EVENT]))
    assert (
        "4 records without UTC are left out"
        in run("export", "S-1", "--format", "senml-json").stderr
    )
    assert run("export", "S-1", "--format", "csv").stderr == ""


def test_export_to_where_nothing_can_be_written(run: Run, tmp_path: Path) -> None:
    run("register", registration(tmp_path))
    result = run("export", "S-1", "-o", tmp_path / "none" / "out.csv")
    assert result.exit_code == 2
    assert "cannot be written" in result.stderr


def test_verify_vouches_for_a_whole_shipment(run: Run, tmp_path: Path) -> None:
    run("register", registration(tmp_path))
    deliver(tmp_path, *shipment())
    result = run("verify", "S-1")
    assert result.exit_code == 0
    unchecked = "its time rests on one clock sync, and no other confirms it"
    assert result.output.splitlines() == [
        "shipment S-1, tracker CT-1",
        "blocks re-checked (MAC, hash, chain): 2",
        "samples vouched for: 6 of 6",
        f"time unchecked: chain {b'chain  1'.hex()}: boot 1: {unchecked}",
        "read model: says the same",
        "verified",
    ]


def test_export_speaks_from_the_read_model_and_verify_does_not_trust_it(
    run: Run, tmp_path: Path
) -> None:
    run("register", registration(tmp_path))
    deliver(tmp_path, *shipment())
    right = run("export", "S-1").stdout
    with Tower(tmp_path / "gateway.db", create=False) as tower, tower.write() as connection:
        connection.execute(sa.update(samples).values(payload=123))
    wrong = run("export", "S-1").stdout
    assert {row["payload_c"] for row in csv.DictReader(io.StringIO(wrong))} == {"1.23"}
    result = run("verify", "S-1")
    assert result.exit_code == 1
    assert result.output.splitlines()[-2:] == [
        "read model: says otherwise (samples): coldtrail gateway rebuild",
        "verified",
    ]
    assert run("rebuild").exit_code == 1
    assert run("export", "S-1").stdout == right
    assert run("verify", "S-1").exit_code == 0


def test_verify_checks_the_evidence_also_where_the_read_model_is_gone(
    run: Run, tmp_path: Path
) -> None:
    run("register", registration(tmp_path))
    deliver(tmp_path, *shipment())
    (tmp_path / "gateway.tower.db").write_text("no database, but long enough to be one " * 100)
    result = run("verify", "S-1")
    assert result.exit_code == 1
    *_, model, last = result.output.splitlines()
    assert model.startswith("read model: cannot be compared: The database ")
    assert model.endswith("gateway.tower.db is not a database: name another with --db.")
    assert last == "verified"


def test_verify_names_what_is_wrong(run: Run, tmp_path: Path) -> None:
    run("register", registration(tmp_path))
    maker = Maker()
    blocks = [maker.block(rows(3, start=900 * index)) for index in range(4)]
    fork = Maker().block(rows(1))
    deliver(tmp_path, blocks[0], fork, blocks[3])
    result = run("verify", "S-1")
    assert result.exit_code == 1
    lines = result.output.splitlines()
    assert "samples vouched for: 3 of 7" in lines
    assert any(line.startswith("fork: chain") and "block 1 is" in line for line in lines)
    assert any(line.startswith("gap: chain") and "blocks 2 to 3 are" in line for line in lines)
    assert lines[-1] == "NOT verified"


def test_verify_vouches_for_nothing_where_there_is_nothing(run: Run, tmp_path: Path) -> None:
    run("register", registration(tmp_path))
    assert run("verify", "S-1").exit_code == 1


# --- decode ---


def shown(*arguments: str | Path, stdin: bytes = b"") -> Result:
    result = CliRunner().invoke(decode, [*map(str, arguments)], input=stdin)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.touch(mode=0o600)
    path.write_text(UPLINK.hex() + "\n")
    return path


def test_decode_from_everywhere(tmp_path: Path) -> None:
    block = shipment()[0]
    (tmp_path / "block").write_bytes(block)
    (tmp_path / "hex").write_text(f"{block.hex()}\n")
    outputs = {
        shown(block.hex()).output,
        shown(tmp_path / "block").output,
        shown(tmp_path / "hex").output,
        shown("-", stdin=block).output,
        shown("-", stdin=block.hex().encode()).output,
    }
    (output,) = outputs
    assert "not checked" in output
    assert "payload_c" in output
    assert "5.02" in output
    assert "t 0 s: boot: boot 1, cause power-on" in output


def test_decode_says_in_words_what_a_block_has_not() -> None:
    """A block with neither clock sync, shipment nor samples, and blocks that have them."""
    nothing = shown(Maker(shipment=None).block((), [BOOT_EVENT]).hex()).output
    assert "clock          no clock sync in this boot yet\n" in nothing
    assert "shipment       none\n" in nothing
    assert "interval" not in nothing
    sync = (4, 10, 204, START, 0, 48, 1)
    among = shown(Maker().block((), [BOOT_EVENT, sync]).hex()).output
    assert "clock          set by the clock-sync event below\n" in among
    first, second = (shown(block.hex()).output for block in shipment())
    assert "clock          t 0.0 s was 2026-01-01T00:00:00.000Z, within 0.5 s, by network" in first
    assert "interval       300 s\n" in first
    assert "previous       none: this is the first block of its chain\n" in first
    assert "none: this is the first" not in second
    for output in (nothing, among, first, second):
        assert "None" not in output
        assert "{" not in output


def test_decode_says_what_verifies(key_file: Path) -> None:
    block = shipment()[1]
    good = shown(block.hex(), "--tracker", "CT-1", "--key-file", key_file, "--json")
    assert good.exit_code == 0
    document = json.loads(good.output)
    assert document["mac"] == "verifies"
    assert document["hash"] == hash16(block).hex()
    assert (document["number"], document["shipment"]) == (2, "S-1")
    assert [sample["payload_c"] for sample in document["samples"]] == [5.0, 5.01, 5.02]
    assert document["events"][0]["type"] == "alarm-start"
    bad = shown(block.hex(), "--tracker", "CT-2", "--key-file", key_file, "--json")
    assert bad.exit_code == 1
    assert json.loads(bad.output)["mac"] == "does not verify"


def test_decode_shows_a_confirmation(tmp_path: Path, key_file: Path) -> None:
    key_file.write_text(DOWNLINK.hex())
    store = Store(str(tmp_path / "gateway.db"), create=True)
    CliRunner().invoke(
        gateway, ["register", str(registration(tmp_path)), "--db", str(tmp_path / "gateway.db")]
    )
    (kept,) = intake.take(store, [Arrival("CT-1", shipment()[0])], START * 1000)
    store.close()
    assert isinstance(kept, intake.Kept)
    assert kept.document is not None
    result = shown(kept.document.hex(), "--tracker", "CT-1", "--key-file", key_file, "--json")
    document = json.loads(result.output)
    assert (document["kind"], document["mac"]) == ("confirmation", "verifies")
    assert (document["watermark"], document["now"]) == (1, "2026-01-01T00:00:00.000Z")


@pytest.mark.parametrize("vector", sorted(VECTORS.glob("*.json")), ids=lambda path: path.stem)
def test_decode_reads_the_contracts_vectors(key_file: Path, vector: Path) -> None:
    given = json.loads(vector.read_text())
    key_file.write_text(given["key"])
    words = (given["sealed"], "--tracker", given["tracker"], "--key-file", key_file)
    assert shown(*words).exit_code == 0
    document = json.loads(shown(*words, "--json").output)
    assert document["mac"] == "verifies"
    assert "undecoded" not in document


def test_decode_shows_what_it_does_not_understand(key_file: Path) -> None:
    strange = Maker().block(k0=2)
    document = json.loads(shown(strange.hex(), "--json").output)
    assert "version 2" in document["undecoded"]
    odd = envelope.seal(b"\xa1\x00\x02", Kind.CONFIRMATION, "CT-1", 1, DOWNLINK)
    assert "undecoded" in json.loads(shown(odd.hex(), "--json").output)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["zz"], "neither a file"),
        (["00"], "no message of the contract"),
        (["/"], "neither a file"),
        (["00" * 5000], "no message of the contract: too long"),
        (["00", "--tracker", "CT-1"], "belong together"),
    ],
)
def test_decode_refuses(arguments: list[str], complaint: str) -> None:
    result = shown(*arguments)
    assert result.exit_code == 2
    assert complaint in result.stderr


def test_decode_refuses_what_is_no_key(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.touch(mode=0o600)
    for text in ("", "00" * 31, "key"):
        path.write_text(text)
        result = shown("00", "--tracker", "CT-1", "--key-file", path)
        assert result.exit_code == 2
        assert "does not hold a key" in result.stderr


def test_decode_refuses_a_key_that_others_can_read(key_file: Path) -> None:
    key_file.chmod(0o640)
    result = shown("00", "--tracker", "CT-1", "--key-file", key_file)
    assert result.exit_code == 2
    assert "Others can read the keys" in result.stderr
    assert UPLINK.hex() not in result.stderr


@pytest.mark.parametrize(
    ("form", "is_text"),
    [("csv", True), ("json", True), ("senml-json", True), ("senml-cbor", False),
     ("epcis", True), ("blocks", False)],
)  # fmt: skip
def test_a_terminal_gets_text_alone(run: Run, tmp_path: Path, form: str, is_text: bool) -> None:
    run("register", registration(tmp_path))
    deliver(tmp_path, *shipment())
    export = ["export", "S-1", "--db", str(tmp_path / "gateway.db"), "--format", form]
    code, shown = terminal.run(*export)
    assert code == (0 if is_text else 2)
    if not is_text:
        assert "name a file with -o" in shown
        assert shown.isascii()
        assert shown.replace("\n", "").isprintable()
        assert CliRunner().invoke(gateway, export).stdout_bytes
    code, shown = terminal.run(*export, "-o", str(tmp_path / "out"))
    assert (code, shown) == (0, "")
    assert (tmp_path / "out").stat().st_size
