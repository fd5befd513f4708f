"""`coldtrail volume`: writes the flash images of an nRF52840."""

from __future__ import annotations

from pathlib import Path

import click

from coldtrail_boards import files
from coldtrail_boards.flash import program, volume
from coldtrail_boards.provision.bundle import Bundle

FILES = "flash"
"""Folder with the files of the littlefs, for copying them one by one."""


@click.command("volume")
@click.option("--board", required=True, help="A folder of boards/, such as nrf52840dk_bg95.")
@click.option("--micropython", required=True, type=click.Path(path_type=Path),
              help="The MicroPython image that the board runs, .hex or .bin.")  # fmt: skip
@click.option("--identity", type=click.Path(dir_okay=False, path_type=Path),
              help="The file that 'provision tracker' wrote.")  # fmt: skip
@click.option(
    "--bench",
    is_flag=True,
    help="For the bench: the console is on the UART, and no modem is used.",
)
@click.option("-o", "--output", required=True, help="The folder for the volumes.",
              type=click.Path(file_okay=False, path_type=Path))  # fmt: skip
def command(
    board: str, micropython: Path, identity: Path | None, bench: bool, output: Path
) -> None:
    """Build the volumes of a board that `flash` does not support."""
    program.check_bytecode(volume.version(micropython))
    bundle = Bundle.load(identity) if identity else None
    volumes = volume.build(board, bundle, bench=bench)
    # The littlefs holds the tracker's keys, so its files are readable by their owner only.
    lies = volumes[volume.LITTLEFS].files
    for other in (output / FILES).glob("*"):
        if other.name not in lies:
            other.unlink()  # a file of another tracker must not be copied together with these
    for name, data in lies.items():
        files.write(output / FILES / name, data, replace=True)
    for name, made in volumes.items():
        files.write(output / name, made.data, replace=True)
        click.echo(f"{output / name}: {len(made.data)} of {made.size} bytes, at {made.offset:#x}")
