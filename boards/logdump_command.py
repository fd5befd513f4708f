"""`coldtrail log`: works with a tracker's flash log on the host."""

from pathlib import Path

import click

from coldtrail_boards.logdump import ImageError, decode, describe, summary


@click.group("log")
def command() -> None:
    """Work with a tracker's flash log on the host."""


@command.command("dump")
@click.argument("image", type=click.Path(path_type=Path))
@click.option(
    "--offset",
    type=click.IntRange(min=0),
    default=0,
    help="The byte in IMAGE at which the log begins.",
)
@click.option("--summary", "short", is_flag=True, help="Print the summary without the records.")
def dump(image: Path, offset: int, short: bool) -> None:
    """Decode a raw IMAGE of the flash: records in order, then the damage.

    Exit code 0 without damage, 1 with damage, 2 when there is no log to decode.
    """
    try:
        data = image.read_bytes()
    except OSError as error:
        raise ImageError(f"{image}: {error.strerror}; name a raw image of the flash.") from None
    try:
        found = decode(data[offset:])
    except ImageError as error:
        raise ImageError(f"{image}: {error}") from None
    if not short:
        for record in found.records:
            click.echo(describe(record))
    for line in summary(found):
        click.echo(line)
    if found.damage:
        raise SystemExit(1)
