"""What a power loss, or an end of the program, leaves of a tracker that is being flashed."""

import contextlib
import random
import subprocess
import sys
from dataclasses import replace

import cbor2
import pytest
from rich.progress import Progress

from coldtrail_boards import logdump
from coldtrail_boards.errors import BoardError
from coldtrail_boards.flash import esp, program
from coldtrail_boards.flash import flashing as flasher
from coldtrail_boards.flash.bar import Bar
from coldtrail_boards.flash.flashing import Region
from coldtrail_boards.provision.bundle import Bundle
from coldtrail_simulator.clock import RunInvalidError
from coldtrail_simulator.shipment.simulation import Simulation
from tests.boards.packing import (
    BOARD,
    FACTORY,
    PROGRAM,
    VFS,
    coldtrail,
    cut_out,
    flashing,
    mounted,
    provisioned,
    rows,
)
from tests.support.flash.rom_bootloader import Board
from tests.support.flash.stock_image import stock
from tests.support.host import until
from tests.support.trackers import bench
from tests.support.trackers.rig import S, Still

CUTS = 20


def put(board, what, bundle, log):
    with esp.connected(board.port) as chip:
        bar = Bar(Progress(disable=True), board.port, 0)
        return flasher.flash(chip, what, bundle, erase=False, log=log, bar=bar)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The image with most of its application blank, which goes over the line in no time."""
    path = tmp_path_factory.mktemp("small") / "small.bin"
    path.write_bytes(stock().read_bytes())
    what = flasher.build(BOARD, path)
    blank = bytearray(what.application.data)
    blank[0x10000:] = bytes(len(blank) - 0x10000)
    return replace(what, application=Region(what.application.offset, bytes(blank)))


class Boots:
    """The tracker whose flash is cut: its log lies on a chip of its own and travels with it."""

    def __init__(self, folder, flash):
        self._folder, self._flash = folder, folder / "flash.bin"
        self._cells = b""
        self.said = ""
        self.boot(flash, 400)
        assert [record.kind for record in self.log].count(1) == 2  # samples, every 5 minutes

    @property
    def log(self):
        dump = logdump.decode(self._cells)
        assert not dump.damage
        return dump.records

    def boot(self, flash, seconds):
        """Boot what is in the flash; return whether it runs, with every record it had."""
        self._flash.write_bytes(flash)
        before = self.log if self._cells else []
        with Simulation(
            bench.BOARD, self._flash, Still(), factories={"BG95-M3": bench.NoModem}
        ) as simulation:
            cells = simulation.parts["flash"].array.cells
            cells[: len(self._cells)] = self._cells
            simulation.power_on()
            # On a board a firmware that is incomplete ends in the prompt.
            with contextlib.suppress(RunInvalidError):
                simulation.run(seconds * S)
            self._cells = bytes(cells)
            self.said = simulation.console.text
        assert self.log[: len(before)] == before
        return len(self.log) > len(before)


def test_power_lost_during_an_update_leaves_a_tracker_that_boots_or_can_be_flashed(
    small, tmp_path
):
    bundle = Bundle.load(provisioned(tmp_path, "CT-1", "--shipment", "S-1"))
    files = program.files(program.BOARDS / BOARD)
    older = replace(
        small,
        program=Region(
            PROGRAM.offset, program.volume(files | {"old.mpy": b"M\x06"}, PROGRAM.size)
        ),
        application=Region(FACTORY.offset, small.application.data[::-1]),
    )
    log = tmp_path / "packing.csv"
    with Board() as board:
        put(board, older, bundle, log)
        earlier, board.flash.operations = bytes(board.flash.data), 0
        tracker = Boots(tmp_path, earlier)
        put(board, small, None, log)
        later, count = bytes(board.flash.data), board.flash.operations
        ran = 0
        draw = random.Random(7)
        for point in range(CUTS):
            cut = count * (point + draw.random()) / CUTS
            board.flash.data[:] = earlier
            board.flash.operations, board.flash.cut_at = 0, cut
            with pytest.raises(BoardError, match="flash it again"):
                put(board, small, None, log)
            board.flash.cut_at = None
            kept = slice(VFS.offset, VFS.end)
            assert board.flash.data[kept] == earlier[kept]
            assert board.flash.data[0x8000:0x9000] == earlier[0x8000:0x9000]
            runs = tracker.boot(board.flash.data, 2)
            ran += runs
            assert runs != ("incomplete: flash the tracker again" in tracker.said), cut
            assert put(board, small, None, log) == ("CT-1", "update")
            assert board.flash.data == later
        assert 0 < ran < CUTS
        assert tracker.boot(later, 2)
    boots = [cbor2.loads(record.payload)[1] for record in tracker.log if record.kind == 3]
    assert boots == list(range(1, ran + 3))


def test_a_run_that_is_killed_registers_nothing_and_is_made_good_by_the_next(
    tmp_path, monkeypatch
):
    database = tmp_path / "gateway.db"
    monkeypatch.setenv("COLDTRAIL_DB", str(database))
    with Board() as board:
        identity = provisioned(tmp_path)
        words = flashing(board.port, tmp_path, "--identity", identity, "--register")
        process = subprocess.Popen(
            [sys.executable, "-m", "coldtrail_boards", *map(str, words)], stderr=subprocess.DEVNULL
        )
        until(lambda: board.flash.operations >= 20, "writing")
        process.kill()
        process.wait()
        assert not database.exists()
        assert not (tmp_path / "packing.csv").exists()
        done = coldtrail(*words)
        assert done.exit_code == 0, done.output
        volume = mounted(cut_out(board, VFS))
    assert volume["identity.cbor"] == Bundle.load(identity).files["identity.cbor"]
    assert "CT-1" in coldtrail("gateway", "status").output
    assert [entry["result"] for entry in rows(tmp_path)] == ["ok"]


def test_power_lost_at_first_leaves_a_board_to_flash(small, tmp_path):
    bundle = Bundle.load(provisioned(tmp_path))
    log = tmp_path / "packing.csv"
    with Board() as board:
        put(board, small, bundle, log)
        whole, count = bytes(board.flash.data), board.flash.operations
        for cut in (0, count // 2, count - 3, count - 2, count - 1):
            board.flash.data[:] = b"\xff" * len(whole)
            board.flash.operations, board.flash.cut_at = 0, cut
            with pytest.raises(BoardError):
                put(board, small, bundle, log)
            board.flash.cut_at = None
            put(board, small, bundle, log)
            assert board.flash.data == whole, cut
