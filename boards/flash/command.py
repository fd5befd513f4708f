"""`coldtrail flash`: puts interpreter, firmware and identity on trackers.

Two volumes: what was provisioned ("vfs", at "/") and the program (at "/lib"). An update writes the
program and, where it differs, the interpreter, and nothing else. Whatever is cut short is found
incomplete, never mixed: the first blocks of the program, without which it cannot be mounted, are
erased first and written last; the application carries a SHA-256 that the bootloader checks; and a
flash without partition table counts as new, so that is written last where identity is written.
"""

from __future__ import annotations

import ast
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from coldtrail_boards.errors import BoardError
from coldtrail_boards.flash import image, packing_log, partitions, program
from coldtrail_boards.flash.esp import BAUD, Chip, connected, ports
from coldtrail_boards.flash.packing_log import Entry
from coldtrail_boards.flash.partitions import Partition
from coldtrail_boards.provision import registration
from coldtrail_boards.provision.bundle import IDENTITY, Bundle, tracker_of

BOARDS = Path(__file__).parents[1]
_COMMIT = 2 * program.BLOCK
"""littlefs has its superblock in the first two blocks."""


@dataclass(frozen=True)
class Region:
    """Bytes and their place in the flash."""

    offset: int
    data: bytes


@dataclass(frozen=True)
class Image:
    """Everything a board gets, apart from an identity."""

    board: str
    chip: str
    interpreter: str
    digest: str
    table: partitions.Table
    bootloader: Region
    application: Region
    program: Region
    fixed: dict[str, bytes]
    """Files that lie with the identity: boot.py and main.py, which the port runs as source."""
    eraser: bytes
    """A main.py that erases the log before it makes way for the other."""

    @property
    def vfs(self) -> Partition:
        """Where the provisioned files lie."""
        return partitions.find(self.table, "vfs")

    @property
    def end(self) -> int:
        """The flash it takes, in bytes."""
        return max(part.end for part in self.table)


def build(board: str, micropython: Path) -> Image:
    """Build what a board gets.

    Raises:
        BoardError: there is no such board, or the MicroPython image does not fit it.
    """
    folder = BOARDS / board
    if not (folder / "partitions.csv").is_file():
        known = ", ".join(sorted(path.parent.name for path in BOARDS.glob("*/partitions.csv")))
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
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "CHIP":
            return str(ast.literal_eval(node.value))
    raise BoardError(f"{path} does not name its CHIP.")


def _padded(data: bytes) -> bytes:
    data = data.rstrip(b"\xff")
    return data + b"\xff" * (-len(data) % partitions.SECTOR)


# --- one tracker ---------------------------------------------------------------------------


def flash(
    chip: Chip, what: Image, bundle: Bundle | None, *, erase: bool, log: Path, line: Line
) -> Entry:
    """Flash one tracker, compare, and let it start; return what became of it.

    Raises:
        BoardError: it is not done; what it was stays, or it can be flashed again.
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
        files = what.fixed | (dict(bundle.files) if bundle else {})
        if erase:
            files |= {"main.py": what.eraser, "next.py": files["main.py"]}
        volume = program.volume(files, what.vfs.size)
        _write_all(chip, what, volume, line)
        action = "erased" if erase else "new"
    else:
        _update(chip, what, line)
        action = "update"
    line.say("comparing")
    _compare(chip, what, volume)
    chip.reset()
    named = tracker or (bundle.tracker if bundle else "")
    return replace(line.entry, tracker=named, action=action)


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
    """Return a tracker's own volume; nothing for what never was a tracker."""
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


def _write_all(chip: Chip, what: Image, volume: bytes, line: Line) -> None:
    line.say("erasing")
    # No table, no tracker: until the last write, another run begins anew. With it goes what an
    # earlier program left in nvs.
    chip.erase(partitions.OFFSET, what.application.offset - partitions.OFFSET)
    _update(chip, what, line)
    line.write(chip, "identity", Region(what.vfs.offset, volume))
    line.write(chip, "partitions", Region(partitions.OFFSET, partitions.encode(what.table)))


def _update(chip: Chip, what: Image, line: Line) -> None:
    if not chip.holds(what.program.offset, what.program.data):
        offset, data = what.program.offset, what.program.data
        chip.erase(offset, _COMMIT)
        line.write(chip, "program", Region(offset + _COMMIT, data[_COMMIT:]))
        line.write(chip, "program", Region(offset, data[:_COMMIT]))
    for name, region in (("interpreter", what.application), ("bootloader", what.bootloader)):
        if not chip.holds(region.offset, region.data):
            line.write(chip, name, region)


def _compare(chip: Chip, what: Image, volume: bytes) -> None:
    """Let the chip read everything back; it answers with a hash of each region."""
    table = Region(partitions.OFFSET, partitions.encode(what.table))
    kept = Region(what.vfs.offset, volume)
    for region in (what.bootloader, table, what.application, what.program, kept):
        if not chip.holds(region.offset, region.data):
            raise BoardError(
                f"The flash at {chip.port} does not hold at {region.offset:#x} what it should: "
                "flash again; if it stays so, the module is broken."
            )


# --- the command ---------------------------------------------------------------------------


