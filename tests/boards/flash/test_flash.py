"""Flashing with esptool, of the stock image, against a ROM bootloader, and what then boots."""

import os
import resource
import subprocess
import sys

import pytest
import serial
from serial.tools.list_ports_common import ListPortInfo

from coldtrail_boards.flash import partitions, program
from coldtrail_boards.provision.bundle import Bundle
from coldtrail_simulator.board import file as boards
from coldtrail_simulator.clock import RunInvalidError
from coldtrail_simulator.shipment.identity import Identity
from coldtrail_simulator.shipment.packing import Flashed
from coldtrail_simulator.shipment.shipment import run
from coldtrail_simulator.shipment.simulation import Simulation
from coldtrail_simulator.world import scenario
from tests.boards.packing import (
    BOARD,
    FACTORY,
    LAYOUT,
    PROGRAM,
    VFS,
    coldtrail,
    cut_out,
    flashing,
    mounted,
    provisioned,
    refused,
    rows,
)
from tests.support.flash.rom_bootloader import Board, mac
from tests.support.flash.stock_image import APPLICATION, stock, with_words
from tests.support.trackers.rig import S, Still, small_board

# --- what gets into the flash --------------------------------------------------------------


def test_a_tracker_gets_image_table_program_and_identity(tmp_path):
    identity = provisioned(tmp_path)
    with Board() as board:
        done = coldtrail(*flashing(board.port, tmp_path, "--identity", identity))
        assert done.exit_code == 0, done.output
    image = stock().read_bytes()
    data = board.flash.data
    bootloader = image[: 0x8000 - 0x1000].rstrip(b"\xff")
    assert data[0x1000 : 0x1000 + len(bootloader)] == bootloader
    assert data[FACTORY.offset :].startswith(image[APPLICATION:])
    assert partitions.decode(bytes(data[0x8000:0x9000])) == LAYOUT
    on_vfs = mounted(cut_out(board, VFS))
    assert on_vfs.items() >= Bundle.load(identity).files.items()
    assert {"boot.py", "main.py"} < set(on_vfs)
    on_lib = mounted(cut_out(board, PROGRAM))
    assert on_lib.pop("version").decode() in done.stdout
    assert {"board.mpy", "coldtrail/tracker.mpy", "drivers/sht45.mpy"} < set(on_lib)
    assert all(data[:2] == b"M\x06" for data in on_lib.values() if data)
    entry = rows(tmp_path)[-1]
    assert (entry["tracker"], entry["chip"], entry["result"]) == ("CT-1", mac(), "ok")
    assert f"label: CT-1 | {mac()} | {BOARD}" in done.stdout
    keys = Bundle.load(identity).registration["trackers"][0]["keys"][0]
    for said in (done.output, (tmp_path / "packing.csv").read_text("utf-8")):
        assert keys["uplink"] not in said
        assert keys["downlink"] not in said


def test_our_partition_tables_are_the_stock_images_own_bytes():
    theirs = stock().read_bytes()[0x8000 - 0x1000 :][:0x1000]
    table = partitions.decode(theirs)
    assert table is not None
    assert partitions.encode(table) == theirs


def test_the_simulator_boots_what_was_flashed_and_the_gateway_confirms(tmp_path):
    registration = tmp_path / "registration.json"
    identity = provisioned(tmp_path, "CT-2", "--shipment", "S-2", "--registration", registration)
    image = tmp_path / "flash.bin"
    with Board() as board:
        done = coldtrail(*flashing(board.port, tmp_path, "--identity", identity))
        assert done.exit_code == 0, done.output
        image.write_bytes(board.flash.data)
    story = scenario.load("fair_weather")
    header = story.scenario.model_copy(update={"duration_h": 0.5})
    shipment = run(
        story.model_copy(update={"scenario": header}), 1, tmp_path / "out",
        flashed=Flashed(image, Identity("CT-2", b"", b"", "S-2"), registration),
    )  # fmt: skip
    assert shipment.confirms(1)
    status = coldtrail("gateway", "status", "--db", shipment.database)
    assert "CT-2" in status.output
    assert coldtrail("gateway", "verify", "S-2", "--db", shipment.database).exit_code == 0
    # It ran from flash and wrote nothing into either volume.
    assert image.read_bytes() == board.flash.data


