"""Which operation a command performs, and who asks for it."""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TextIO, TypeVar

import click

from coldtrail_gateway import clock as clocks
from coldtrail_gateway.audit import access, identify
from coldtrail_gateway.audit.access import Who
from coldtrail_gateway.audit.operations import OPERATIONS, Operation, Touches
from coldtrail_gateway.audit.second_factor import Sealer
from coldtrail_gateway.cli.options import clock as clock_option
from coldtrail_gateway.cli.options import database, open_tower
from coldtrail_gateway.store.database import default_path
from coldtrail_gateway.store.tower.database import Tower

TOKEN: Final = "COLDTRAIL_TOKEN"  # noqa: S105 - the name of a variable
_SOURCE: Final = "terminal"
_LONGEST_LINE: Final = 4096

_Command = TypeVar("_Command", bound=click.Command)
_performed: dict[click.Command, Operation] = {}


def performs(name: str) -> Callable[[_Command], _Command]:
    """Name the operation that a command performs, and refuse it to a token without the rights.

    Without $COLDTRAIL_TOKEN it is the terminal that asks, which may do everything.
    """
    operation = OPERATIONS[name]

    def decorate(command: _Command) -> _Command:
        _performed[command] = operation
        run = command.callback
        if run is not None and operation.touches is not Touches.NOTHING:
            command.callback = _guarded(run, operation)
        return command

    return decorate


def operation_of(command: click.Command) -> Operation | None:
    """Return the operation that a command performs; None where it names none."""
    return _performed.get(command)


def _guarded(run: Callable[..., Any], operation: Operation) -> Callable[..., Any]:
    @functools.wraps(run)
    def guarded(*arguments: Any, **options: Any) -> Any:
        if TOKEN in os.environ:
            with open_tower(options.get("db"), create=True) as tower:
                who = asking(tower, _now_ms(options.get("clock")))
                who.check(operation)
                if operation.touches is Touches.SHIPMENT:
                    with tower.read() as connection:
                        access.check_shipment(connection, who, operation, options["shipment"])
        return run(*arguments, **options)

    return guarded


def asking(tower: Tower, now_ms: int) -> Who:
    """Return who asks: whom $COLDTRAIL_TOKEN speaks for, or else the terminal.

    A variable that is set and empty is what a sign-in that failed leaves behind, or a secret that
    is missing: whoever set it did not mean the terminal, which may do everything.

    Raises:
        Denied: the token or session is none, or has ended.
    """
    secret = os.environ.get(TOKEN)
    if secret is None:
        return access.console()
    if not secret:
        raise access.Denied(
            f"${TOKEN} is set and empty: sign in again, or unset it to act as the terminal."
        )
    return identify.who(tower, secret, _SOURCE, now_ms)


@dataclass(frozen=True, slots=True)
class Desk:
    """Where a command about people works: the tower's database, who asks, from where and when."""

    tower: Tower
    who: Who
    now_ms: int
    source: str = _SOURCE


def at_desk(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command ``--db`` and ``--clock``, and a `Desk` as its first argument."""
    return _desk(function, asking)


def at_door(function: Callable[..., None]) -> Callable[..., None]:
    """Give the same to a command by which one is let in: who asks is not known yet."""
    return _desk(function, lambda _tower, _now_ms: access.STRANGER)


def _desk(
    function: Callable[..., None], asked_by: Callable[[Tower, int], Who]
) -> Callable[..., None]:
    @functools.wraps(function)
    def run(*arguments: Any, db: str | None, clock: clocks.Clock | None, **options: Any) -> None:
        now_ms = _now_ms(clock)
        with open_tower(db, create=True) as tower:
            function(Desk(tower, asked_by(tower, now_ms), now_ms), *arguments, **options)

    return database(clock_option(run))


def _now_ms(clock: clocks.Clock | None) -> int:
    return (clock or clocks.SystemClock()).now_ms()


def _why(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str:
    if value is None:
        if not sys.stdin.isatty():
            raise click.UsageError("Say why, for the audit trail: --why TEXT.")
        value = click.prompt("Why")
    if not value.strip():
        raise click.UsageError("Say why, for the audit trail: --why TEXT.")
    return value


why = click.option(
    "--why", metavar="TEXT", callback=_why, help="The reason, for the audit trail; asked for."
)

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def show(document: Any) -> None:
    """Print a document as JSON."""
    click.echo(json.dumps(document, ensure_ascii=True, indent=2))


class Secrets:
    """Asks for what must not stand on a command line: by a prompt, or from a file descriptor."""

    def __init__(self, descriptor: int | None) -> None:
        self._lines: TextIO | None = None
        if descriptor is not None:
            try:
                self._lines = os.fdopen(descriptor, encoding="utf-8", closefd=False)
            except (OSError, ValueError):
                raise click.UsageError(f"File descriptor {descriptor} is not open.") from None

    def ask(self, text: str, *, again: bool = False, empty: bool = False) -> str:
        """Return one secret; typed twice with `again`, maybe nothing with `empty`."""
        if self._lines is None:
            default = "" if empty else None
            prompted = click.prompt(
                text,
                hide_input=True,
                confirmation_prompt=again,
                default=default,
                show_default=False,
                err=True,
            )
            return str(prompted)
        try:
            line = self._lines.readline(_LONGEST_LINE)
        except (OSError, UnicodeDecodeError):
            raise click.UsageError("What is asked for cannot be read as lines of UTF-8.") from None
        if not line and not empty:
            raise click.UsageError(f"Missing on the file descriptor: {text.lower()}.")
        return line.rstrip("\r\n")


def _secrets(
    _context: click.Context, _parameter: click.Parameter, descriptor: int | None
) -> Secrets:
    return Secrets(descriptor)


secrets = click.option(
    "--secrets-fd",
    "secrets",
    type=click.IntRange(0, 1023),
    callback=_secrets,
    metavar="N",
    help="Read what would be asked for from this file descriptor, a line each.",
)


def _sealer(_context: click.Context, _parameter: click.Parameter, path: Path | None) -> Sealer:
    return Sealer(path or default_path().parent / "people.key")


people_key = click.option(
    "--people-key",
    "sealer",
    envvar="COLDTRAIL_PEOPLE_KEY",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=_sealer,
    help="The file with the key that seals second factors, made where it is missing; keep a copy "
    "apart from the database's. Also $COLDTRAIL_PEOPLE_KEY.  "
    f"[default: {default_path().parent / 'people.key'}]",
)