class Line:
    """A tracker's line: a bar while it is flashed, then one sentence."""

    def __init__(self, bars: Progress, port: str, entry: Entry, total: int) -> None:
        self._bars = bars
        self._task: TaskID = bars.add_task("connecting", port=port, total=total)
        self.entry = entry

    def say(self, doing: str) -> None:
        """Show what is done now."""
        self._bars.update(self._task, description=doing)

    def write(self, chip: Chip, name: str, region: Region) -> None:
        """Write a region and show how far it is."""
        self.say(name)
        chip.write(region.offset, region.data, lambda n: self._bars.advance(self._task, n))

    def end(self, doing: str) -> None:
        """Show the end."""
        self._bars.update(
            self._task, description=doing, completed=self._bars.tasks[self._task].total
        )


@dataclass(frozen=True)
class _Order:
    what: Image
    erase: bool
    register: bool
    log: Path
    baud: int
    bars: Progress


def _one(order: _Order, port: str, bundle: Bundle | None) -> Entry:
    """Flash the tracker at one port and log it; what went wrong is in the entry."""
    what = order.what
    entry = Entry(
        port=port,
        board=what.board,
        interpreter=what.interpreter,
        program=what.digest,
        result="failed",
    )
    size = len(what.program.data) + len(what.application.data)
    line = Line(order.bars, port, entry, size)
    try:
        with connected(port, order.baud) as chip:
            entry.chip = chip.mac
            entry = flash(chip, what, bundle, erase=order.erase, log=order.log, line=line)
        entry.result = "ok"
    except BoardError as error:
        entry.detail = error.message
    packing_log.append(order.log, entry)
    if entry.result == "ok" and bundle and order.register:
        try:
            registration.register(bundle.registration)
            entry.detail = "registered"
        except BoardError as error:
            entry.detail = f"The tracker is flashed but not registered: {error.message}"
            entry.result = "not registered"
    line.end(entry.result)
    return entry


def _bundles(path: Path | None, found: list[str], log: Path) -> list[Bundle | None]:
    """Return an identity for each port: none, the one in the file, or the next in the folder."""
    if path is None:
        return [None] * len(found)
    if path.is_dir():
        loaded = [Bundle.load(file) for file in sorted(path.glob("*.identity"))]
        free = [bundle for bundle in loaded if not packing_log.chips_of(log, bundle.tracker)]
        if len(free) < len(found):
            raise BoardError(
                f"{path} has {len(free)} identities that are on no tracker, "
                f"for {len(found)} ports: provision more."
            )
        return list(free[: len(found)])
    if len(found) > 1:
        raise BoardError("One identity is for one tracker: name a folder of them, or one port.")
    return [Bundle.load(path)]


@click.command("flash")
@click.option("--board", required=True, help="A folder of boards/, such as esp32_bg95.")
@click.option("--port", "named", multiple=True, help="Serial port; may be repeated.")
@click.option("--all-ports", is_flag=True, help="Every USB serial port, at once.")
@click.option("--micropython", required=True, type=click.Path(path_type=Path),
              help="The stock MicroPython image, ESP32_GENERIC-….bin.")  # fmt: skip
@click.option("--identity", type=click.Path(path_type=Path),
              help="What 'provision tracker' wrote, or a folder of that.")  # fmt: skip
@click.option("--erase", is_flag=True, help="Give up the tracker's identity and log; asks.")
@click.option("--register", is_flag=True, help="Register at the gateway what was flashed.")
@click.option("--log", type=click.Path(dir_okay=False, path_type=Path),
              help="The packing log [~/.local/share/coldtrail/packing.csv].")  # fmt: skip
@click.option("--baud", default=BAUD, show_default=True, help="Speed of the transfer.")
def command(
    board: str, named: tuple[str, ...], all_ports: bool, micropython: Path,
    identity: Path | None, erase: bool, register: bool, log: Path | None, baud: int,
) -> None:  # fmt: skip
    """Flash trackers: interpreter, firmware and, with --identity, who they are.

    A tracker that has an identity keeps it, with calibration and log, unless --erase is said.
    """
    log = log or packing_log.default_path()
    found = list(dict.fromkeys([*named, *(ports() if all_ports else ())]))
    if not found:
        raise BoardError("No serial port: plug a tracker in and name it with --port.")
    what = build(board, micropython)
    bundles = _bundles(identity, found, log)
    if erase:
        question = f"Erase identity, calibration and log of the tracker at {', '.join(found)}?"
        if not click.confirm(question):
            raise BoardError("Nothing was erased or written.")
    columns = (
        TextColumn("{task.fields[port]}"), BarColumn(), TextColumn("{task.description}"),
        TimeElapsedColumn(),
    )  # fmt: skip
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bars:
        order = _Order(what, erase, register, log, baud, bars)
        with ThreadPoolExecutor(len(found)) as pool:
            flashed = pool.map(partial(_one, order), found, bundles)
            entries = list(flashed)
    failed = 0
    for entry in entries:
        if entry.result == "ok":
            click.echo(f"{entry.port}: {entry.action}, {entry.interpreter}, compared")
            click.echo(f"label: {entry.label}")
        else:
            failed += 1
            click.echo(f"Error: {entry.detail}", err=True)
    if failed:
        raise click.exceptions.Exit(2)