def test_several_trackers_at_once_each_get_an_identity_of_their_own(tmp_path):
    folder = tmp_path / "identities"
    for tracker in ("CT-1", "CT-2", "CT-3"):
        provisioned(folder, tracker)
    with Board() as first, Board() as second:
        done = coldtrail(
            *flashing(first.port, tmp_path, "--port", second.port, "--identity", folder)
        )
        assert done.exit_code == 0, done.output
        again = refused(
            *flashing(first.port, tmp_path, "--port", second.port, "--identity", folder)
        )
    assert done.stdout.count("label: ") == 2
    assert "1 identities that are on no tracker" in again
    written = {mounted(cut_out(board, VFS))["identity.cbor"] for board in (first, second)}
    assert written == {
        Bundle.load(folder / f"{tracker}.identity").files["identity.cbor"]
        for tracker in ("CT-1", "CT-2")
    }
    assert sorted(entry["tracker"] for entry in rows(tmp_path)) == ["CT-1", "CT-2"]


def test_all_ports_flashes_every_usb_port_at_once_and_no_other(tmp_path, monkeypatch):
    folder = tmp_path / "identities"
    for tracker in ("CT-1", "CT-2", "CT-3"):
        provisioned(folder, tracker)
    with Board() as first, Board("esp32s3") as other, Board() as last, Board() as unplugged:
        found = []
        for board in (first, other, last, unplugged):
            found.append(ListPortInfo(board.port))
            found[-1].vid = 0x10C4 if board is not unplugged else None
        monkeypatch.setattr("serial.tools.list_ports.comports", lambda: found)
        done = coldtrail(
            "flash", "--board", BOARD, "--all-ports", "--micropython", stock(),
            "--log", tmp_path / "packing.csv", "--identity", folder,
        )  # fmt: skip
        assert done.exit_code == 2, done.output
        assert done.stdout.count("label: ") == 2
        errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
        assert [f"{other.port} has an ESP32S3" in line for line in errors] == [True]
        names = {mounted(cut_out(board, VFS))["identity.cbor"] for board in (first, last)}
        assert len(names) == 2
        assert other.flash.operations == unplugged.flash.operations == 0
    results = {entry["port"]: entry["result"] for entry in rows(tmp_path)}
    assert results == {first.port: "ok", other.port: "failed", last.port: "ok"}


# --- updates -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def flashed(tmp_path_factory):
    """What is in the flash of tracker CT-1."""
    folder = tmp_path_factory.mktemp("flashed")
    with Board() as board:
        done = coldtrail(*flashing(board.port, folder, "--identity", provisioned(folder)))
        assert done.exit_code == 0, done.output
    return bytes(board.flash.data)


@pytest.fixture
def tracker(flashed):
    """A flashed tracker."""
    with Board(content=flashed) as board:
        yield board


def test_an_update_writes_what_differs_and_never_the_identity(tracker, tmp_path):
    before = bytes(tracker.flash.data)
    operations = tracker.flash.operations
    done = coldtrail(*flashing(tracker.port, tmp_path))
    assert "update" in done.stdout, done.output
    assert (tracker.flash.data, tracker.flash.operations) == (before, operations)
    # What the tracker wrote itself stays, too.
    files = mounted(cut_out(tracker, VFS)) | {"calibration.cbor": b"\x80"}
    own = program.volume(files, VFS.size)
    tracker.flash.data[VFS.offset : VFS.end] = own
    tracker.flash.data[PROGRAM.offset + 5] ^= 1
    done = coldtrail(*flashing(tracker.port, tmp_path))
    assert done.exit_code == 0, done.output
    assert cut_out(tracker, VFS) == own
    assert cut_out(tracker, PROGRAM) == before[PROGRAM.offset : PROGRAM.end]
    assert rows(tmp_path)[-1]["tracker"] == "CT-1"


