"""Runs the cases in Renode: ``python -m tests.renode.run --help``."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Sequence
from pathlib import Path

import click

from coldtrail_boards.errors import BoardError
from coldtrail_boards.flash import program, volume

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
OUT = ROOT / "out" / "renode"
LIMIT_S = 1800
LONGEST = ("uplink", "coverage", "power")
"""Files that take longest: begun first, so that no core has them left at the end."""
README = "boards/nrf52840dk_bg95/README.md"


def missing(image: str, renode_test: str) -> str:
    """Return a sentence that says what is missing and where it is had; nothing if all is there."""
    if shutil.which(renode_test) is None:
        return (
            f"Renode is missing: there is no {renode_test}. Get Renode 1.16.1 or newer from "
            "https://github.com/renode/renode/releases, and name its renode-test with "
            "RENODE_TEST=/path/to/renode-test."
        )
    if not image:
        return (
            "A MicroPython image for the nRF52840 without USB and UART flow control is missing: "
            f"build it as {README} says, and name it with MICROPYTHON_NRF=firmware.hex."
        )
    try:
        program.check_bytecode(volume.version(Path(image)))
    except BoardError as error:
        return str(error)
    return ""


def run(image: str, renode_test: str, files: Sequence[Path] = (), out: Path = OUT) -> int:
    """Run the cases, as many files at a time as there are cores; return renode-test's exit code.

    What it leaves is in ``out``: log.html, and the folder of each shipment.
    """
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    bin_folder = str(Path(sys.executable).parent)
    # Its own Python, whichever that is, has to find what the keywords need.
    packages = sysconfig.get_path("purelib")
    environment = {
        **os.environ,
        "PATH": os.pathsep.join((bin_folder, os.environ.get("PATH", ""))),
        "PYTHONPATH": os.pathsep.join((str(ROOT), packages)),
    }
    command = [
        str(shutil.which(renode_test)),
        *("-j", str(os.cpu_count() or 1)),
        *("-r", str(out)),
        *("--exclude", "simulated"),
        *("--variable", "TARGET:emulated"),
        *("--variable", f"MICROPYTHON_NRF:{Path(image).resolve()}"),
        *map(str, files or sorted(HERE.glob("*.robot"), key=_place)),
    ]
    done = subprocess.run(command, cwd=out, env=environment, timeout=LIMIT_S, check=False)
    return done.returncode


def _place(file: Path) -> tuple[int, str]:
    first = LONGEST.index(file.stem) if file.stem in LONGEST else len(LONGEST)
    return first, file.stem


@click.command()
@click.option("--micropython", default="", help="The image that the chip runs, .hex.")
@click.option("--renode-test", default="renode-test", help="Renode's program for tests.")
@click.argument("files", nargs=-1, type=click.Path(exists=True, path_type=Path))
def main(micropython: str, renode_test: str, files: tuple[Path, ...]) -> None:
    """Run the cases in Renode."""
    if lacks := missing(micropython, renode_test):
        raise click.ClickException(lacks)
    begun = time.monotonic()
    code = run(micropython, renode_test, [file.resolve() for file in files])
    click.echo(f"cases in Renode: {time.monotonic() - begun:.0f} s; see {OUT}/log.html")
    sys.exit(code)


if __name__ == "__main__":
    main()
