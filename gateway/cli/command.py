"""``coldtrail gateway command``: ask a tracker to do something, and see what became of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click
from rich.table import Table

from coldtrail_gateway import clock as clocks
from coldtrail_gateway.cli.access import asking, performs
from coldtrail_gateway.cli.options import (
    FILE,
    console,
    database,
    open_store,
    open_trail,
    parsed,
)
from coldtrail_gateway.cli.options import clock as clock_option
from coldtrail_gateway.contract import command as commands
from coldtrail_gateway.contract.command import Action, Value
from coldtrail_gateway.contract.envelope import TRACKER_ID
from coldtrail_gateway.contract.printable import printable
from coldtrail_gateway.contract.utc import iso
from coldtrail_gateway.errors import GatewayError
from coldtrail_gateway.shipments import orders

_UNITS: Final = {"s": 1, "min": 60, "h": 3600, "d": 86400}
_SHORTEST_S: Final = 60
_WIDE: Final = 160


def _tracker(value: str) -> str:
    if not TRACKER_ID.fullmatch(value):
        raise ValueError("a tracker id has 1 to 23 capital letters, digits and hyphens")
    return value


def _duration(value: str) -> int:
    match = re.fullmatch(r"(\d{1,6}) ?(s|min|h|d)", value)
    seconds = int(match[1]) * _UNITS[match[2]] if match else 0
    if not _SHORTEST_S <= seconds <= commands.LONGEST_S:
        raise ValueError('a duration is a whole number with s, min, h or d, "1 min" to "365 d"')
    return seconds


def _shipment(value: str) -> str:
    if not 1 <= len(value.encode()) <= 32 or not value.isprintable():
        raise ValueError("a shipment id has 1 to 32 bytes of printable text")
    return value


@click.group(
    subcommand_metavar="ACTION [ARGS]...",
    short_help="Ask TRACKER to do something; list what was asked.",
)
@click.argument("tracker", callback=parsed(_tracker))
@click.pass_context
def command(context: click.Context, tracker: str) -> None:
    """Ask TRACKER to do something: the commands below are the actions.

    The command waits in the database. `gateway serve` publishes the oldest one, retained, until
    the tracker has reported what became of it. A tracker takes a command when it next calls.
    """
    context.obj = tracker


def _expires(action: Action) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add the options that every action has."""
    default = min(commands.DEFAULT_S, commands.longest_s(action))
    shown = f"{default // 3600} h" if default < _UNITS["d"] else f"{default // _UNITS['d']} d"
    most = "1 h" if commands.longest_s(action) == commands.AT_ONCE_S else "365 d"

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        option = click.option(
            "--expires",
            "for_s",
            metavar="DURATION",
            default=shown,
            show_default=True,
            callback=parsed(_duration),
            help="How long the command may wait before it is void: a number with s, min, h or d, "
            f"1 min to {most}.",
        )
        return click.pass_obj(option(database(clock_option(function))))

    return decorate


def _make(
    tracker: str,
    fields: list[Value],
    for_s: int,
    db: str | None,
    clock: clocks.Clock | None,
) -> None:
    if for_s > (most := commands.longest_s(int(fields[0]))):
        raise click.UsageError(
            f"{commands.described(fields)} may wait {most // 60} min at most: "
            "give a shorter --expires."
        )
    now = (clock or clocks.SystemClock()).now_ms
    with open_store(db) as store, open_trail(db, store, now()) as tower:
        made = orders.give(store, tower, asking(tower, now()).actor, tracker, fields, for_s, now)
    click.echo(
        f"{tracker}: {commands.described(fields)}, command {made.counter}, "
        f"void from {iso(made.expiry * 1000)[:19]}Z"
    )