def test_another_identity_needs_erase_and_a_yes(tracker, tmp_path):
    other = provisioned(tmp_path, "CT-9")
    before = bytes(tracker.flash.data)
    words = flashing(tracker.port, tmp_path, "--identity", other)
    assert "is tracker CT-1 already" in refused(*words)
    done = coldtrail(*words, "--erase", answer="n\n")
    assert done.exit_code == 2
    assert tracker.flash.data == before
    done = coldtrail(*words, "--erase", answer="y\n")
    assert done.exit_code == 0, done.output
    volume = mounted(cut_out(tracker, VFS))
    assert volume["identity.cbor"] == Bundle.load(other).files["identity.cbor"]


def test_after_erase_the_tracker_erases_its_log_once_then_is_the_other(tracker, tmp_path):
    other = provisioned(tmp_path, "CT-9")
    words = flashing(tracker.port, tmp_path, "--identity", other, "--erase")
    assert coldtrail(*words, answer="y\n").exit_code == 0
    image = tmp_path / "flash.bin"
    image.write_bytes(tracker.flash.data)
    fitted = small_board(FLASH=boards.named(BOARD)["FLASH"])
    with Simulation(fitted, image, Still(), out=tmp_path) as simulation:
        cells = simulation.parts["flash"].array.cells
        cells[0:3] = cells[-3:] = b"old"
        simulation.clock.call_at(5 * S, lambda: simulation.power_cut(S))
        simulation.power_on()
        simulation.run(30 * S)
        assert bytes(cells[-3:]) == b"\xff" * 3
        assert bytes(cells[:3]) != b"old"
        causes = [note["cause"] for note in simulation.journal.of("boot")]
    assert causes[:3] == ["power-on", "power-on", "reset"]
    volume = mounted(image.read_bytes()[VFS.offset : VFS.end])
    assert volume["main.py"] == (program.FIRMWARE / "main.py").read_bytes()
    assert "next.py" not in volume
    assert volume["identity.cbor"] == Bundle.load(other).files["identity.cbor"]


def test_an_identity_that_cannot_be_read_is_not_overwritten(tracker, tmp_path):
    tracker.flash.data[VFS.offset : VFS.offset + 0x2000] = bytes(0x2000)
    before = bytes(tracker.flash.data)
    assert "--erase" in refused(*flashing(tracker.port, tmp_path))
    assert tracker.flash.data == before


def test_the_keys_of_one_tracker_do_not_go_on_a_second(tmp_path):
    identity = provisioned(tmp_path)
    (tmp_path / "packing.csv").write_text(
        "chip,tracker,result\n24:0a:c4:00:00:01,CT-1,ok\n", encoding="utf-8"
    )
    with Board() as board:
        said = refused(*flashing(board.port, tmp_path, "--identity", identity))
        assert "clone" in said
        assert board.flash.operations == 0


def test_a_torn_program_is_said_and_starts_nothing(tracker, tmp_path):
    tracker.flash.data[PROGRAM.offset : PROGRAM.offset + 0x2000] = b"\xff" * 0x2000
    image = tmp_path / "flash.bin"
    image.write_bytes(tracker.flash.data)
    story = scenario.load("fair_weather")
    header = story.scenario.model_copy(update={"duration_h": 0.01})
    registration = tmp_path / "registration.json"
    provisioned(tmp_path, "CT-3", "--registration", registration)
    with pytest.raises(RunInvalidError, match="end of main.py"):  # on a board: the prompt
        run(
            story.model_copy(update={"scenario": header}), 1, tmp_path / "out",
            flashed=Flashed(image, Identity("CT-1", b"", b"", ""), registration),
        )  # fmt: skip
    said = (tmp_path / "out" / "console.log").read_text(encoding="utf-8")
    assert "the program is incomplete: flash the tracker again" in said
    assert image.read_bytes() == tracker.flash.data


# --- bad input -----------------------------------------------------------------------------


