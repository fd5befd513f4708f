"""Options of the commands that make or read anchors, and where these lie without them."""

from __future__ import annotations

from pathlib import Path

import click

from coldtrail_gateway.store import location
from coldtrail_gateway.store.database import default_path

_FOLDER = click.Path(file_okay=False, path_type=Path)
_NEW = click.Path(dir_okay=False, path_type=Path)

anchors_option = click.option(
    "--anchors",
    "folder",
    envvar="COLDTRAIL_ANCHORS",
    type=_FOLDER,
    help="The folder of anchors; also $COLDTRAIL_ANCHORS.  [default: gateway.anchors beside the "
    "database file]",
)
key_option = click.option(
    "--key",
    "key_file",
    envvar="COLDTRAIL_ANCHOR_KEY",
    type=_NEW,
    help="The private key that signs, made where there is none yet; also $COLDTRAIL_ANCHOR_KEY. "
    " [default: gateway.anchor-key.pem beside the database file]",
)
tsa_option = click.option(
    "--tsa",
    metavar="URL",
    envvar="COLDTRAIL_TSA",
    help="Have the anchor stamped by this time stamp authority (RFC 3161); also $COLDTRAIL_TSA.",
)


def anchors_beside(db: str | None) -> Path:
    """Return the folder of anchors beside a database."""
    return _beside(db, "anchors", "")


def key_beside(db: str | None) -> Path:
    """Return the file with the key that signs anchors, beside a database."""
    return _beside(db, "anchor-key", ".pem")


def _beside(db: str | None, word: str, suffix: str) -> Path:
    """Return where something lies beside the database file; of a server, beside the default."""
    place = location.named(db) if db else default_path()
    path = place if isinstance(place, Path) else default_path()
    return path.with_name(f"{path.stem}.{word}{suffix}")