@performs("tracker.command")
@command.command()
@click.argument("file", type=FILE)
@_expires(Action.CONFIGURE)
def configure(tracker: str, file: Path, **options: Any) -> None:
    """Take the profile in FILE, all of it or nothing.

    FILE holds the bytes that the tracker stores (CBOR, at most 536): `coldtrail profile NAME -o
    FILE` makes it. The tracker checks it whole, boots with it, and reports its digest.
    """
    with file.open("rb") as opened:
        profile = opened.read(commands.MAX_PROFILE + 1)
    if len(profile) > commands.MAX_PROFILE or not commands.is_profile(profile):
        raise GatewayError(
            f"{file} does not hold a profile as a tracker stores it: make it with "
            "coldtrail profile NAME -o FILE."
        )
    _make(tracker, commands.configure(profile), **options)


@performs("tracker.command")
@command.command()
@_expires(Action.ACKNOWLEDGE)
def acknowledge(tracker: str, **options: Any) -> None:
    """Record that somebody has seen the alarms. The tracker's red light goes out."""
    _make(tracker, [Action.ACKNOWLEDGE.value], **options)


@performs("tracker.command")
@command.command()
@_expires(Action.LOCATE)
def locate(tracker: str, **options: Any) -> None:
    """Find the position, and send it."""
    _make(tracker, [Action.LOCATE.value], **options)


@performs("tracker.command")
@command.command()
@_expires(Action.REBOOT)
def reboot(tracker: str, **options: Any) -> None:
    """Start the tracker anew; nothing in its log is lost."""
    _make(tracker, [Action.REBOOT.value], **options)


@performs("tracker.command")
@command.command("send-again")
@click.argument("number", type=click.IntRange(1, 2**32 - 1))
@_expires(Action.SEND_AGAIN)
def send_again(tracker: str, number: int, **options: Any) -> None:
    """Publish the blocks from NUMBER on once more. The tracker's log may lack some of them."""
    _make(tracker, [Action.SEND_AGAIN.value, number], **options)


@performs("tracker.start-shipment")
@command.command("start-shipment")
@click.argument("shipment", metavar="ID", callback=parsed(_shipment))
@_expires(Action.START_SHIPMENT)
def start_shipment(tracker: str, shipment: str, **options: Any) -> None:
    """Begin shipment ID, ending one that is under way; registers it here if it is new."""
    _make(tracker, [Action.START_SHIPMENT.value, shipment], **options)


@performs("tracker.start-shipment")
@command.command("stop-shipment")
@_expires(Action.STOP_SHIPMENT)
def stop_shipment(tracker: str, **options: Any) -> None:
    """End the shipment that is under way."""
    _make(tracker, [Action.STOP_SHIPMENT.value], **options)


@performs("tracker.commands")
@command.command("list")
@database
@clock_option
@click.pass_obj
def list_(tracker: str, db: str | None, clock: clocks.Clock | None) -> None:
    """Show every command and its outcome. The oldest comes first."""
    with open_store(db) as store, store.read() as tables:
        orders.registered(tables, tracker)
        found = tables.commands.of(tracker)
    now_ms = (clock or clocks.SystemClock()).now_ms()
    view = Table(title=f"Commands to {tracker}", title_justify="left")
    for name in ("counter", "action", "made (UTC)", "void from", "state", "heard (UTC)"):
        view.add_column(name, overflow="fold")
    for made in found:
        heard = made.ended_ms or made.taken_ms
        view.add_row(
            str(made.counter),
            printable(commands.described(made.fields)),
            _moment(made.made_ms),
            _moment(made.expiry * 1000),
            printable(made.state(now_ms)),
            _moment(heard) if heard else "",
        )
    console(_WIDE).print(view)


def _moment(ms: int) -> str:
    return iso(ms)[:19].replace("T", " ")


@performs("tracker.command")
@command.command()
@click.argument("counter", type=click.IntRange(1, 2**53 - 1), required=False)
@database
@clock_option
@click.pass_obj
def cancel(tracker: str, counter: int | None, db: str | None, clock: clocks.Clock | None) -> None:
    """Withdraw command COUNTER, or all without an outcome.

    A tracker that has taken it already carries it out, and its outcome is shown.
    """
    now = (clock or clocks.SystemClock()).now_ms
    with open_store(db) as store, open_trail(db, store, now()) as tower:
        cancelled = orders.cancel(store, tower, asking(tower, now()).actor, tracker, counter, now)
    click.echo(f"cancelled: {cancelled}")
