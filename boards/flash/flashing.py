"""Writes interpreter, firmware and identity to a tracker.

There are two volumes: the provisioned files ("vfs", mounted at "/") and the program (at "/lib").
An update writes only the program and, where it differs, the interpreter.

An interrupted write is always detected as incomplete. The superblock of the program is erased
first and written last, so an incomplete program never mounts. The application carries a SHA-256,
which the bootloader checks. A flash without a partition table counts as new; the table is
therefore written last when the identity is written.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

from coldtrail_boards import files
from coldtrail_boards.errors import BoardError
from coldtrail_boards.flash import image, packing_log, partitions, program
from coldtrail_boards.flash.bar import Bar
from coldtrail_boards.flash.esp import Chip
from coldtrail_boards.flash.partitions import Partition
from coldtrail_boards.provision.bundle import IDENTITY, Bundle, tracker_of

_COMMIT = 2 * program.BLOCK
"""The superblock of littlefs is in its first two blocks."""


@dataclass(frozen=True)
class Region:
    """Bytes and their offset in the flash."""

    offset: int
    data: bytes


@dataclass(frozen=True)
class Image:
    """The content of a board's flash, except the identity."""

    board: str
    chip: str
    interpreter: str
    digest: str
    table: partitions.Table
    bootloader: Region
    application: Region
    program: Region
    fixed: dict[str, bytes]
    """Files beside the identity: boot.py and main.py, which MicroPython runs as source."""
    eraser: bytes
    """A main.py that erases the log and is then replaced by the usual one."""

    @property
    def vfs(self) -> Partition:
        """The partition of the provisioned files."""
        return partitions.find(self.table, "vfs")

    @property
    def end(self) -> int:
        """The required size of the flash in bytes."""
        return max(part.end for part in self.table)


def build(board: str, micropython: Path) -> Image:
    """Build the content of a board's flash.

    Raises:
        BoardError: the board does not exist, or the MicroPython image does not fit it.
    """
    folder = program.BOARDS / board
    if not (folder / "partitions.csv").is_file():
        tables = program.BOARDS.glob("*/partitions.csv")
        known = ", ".join(sorted(path.parent.name for path in tables))
        raise BoardError(f"The board '{board}' cannot be flashed here: name one of {known}.")
    chip = _chip_of(folder / "board.py")
    table = partitions.load(folder / "partitions.csv")
    firmware = image.load(micropython, chip)
    program.check_bytecode(firmware.version)
    factory, lib = partitions.find(table, "factory"), partitions.find(table, "program")
    application = firmware.application.rstrip(b"\xff")
    if len(application) > factory.size:
        raise BoardError(f"{micropython}: its application is larger than {factory.size} bytes.")
    content = program.files(folder)
    return Image(
        board,
        chip,
        firmware.name,
        content["version"].decode(),
        table,
        Region(image.START, _padded(firmware.bootloader)),
        Region(factory.offset, _padded(application)),
        Region(lib.offset, program.volume(content, lib.size)),
        {
            "boot.py": (folder / "boot.py").read_bytes(),
            "main.py": (program.FIRMWARE / "main.py").read_bytes(),
        },
        (folder / "erase.py").read_bytes(),
    )


def _chip_of(path: Path) -> str:
    for node in ast.parse(files.read_text(path)).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "CHIP":
            return str(ast.literal_eval(node.value))
    raise BoardError(f"{path} does not name its CHIP.")


def _padded(data: bytes) -> bytes:
    data = data.rstrip(b"\xff")
    return data + b"\xff" * (-len(data) % partitions.SECTOR)