def test_no_port_a_busy_port_and_a_port_where_nobody_answers(tmp_path):
    assert "There is no port" in refused(*flashing("/dev/ttyNOPE", tmp_path))
    master, slave = os.openpty()
    try:
        name = os.ttyname(slave)
        with serial.Serial(name, exclusive=True):
            assert "busy" in refused(*flashing(name, tmp_path))
        assert "hold BOOT" in refused(*flashing(name, tmp_path))
    finally:
        os.close(master)
        os.close(slave)
    assert [entry["result"] for entry in rows(tmp_path)] == ["failed"] * 3


@pytest.mark.parametrize(
    ("chip", "mib", "says"),
    [("esp32s3", 4, "has an ESP32S3"), ("esp32", 2, "2048 KiB")],
)
def test_a_board_that_does_not_fit_is_left_alone(chip, mib, says, tmp_path, monkeypatch):
    if mib == 2:
        # What the flash says of its size: JEDEC's third byte, 2 to the power of it.
        monkeypatch.setattr("esp32_mock_bootloader.protocol.MOCK_FLASH_ID", 0x154020)
    database = tmp_path / "gateway.db"
    monkeypatch.setenv("COLDTRAIL_DB", str(database))
    with Board(chip) as board:
        words = flashing(board.port, tmp_path, "--identity", provisioned(tmp_path), "--register")
        assert says in refused(*words)
        assert board.flash.operations == 0
    assert not database.exists()


def patched(tmp_path, *changes):
    image = bytearray(stock().read_bytes())
    for at, data in changes:
        image[at : at + len(data)] = data
    path = tmp_path / "image.bin"
    path.write_bytes(image)
    return path


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda _: stock().read_bytes()[APPLICATION:], "application alone"),
        (lambda tmp: patched(tmp, (12, b"\x09\x00")).read_bytes(), "ESP32S3"),
        (lambda tmp: patched(tmp, (APPLICATION + 5000, b"damage")).read_bytes(), "damaged"),
        (lambda _: b"\x7fELF" + bytes(5000), "no image for an ESP32"),
        (lambda _: stock().read_bytes()[:0x6000], "no partition table"),
        (lambda _: with_words(b"MicroPython v1.25.0", b"MicroPython v1.23.0"), "1.24 or newer"),
        (lambda _: with_words(b"MicroPython v1.25.0", b"MicroPython v9.25.0"), "not known"),
        (lambda _: with_words(b"MicroPython v1.25.0", b"CircusPythonv1.25.0"), "not MicroPython"),
    ],
)
def test_an_image_that_does_not_fit_is_refused_before_anything_is_touched(make, says, tmp_path):
    path = tmp_path / "other.bin"
    path.write_bytes(make(tmp_path))
    assert says in refused(*flashing("/dev/ttyNOPE", tmp_path, image=path))
    assert not (tmp_path / "packing.csv").exists()


def test_an_unknown_board_and_no_port_are_named(tmp_path):
    words = ("flash", "--board", "esp33", "--port", "x", "--micropython", stock())
    assert "name one of esp32_bg95" in refused(*words)
    none = ("flash", "--board", BOARD, "--micropython", stock())
    assert "No serial port" in refused(*none)


def test_what_was_flashed_is_registered_and_only_then(tmp_path, monkeypatch):
    monkeypatch.setenv("COLDTRAIL_DB", str(tmp_path / "gateway.db"))
    identity = provisioned(tmp_path)
    with Board() as board:
        done = coldtrail(*flashing(board.port, tmp_path, "--identity", identity, "--register"))
        assert done.exit_code == 0, done.output
    status = coldtrail("gateway", "status", "--db", tmp_path / "gateway.db")
    assert "CT-1" in status.output


def test_besides_the_transfer_it_takes_less_than_five_seconds(tmp_path):
    """CPU seconds of a whole run, the transfer's own among them, so that load counts for less."""
    with Board() as board:
        command = [
            sys.executable,
            "-m",
            "coldtrail_boards",
            *map(str, flashing(board.port, tmp_path)),
        ]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert used < 5.0, used
