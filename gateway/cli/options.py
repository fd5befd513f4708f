"""Options and arguments that several commands share."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from coldtrail_gateway import clock as clocks
from coldtrail_gateway.audit import elsewhere
from coldtrail_gateway.contract.printable import printable
from coldtrail_gateway.shipments import orders, registration
from coldtrail_gateway.store.database import Store, default_path
from coldtrail_gateway.store.tower.database import Tower

_UNFOLDED = 250

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def parsed(parse: Callable[[str], Any]) -> Callable[[click.Context, click.Parameter, str], Any]:
    """Turn a parser that raises ValueError into a callback of an option."""

    def callback(_context: click.Context, _parameter: click.Parameter, value: str | None) -> Any:
        if value is None:
            return None
        try:
            return parse(value)
        except ValueError as error:
            raise click.BadParameter(f"{error}.") from error

    return callback


database = click.option(
    "--db",
    envvar="COLDTRAIL_DB",
    metavar="FILE|URL",
    help="The path of an SQLite file as it stands, or a URL: sqlite:///FILE (with % ? # as "
    "%25 %3F %23) or postgresql://USER@HOST/NAME. Put a URL with a password into "
    "$COLDTRAIL_DB.  "
    f"[default: {default_path()}]",
)

clock = click.option(
    "--clock",
    metavar="unix:PATH",
    callback=parsed(clocks.parse),
    help="Take the time from this socket, which a simulator serves, not from the system.",
)


def console(width: int = _UNFOLDED) -> Console:
    """Return where tables go; into a pipe or file they are `width` characters wide.

    Text is what it is: nothing in it is taken for markup, a name of an emoji or something to
    colour. What comes from outside still has to be made `printable`.
    """
    shown = None if sys.stdout.isatty() else width
    return Console(width=shown, markup=False, emoji=False, highlight=False)


def echo(text: str, *, err: bool = False) -> None:
    """Print one line, printable whatever it says."""
    click.echo(printable(text), err=err)


def open_store(db: str | None, *, create: bool = False) -> Store:
    """Open the store that ``--db`` names, or the default one."""
    store = Store(db or default_path(), create=create)
    _warn_of_shared(store.shared, "the keys in ")
    return store


def open_tower(db: str | None, *, create: bool = False) -> Tower:
    """Open the tower's database that belongs to the store which ``--db`` names."""
    tower = Tower(db or default_path(), create=create)
    _warn_of_shared(tower.shared, "")
    return tower


def _warn_of_shared(file: Path | None, what: str) -> None:
    if file is not None:
        echo(
            f"Warning: others can read {what}{file}: chmod 600 {shlex.quote(str(file))}", err=True
        )


def open_trail(db: str | None, store: Store, now_ms: int) -> Tower:
    """Open the tower's database to record a change of the archive; make it where there is none.

    What an earlier program has intended there and not said to be done is looked up and answered.
    """
    tower = open_tower(db, create=True)
    looks = {
        registration.REGISTER.name: registration.look(store),
        orders.GIVE.name: orders.look_given(store),
        orders.CANCEL.name: orders.look_cancelled(store),
    }
    try:
        elsewhere.reconcile(tower, looks, now_ms)
    except BaseException:
        tower.close()
        raise
    return tower
