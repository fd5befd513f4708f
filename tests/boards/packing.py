"""A packing station: runs the commands, and looks into what was flashed."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from littlefs import LittleFS, UserContext

from coldtrail_boards.cli import main
from coldtrail_boards.flash import partitions, program
from coldtrail_boards.flash.partitions import Partition
from tests.support.flash.rom_bootloader import Board
from tests.support.flash.stock_image import stock

BOARD = "esp32_bg95"
LAYOUT = partitions.load(program.BOARDS / BOARD / "partitions.csv")
VFS, PROGRAM = partitions.find(LAYOUT, "vfs"), partitions.find(LAYOUT, "program")
FACTORY = partitions.find(LAYOUT, "factory")
NETWORK = ("--broker", "mqtt://broker.example", "--apn", "iot.example")
PROFILE = ("--profile", "refrigerated_2_8")


def cut_out(board: Board, part: Partition) -> bytes:
    """Return what is in a partition of a board's flash."""
    return bytes(board.flash.data[part.offset : part.end])


def rows(folder: Path) -> list[dict[str, str]]:
    """Return the packing log in a folder."""
    with (folder / "packing.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def coldtrail(*words: object, answer: str | None = None) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words], input=answer)


def refused(*words: object, answer: str | None = None) -> str:
    """Run what must end with one sentence and exit code 2; return the sentence."""
    done = coldtrail(*words, answer=answer)
    assert done.exit_code == 2, done.output
    lines = [line for line in done.stderr.splitlines() if line and not line.startswith("WARNING")]
    assert len(lines) == 1, done.stderr
    return lines[0]


def provisioned(folder: Path, tracker: str = "CT-1", *more: object) -> Path:
    """Return the file of a new identity."""
    path = folder / f"{tracker}.identity"
    words = ("provision", "tracker", tracker, *NETWORK, *PROFILE, "-o", path, *more)
    done = coldtrail(*words)
    assert done.exit_code == 0, done.output
    return path


def flashing(port: str, folder: Path, *more: object, image: Path | None = None) -> tuple[Any, ...]:
    """Return the words of a flash command; the packing log lies in the folder."""
    return (
        "flash", "--board", BOARD, "--port", port, "--micropython", image or stock(),
        "--log", folder / "packing.csv", *more,
    )  # fmt: skip


def mounted(volume: bytes) -> dict[str, bytes]:
    """Return every file of a littlefs volume, mounted as it is."""
    system = LittleFS(
        UserContext(buffer=bytearray(volume)), mount=False, block_size=4096,
        block_count=len(volume) // 4096,
    )  # fmt: skip
    system.mount()
    found = {}
    for folder, _, names in system.walk("/"):
        for name in names:
            path = f"{folder.rstrip('/')}/{name}".lstrip("/")
            with system.open(path, "rb") as file:
                found[path] = file.read()
    return found
