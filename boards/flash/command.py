"""`coldtrail flash`: writes interpreter, firmware and identity to trackers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from coldtrail_boards.errors import BoardError
from coldtrail_boards.flash import packing_log
from coldtrail_boards.flash.bar import Bar
from coldtrail_boards.flash.esp import BAUD, connected, ports
from coldtrail_boards.flash.flashing import Image, build, flash
from coldtrail_boards.flash.packing_log import Entry
from coldtrail_boards.provision import registration
from coldtrail_boards.provision.bundle import Bundle


@dataclass(frozen=True)
class _Order:
    what: Image
    erase: bool
    register: bool
    log: Path
    baud: int
    bars: Progress


def _one(order: _Order, port: str, bundle: Bundle | None) -> Entry:
    """Flash the tracker at one port and log it; an error is in the returned entry."""
    what = order.what
    entry = Entry(
        port=port,
        board=what.board,
        interpreter=what.interpreter,
        program=what.digest,
        result="failed",
    )
    size = len(what.program.data) + len(what.application.data)
    bar = Bar(order.bars, port, size)
    try:
        with connected(port, order.baud) as chip:
            entry.chip = chip.mac
            tracker, action = flash(chip, what, bundle, erase=order.erase, log=order.log, bar=bar)
        entry.tracker, entry.action = tracker, action
        entry.result = "ok"
    except BoardError as error:
        entry.detail = str(error)
    packing_log.append(order.log, entry)
    if entry.result == "ok" and bundle and order.register:
        try:
            registration.register(bundle.registration)
            entry.detail = "registered"
        except BoardError as error:
            entry.detail = f"The tracker is flashed but not registered: {error}"
            entry.result = "not registered"
    bar.end(entry.result)
    return entry


def _bundles(path: Path | None, found: list[str], log: Path) -> list[Bundle | None]:
    """Return the identity for each port: none, that of the file, or the next one of the folder."""
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


@click.command("flash", short_help="Flash trackers with interpreter and firmware.")
@click.option("--board", required=True, help="A folder of boards/, such as esp32_bg95.")
@click.option("--port", "named", multiple=True, help="Serial port; may be repeated.")
@click.option("--all-ports", is_flag=True, help="Flash at every USB serial port at once.")
@click.option("--micropython", required=True, type=click.Path(path_type=Path),
              help="The stock MicroPython image for the chip, ESP32_GENERIC-….bin.")  # fmt: skip
@click.option("--identity", type=click.Path(path_type=Path),
              help="A file of 'provision tracker', or a folder of such files.")  # fmt: skip
@click.option(
    "--erase", is_flag=True, help="Erase the tracker's identity and log too; asks first."
)
@click.option(
    "--register", is_flag=True, help="Register the flashed trackers at this machine's gateway."
)
@click.option(
    "--log",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The packing log, CSV.  [default: ~/.local/share/coldtrail/packing.csv]",
)
@click.option("--baud", default=BAUD, show_default=True, help="Speed of the transfer.")
def command(
    board: str, named: tuple[str, ...], all_ports: bool, micropython: Path,
    identity: Path | None, erase: bool, register: bool, log: Path | None, baud: int,
) -> None:  # fmt: skip
    """Flash trackers with interpreter, firmware and, with --identity, their identity.

    A tracker that has an identity keeps it, with calibration and log, unless --erase is given.
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
