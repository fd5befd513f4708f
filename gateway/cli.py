"""The commands of the gateway."""

from __future__ import annotations

import logging
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from gateway import broker as brokers
from gateway import clock as clocks
from gateway.registration import is_private
from gateway.registration import register as register_file
from gateway.serve import Gateway
from gateway.store import Store, default_path

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def _parsed(parse: Callable[[str], Any]) -> Callable[[click.Context, click.Parameter, str], Any]:
    """Turn a parser that raises ValueError into a callback of an option."""

    def callback(_context: click.Context, _parameter: click.Parameter, value: str | None) -> Any:
        if value is None:
            return None
        try:
            return parse(value)
        except ValueError as error:
            raise click.BadParameter(f"{error}.") from error

    return callback


def _name(value: str) -> str:
    if not re.fullmatch("[a-z0-9-]{1,32}", value):
        raise ValueError("a gateway's name has 1 to 32 small letters, digits and hyphens")
    return value


database = click.option(
    "--db",
    envvar="COLDTRAIL_DB",
    metavar="URL",
    help="SQLite file (sqlite:///FILE, or its path) or postgresql://USER@HOST/NAME; a URL with a "
    f"password belongs into $COLDTRAIL_DB.  [default: {default_path()}]",
)


def _open(db: str | None, *, create: bool = False) -> Store:
    return Store(db or str(default_path()), create=create)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def gateway() -> None:
    """Receive, verify, keep, confirm and judge what trackers report."""


@gateway.command()
@click.option(
    "--broker",
    "address",
    envvar="COLDTRAIL_BROKER",
    default=brokers.EMBEDDED,
    show_default=True,
    metavar="URL",
    callback=_parsed(brokers.parse),
    help="mqtt://HOST[:PORT], mqtts://HOST[:PORT], or embedded://127.0.0.1[:PORT] for a broker of "
    "its own; a URL with a password belongs into $COLDTRAIL_BROKER.",
)
@database
@click.option(
    "--clock",
    metavar="unix:PATH",
    callback=_parsed(clocks.parse),
    help="Ask this socket for the time, not the system.",
)
@click.option(
    "--name",
    default="main",
    show_default=True,
    callback=_parsed(_name),
    help="Tells gateways at one broker apart.",
)
def serve(address: brokers.Address, db: str | None, clock: clocks.Clock | None, name: str) -> None:
    """Take blocks in and confirm them, until SIGTERM or Ctrl-C."""
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s"
    )
    store = _open(db, create=True)
    embedded = brokers.start(address) if address.scheme == "embedded" else None
    try:
        served = Gateway(store, clock or clocks.SystemClock(), address, name)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: served.stop())
        served.run()
    finally:
        if embedded is not None:
            embedded.stop()
        store.close()


@gateway.command()
@click.argument("file", type=_FILE)
@database
def register(file: Path, db: str | None) -> None:
    """Register the trackers, keys and shipments in FILE (JSON).

    May be repeated, also while the gateway serves; all of the file is registered, or nothing.
    """
    if not is_private(file):
        click.echo(f"Warning: others can read the keys in {file}: chmod 600 {file}", err=True)
    store = _open(db, create=True)
    trackers, shipments = register_file(store, file)
    store.close()
    click.echo(f"registered: trackers {trackers}, shipments {shipments}")