def flash(
    chip: Chip, what: Image, bundle: Bundle | None, *, erase: bool, log: Path, bar: Bar
) -> tuple[str, str]:
    """Flash one tracker, verify it and start it.

    Returns its id, "" for none, and what was done: "new", "update" or "erased".

    Raises:
        BoardError: the tracker is unchanged, or it can be flashed again.
    """
    _check_chip(chip, what)
    volume = b"" if erase else _volume(chip, what)
    before = _provisioned(chip, volume)
    tracker = tracker_of(before or {})
    if tracker and bundle and bundle.files.items() - (before or {}).items():
        raise BoardError(
            f"{chip.port} is tracker {tracker} already: leave --identity out to update it, "
            "or say --erase to make it another."
        )
    if bundle and not tracker:
        others = packing_log.chips_of(log, bundle.tracker) - {chip.mac}
        if others:
            raise BoardError(
                f"The identity of {bundle.tracker} is on chip {others.pop()}: a second tracker "
                "with its keys is a clone; provision another."
            )
    if before is None or (bundle and not tracker):
        content = what.fixed | (dict(bundle.files) if bundle else {})
        if erase:
            content |= {"main.py": what.eraser, "next.py": content["main.py"]}
        volume = program.volume(content, what.vfs.size)
        _write_all(chip, what, volume, bar)
        action = "erased" if erase else "new"
    else:
        _update(chip, what, bar)
        action = "update"
    bar.say("comparing")
    _compare(chip, what, volume)
    chip.reset()
    return tracker or (bundle.tracker if bundle else ""), action


def _check_chip(chip: Chip, what: Image) -> None:
    if chip.name != what.chip:
        raise BoardError(
            f"{chip.port} has an {chip.name.upper()}, and {what.board} an {what.chip.upper()}: "
            "connect the right board or name it with --board."
        )
    size = chip.flash_size
    if size < what.end:
        raise BoardError(
            f"The flash at {chip.port} has {size // 1024} KiB, {what.board} needs "
            f"{what.end // 1024} KiB: take a module with more."
        )


def _volume(chip: Chip, what: Image) -> bytes:
    """Return the volume of the provisioned files; b"" for a chip that is not a tracker."""
    if partitions.decode(chip.read(partitions.OFFSET, partitions.SIZE)) != what.table:
        return b""
    return chip.read(what.vfs.offset, what.vfs.size)


def _provisioned(chip: Chip, volume: bytes) -> dict[str, bytes] | None:
    found = program.contents(volume) if volume else None
    if volume and (found is None or (IDENTITY in found and not tracker_of(found))):
        raise BoardError(
            f"The tracker at {chip.port} holds an identity that cannot be read: "
            "say --erase to give it another."
        )
    return found


def _write_all(chip: Chip, what: Image, volume: bytes, bar: Bar) -> None:
    bar.say("erasing")
    # Without a partition table the flash counts as new, so an interrupted run starts from the
    # beginning. This also erases the data of an earlier program in nvs.
    chip.erase(partitions.OFFSET, what.application.offset - partitions.OFFSET)
    _update(chip, what, bar)
    bar.write(chip, "identity", what.vfs.offset, volume)
    bar.write(chip, "partitions", partitions.OFFSET, partitions.encode(what.table))


def _update(chip: Chip, what: Image, bar: Bar) -> None:
    if not chip.holds(what.program.offset, what.program.data):
        offset, data = what.program.offset, what.program.data
        chip.erase(offset, _COMMIT)
        bar.write(chip, "program", offset + _COMMIT, data[_COMMIT:])
        bar.write(chip, "program", offset, data[:_COMMIT])
    for name, region in (("interpreter", what.application), ("bootloader", what.bootloader)):
        if not chip.holds(region.offset, region.data):
            bar.write(chip, name, region.offset, region.data)


def _compare(chip: Chip, what: Image, volume: bytes) -> None:
    """Compare every region by the hash that the chip computes. Raises BoardError."""
    table = Region(partitions.OFFSET, partitions.encode(what.table))
    kept = Region(what.vfs.offset, volume)
    for region in (what.bootloader, table, what.application, what.program, kept):
        if not chip.holds(region.offset, region.data):
            raise BoardError(
                f"The flash at {chip.port} does not hold at {region.offset:#x} what it should: "
                "flash again; if it stays so, the module is broken."
            )
