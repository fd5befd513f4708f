"""`coldtrail profile`: shows a profile, or writes its CBOR for the tracker."""

from pathlib import Path

import click

from coldtrail_boards import files
from coldtrail_boards.profiles.profile import load, shipped


@click.command("profile", epilog=f"The shipped profiles: {', '.join(shipped())}.")
@click.argument("name_or_file")
@click.option("-o", "output", type=click.Path(dir_okay=False, path_type=Path),
              help="Write the CBOR for the tracker to this file.")  # fmt: skip
def command(name_or_file: str, output: Path | None) -> None:
    """Show a profile, or write its CBOR for the tracker.

    NAME_OR_FILE is the name of a shipped profile, or a .toml or .cbor file. A file with a fault is
    refused with a sentence that names it.
    """
    chosen = load(name_or_file)
    if output is None:
        click.echo(chosen)
        return
    files.write(output, chosen.encode(), mode=0o644, replace=True)
