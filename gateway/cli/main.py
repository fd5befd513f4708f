"""The commands of the gateway."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import click

from coldtrail_gateway import clock as clocks
from coldtrail_gateway.audit import configuration
from coldtrail_gateway.audit.canonical import Json
from coldtrail_gateway.audit.trail import Kind, Subject
from coldtrail_gateway.audit.trail import console as console_actor
from coldtrail_gateway.cli.access import asking, performs
from coldtrail_gateway.cli.audit import audit
from coldtrail_gateway.cli.command import command
from coldtrail_gateway.cli.decode import command as decode
from coldtrail_gateway.cli.errors import Group
from coldtrail_gateway.cli.judge import judge, rebuild, up_to_date
from coldtrail_gateway.cli.logs import to_stderr
from coldtrail_gateway.cli.options import (
    FILE,
    console,
    database,
    echo,
    open_store,
    open_tower,
    open_trail,
    parsed,
)
from coldtrail_gateway.cli.options import clock as clock_option
from coldtrail_gateway.cli.people import people_group
from coldtrail_gateway.cli.roles import roles_group
from coldtrail_gateway.cli.tokens import tokens_group
from coldtrail_gateway.cli.verify_file import command as verify_file
from coldtrail_gateway.errors import GatewayError
from coldtrail_gateway.exports import bundle, epcis, senml, tabular
from coldtrail_gateway.ingest import broker as brokers
from coldtrail_gateway.ingest.mqtt import Gateway
from coldtrail_gateway.ingest.stopping import on_signals
from coldtrail_gateway.keyfiles import is_private
from coldtrail_gateway.shipments import history as histories
from coldtrail_gateway.shipments import known
from coldtrail_gateway.shipments import status as fleet
from coldtrail_gateway.shipments.history import History
from coldtrail_gateway.shipments.registration import register as register_file
from coldtrail_gateway.shipments.verify import Report, agreement
from coldtrail_gateway.shipments.verify import report as verify_report
from coldtrail_gateway.store.database import Store, StoreError

log = logging.getLogger("coldtrail.gateway")

__all__ = ["decode", "gateway"]  # the commands that pyproject.toml registers

_FORMATS: dict[str, Callable[[History], str | bytes]] = {
    "csv": tabular.to_csv,
    "json": tabular.to_json,
    "senml-json": senml.to_json,
    "senml-cbor": senml.to_cbor,
    "blocks": bundle.to_zip,
}
_TIMELESS = {"csv", "json", "blocks"}  # have a place for records without UTC


def _name(value: str) -> str:
    if not re.fullmatch("[a-z0-9-]{1,32}", value):
        raise ValueError("a gateway's name has 1 to 32 small letters, digits and hyphens")
    return value


def _version() -> str:
    try:
        return version("coldtrail")
    except PackageNotFoundError:
        return "(not installed)"


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
def gateway() -> None:
    """Receive, verify, keep, confirm and judge what trackers report."""


gateway.add_command(audit)
gateway.add_command(command)
gateway.add_command(judge)
gateway.add_command(rebuild)
gateway.add_command(verify_file)
gateway.add_command(people_group, "people")
gateway.add_command(roles_group, "roles")
gateway.add_command(tokens_group, "tokens")


@performs("installation.serve")
@gateway.command()
@click.option(
    "--broker",
    "address",
    envvar="COLDTRAIL_BROKER",
    default=brokers.EMBEDDED,
    show_default=True,
    metavar="URL",
    callback=parsed(brokers.parse),
    help="mqtt://HOST[:PORT], mqtts://HOST[:PORT], or embedded://127.0.0.1[:PORT] for a broker of "
    "its own. Put a URL with a password into $COLDTRAIL_BROKER.",
)
@database
@clock_option
@click.option(
    "--name",
    default="main",
    show_default=True,
    callback=parsed(_name),
    help="The name of this gateway; gateways at one broker need different names.",
)
@click.option(
    "--ca",
    envvar="COLDTRAIL_CA",
    type=FILE,
    help="With mqtts: the authority of the broker's certificate (PEM), not the system's; also "
    "$COLDTRAIL_CA.",
)
@click.option(
    "--cert",
    envvar="COLDTRAIL_CERT",
    type=FILE,
    help="With mqtts: the gateway's own certificate (PEM), for a broker that wants one; also "
    "$COLDTRAIL_CERT.",
)
@click.option(
    "--key",
    envvar="COLDTRAIL_KEY",
    type=FILE,
    help="With --cert: its private key (PEM, without a password); also $COLDTRAIL_KEY.",
)
def serve(
    address: brokers.Address,
    db: str | None,
    clock: clocks.Clock | None,
    name: str,
    ca: Path | None,
    cert: Path | None,
    key: Path | None,
) -> None:
    """Take blocks in and confirm them, until SIGTERM or Ctrl-C."""
    to_stderr()
    tls = brokers.tls(address, ca, cert, key)
    if address.shows_password:
        click.echo(
            f"Warning: anyone on the way to {address} can read the password: use mqtts://HOST.",
            err=True,
        )
    if key and not is_private(key):
        click.echo(f"Warning: others can read the key {key}: chmod 600 {key}", err=True)
    with on_signals() as stopping, ExitStack() as opened:
        store = opened.enter_context(open_store(db, create=True))
        stopping.interrupt = store.interrupt
        with store.write() as tables:
            # Nothing is confirmed on the word of a table that has drifted from the archive.
            tables.archive.rebuild()
        settings: dict[str, Json] = {
            "broker": str(address),
            "user": address.username,
            "password": address.password,  # only whether there is one goes into the trail
            "clock": "a simulation" if clock else "the system",
            "ca": str(ca) if ca else None,
            "cert": str(cert) if cert else None,
            "key_file": str(key) if key else None,
        }
        _note(db, store, name, settings, clock or clocks.SystemClock())
        log.info(
            "coldtrail %s, gateway %s: broker %s, database %s",
            _version(),
            name,
            address,
            store.name,
        )
        if address.scheme == "embedded":
            opened.callback(brokers.start(address).stop)
        Gateway(store, clock or clocks.SystemClock(), address, name, stopping, tls).run()


def _note(
    db: str | None, store: Store, name: str, settings: Mapping[str, Json], clock: clocks.Clock
) -> None:
    """Record with what a gateway serves, where that has changed; it serves in any case."""
    actor = replace(console_actor(), kind=Kind.CONFIGURATION)
    try:
        now_ms = clock.now_ms()
        with open_trail(db, store, now_ms) as tower, tower.write() as connection:
            configuration.note(connection, actor, Subject("gateway", name), settings, now_ms)
    except GatewayError as error:
        echo(f"Warning: the audit trail does not take the configuration: {error}", err=True)


@performs("tracker.register")
@gateway.command()
@click.argument("file", type=FILE)
@database
def register(file: Path, db: str | None) -> None:
    """Register the trackers, keys and shipments in FILE (JSON).

    'coldtrail provision tracker --registration FILE' writes such a file. The command may be
    repeated, also while the gateway serves; all of the file is registered, or nothing.
    A file that others can read is refused, and so is a key that is all zero or given out twice.
    """
    now = clocks.SystemClock().now_ms
    with open_store(db, create=True) as store, open_trail(db, store, now()) as tower:
        trackers, shipments = register_file(store, tower, file, asking(tower, now()).actor, now)
    click.echo(f"registered: trackers {trackers}, shipments {shipments}")


@performs("tracker.status")
@gateway.command(short_help="Show every tracker and its shipment in one line.")
@database
@clock_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with units in the names.")
def status(db: str | None, clock: clocks.Clock | None, *, as_json: bool) -> None:
    """Show every tracker and the shipment that it is with, in one line.

    What is new in the archive is read first; where that takes too long, a warning says how far
    behind the archive this is.
    """
    with open_store(db) as store, open_tower(db, create=True) as tower:
        behind = up_to_date(store, tower)
        with store.read() as tables, tower.read() as known:
            lines = fleet.load(tables, known, (clock or clocks.SystemClock()).now_ms())
            refused = tables.quarantine.refused()
    if as_json:
        click.echo(fleet.to_json(lines, refused, behind))
        return
    if not lines:
        click.echo("No tracker is registered yet: coldtrail gateway register FILE")
    else:
        console().print(fleet.table(lines))
    if refused:
        click.echo(fleet.refusals(refused))


@performs("shipment.export")
@gateway.command()
@click.argument("shipment")
@database
@click.option(
    "--format",
    "form",
    type=click.Choice([*_FORMATS, "epcis"]),
    default="csv",
    show_default=True,
    help="The format, see above.",
)
@click.option(
    "--corrects",
    type=FILE,
    help="With epcis: an earlier export; its events that no longer hold are declared errors.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write to this file, not to standard output.",
)
def export(
    shipment: str, db: str | None, form: str, corrects: Path | None, output: Path | None
) -> None:
    """Write the history of SHIPMENT, in the order of time.

    What is new in the archive is read first. CSV has the samples; JSON has samples, events and
    findings; SenML (RFC 8428) and GS1 EPCIS 2.0 (JSON-LD) have readings, positions and alarms.
    "blocks" is the evidence itself, as it is in the archive, without any
    key: a ZIP file of the sealed blocks, an index and how to verify them.
    """
    if corrects and form != "epcis":
        raise click.UsageError("--corrects belongs to --format epcis.")
    history = _archived(db, shipment) if form == "blocks" else _known(db, shipment)
    if form == "epcis":
        content: str | bytes = epcis.to_json(history, clocks.SystemClock().now_ms(), corrects)
    else:
        content = _FORMATS[form](history)
    if form not in _TIMELESS and (left_out := tabular.unplaced(history)):
        click.echo(
            f"Warning: {left_out} records without UTC are left out; csv and json have them.",
            err=True,
        )
    if output is not None:
        tabular.write(output, content)
    elif isinstance(content, bytes) and sys.stdout.isatty():
        raise click.UsageError(
            f"--format {form} is not text for a terminal: name a file with -o, or use a pipe."
        )
    else:
        click.echo(content, nl=False)


@performs("shipment.verify")
@gateway.command(short_help="Check every archived block of SHIPMENT again.")
@click.argument("shipment")
@database
@click.pass_context
def verify(context: click.Context, shipment: str, db: str | None) -> None:
    """Check every archived block of SHIPMENT again: MAC, hash, chain.

    Says which samples the archive vouches for, and every finding by name; and whether the read
    model, from which status and export are made, says the same. Exit code 1 when something is
    wrong.
    """
    with open_store(db) as store:
        model = _agreement(store, db, shipment)
        with store.read() as tables:
            outcome = verify_report(histories.load(tables, shipment))
    for line in (*outcome.lines[:-1], *model.lines, outcome.lines[-1]):
        echo(line)
    if not (outcome.good and model.good):
        context.exit(1)


def _archived(db: str | None, shipment: str) -> History:
    with open_store(db) as store, store.read() as tables:
        return histories.load(tables, shipment)


def _known(db: str | None, shipment: str) -> History:
    with open_store(db) as store, open_tower(db, create=True) as tower:
        up_to_date(store, tower)
        with store.read() as tables, tower.read() as connection:
            return known.load(tables, connection, shipment)


def _agreement(store: Store, db: str | None, shipment: str) -> Report:
    """Compare; what is wrong with the read model ends no check of the evidence."""
    try:
        with open_tower(db, create=True) as tower:
            up_to_date(store, tower)
            with tower.read() as connection, store.read() as tables:
                return agreement(tables, connection, shipment)
    except StoreError as error:
        return Report(False, (f"read model: cannot be compared: {error}",))
