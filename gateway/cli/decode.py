"""Shows one sealed message: for people, or as JSON. Needs no store."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from coldtrail_gateway import keyfiles
from coldtrail_gateway.cli.access import performs
from coldtrail_gateway.cli.errors import Command
from coldtrail_gateway.cli.event_words import in_words
from coldtrail_gateway.cli.options import FILE, console, echo
from coldtrail_gateway.contract import block, confirmation, envelope, words
from coldtrail_gateway.contract import command as commands
from coldtrail_gateway.contract.block import HASH_SIZE, Block, BlockError
from coldtrail_gateway.contract.envelope import KEY_SIZE, Kind, Refused
from coldtrail_gateway.contract.events import EventType
from coldtrail_gateway.contract.utc import iso
from coldtrail_gateway.errors import GatewayError
from coldtrail_gateway.exports import tabular, text

_LONGEST = 65_536


@dataclass(frozen=True, slots=True)
class Shown:
    """A message taken apart. `mac` is None where no key was given."""

    fields: Mapping[str, Any]
    block: Block | None
    mac: bool | None


def read_message(given: str) -> bytes:
    """Return the message in a file, in hexadecimal digits, or (``-``) on standard input.

    A file, too, may hold hexadecimal digits.

    Raises:
        GatewayError: it is none of these.
    """
    if given == "-":
        data = sys.stdin.buffer.read(_LONGEST)
    else:
        try:
            with Path(given).open("rb") as file:
                data = file.read(_LONGEST)
        except OSError as error:
            return _hexadecimal(given, error)
    try:
        return bytes.fromhex(data.decode("utf-8-sig"))
    except ValueError:
        return data


def _hexadecimal(given: str, reason: OSError) -> bytes:
    try:
        return bytes.fromhex(given)
    except ValueError:
        raise GatewayError(
            f"{given[:60]} is neither a file that can be read ({reason.strerror}) nor "
            "hexadecimal digits: give a sealed message."
        ) from None


def read_key(path: Path) -> bytes:
    """Return the key in a file of 64 hexadecimal digits.

    Raises:
        GatewayError: it holds something else, or others can read it.
    """
    try:
        keyfiles.check(path)
        with path.open(encoding="utf-8-sig") as file:
            key = bytes.fromhex(file.read(_LONGEST))
    except OSError as error:
        raise GatewayError(f"{path} cannot be read ({error.strerror}).") from error
    except ValueError:
        key = b""
    if len(key) != KEY_SIZE:
        raise GatewayError(f"{path} does not hold a key of {2 * KEY_SIZE} hexadecimal digits.")
    return key


def take_apart(sealed: bytes, tracker: str | None, key: bytes | None) -> Shown:
    """Return what a message holds, and whether its MAC verifies with a tracker's key.

    Raises:
        Refused: it is no message of the contract.
    """
    form = envelope.parse(sealed)
    mac = None
    if tracker is not None and key is not None:
        try:
            envelope.open_sealed(sealed, form.kind, tracker, {form.key_version: key})
            mac = True
        except Refused:
            mac = False
    fields: dict[str, Any] = {
        "kind": form.kind.name.lower(),
        "bytes": len(sealed),
        "key_version": form.key_version,
        "mac": {None: "not checked", True: "verifies", False: "does not verify"}[mac],
        "hash": sha256(sealed).hexdigest()[: 2 * HASH_SIZE],
    }
    decoded = None
    try:
        if form.kind is Kind.BLOCK:
            decoded = block.decode(form.payload)
            fields |= _block(decoded)
        elif form.kind is Kind.COMMAND:
            fields |= commands.read(form.payload)
        else:
            fields |= confirmation.read(form.payload)
    except BlockError as error:
        fields["undecoded"] = str(error)
    return Shown(fields, decoded, mac)


def json_text(shown: Shown) -> str:
    """Return the message as a JSON document."""
    return text.to_json(shown.fields, indent=1)


def _head(shown: Shown) -> Iterator[tuple[str, Any]]:
    """Yield the names and values to print above samples and events."""
    for name, value in shown.fields.items():
        match name, value:
            case "samples" | "events", _:
                pass
            case "mac", "not checked":
                yield name, "not checked: give --tracker and --key-file"
            case "previous", _ if not value.strip("0"):
                yield name, "none: this is the first block of its chain"
            case "sync", None:
                yield "clock", _no_sync(shown.block)
            case "sync", sync:
                yield (
                    "clock",
                    (
                        f"t {sync['t_s']} s was {sync['utc']}, within {sync['uncertainty_s']} s, "
                        f"by {sync['source']}"
                    ),
                )
            case "shipment", None:
                yield name, "none"
            case "interval_s", None:
                pass  # a block without samples has none
            case "interval_s", _:
                yield "interval", f"{value} s"
            case "bytes", _:
                yield "size", f"{value} bytes"
            case "urgent", _:
                yield name, "yes" if value else "no"
            case _:
                yield name, value


def _no_sync(decoded: Block | None) -> str:
    if decoded and any(event.type is EventType.CLOCK_SYNC for event in decoded.events):
        return "set by the clock-sync event below"
    return "no clock sync in this boot yet"


def print_for_people(shown: Shown, screen: Console) -> None:
    """Print the message as text and tables."""
    for name, value in _head(shown):
        echo(f"{name.replace('_', ' '):<14} {value}")
    if shown.block is None:
        return
    if shown.block.samples:
        used = [
            channel
            for channel in range(len(words.CHANNELS))
            if any(sample.values[channel] is not None for sample in shown.block.samples)
        ]
        table = Table("t_s", *(words.CHANNELS[channel][0] for channel in used), "status")
        for sample in shown.block.samples:
            readings = [
                "" if (value := sample.values[channel]) is None else words.scaled(channel, value)
                for channel in used
            ]
            table.add_row(str(sample.t), *readings, words.status(sample.status))
        screen.print(table)
    for event in shown.block.events:
        echo(in_words(event))


@performs("blocks.decode")
@click.command("decode", cls=Command)
@click.argument("message", metavar="FILE|HEX|-")
@click.option(
    "--tracker", metavar="ID", help="The tracker that sent the message, or to which it goes."
)
@click.option(
    "--key-file",
    type=FILE,
    help="A file with the tracker's key in 64 hexadecimal digits: the uplink key for a block, the "
    "downlink key for a confirmation or a command.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(
    context: click.Context, message: str, tracker: str | None, key_file: Path | None, as_json: bool
) -> None:
    """Show one sealed message. It is a file, hexadecimal digits, or - for standard input.

    With --tracker and --key-file it also says whether the MAC verifies; the exit code is 1 when
    the MAC does not.
    """
    if (tracker is None) != (key_file is None):
        raise click.UsageError("--tracker and --key-file belong together.")
    key = read_key(key_file) if key_file else None
    try:
        shown = take_apart(read_message(message), tracker, key)
    except Refused as refused:
        raise GatewayError(f"This is no message of the contract: {refused}.") from None
    if as_json:
        click.echo(json_text(shown))
    else:
        print_for_people(shown, console())
    if shown.mac is False:
        context.exit(1)


def _block(decoded: Block) -> dict[str, Any]:
    return {
        "chain": decoded.head.chain.hex(),
        "number": decoded.head.number,
        "previous": decoded.head.previous.hex(),
        "boot": decoded.boot,
        "sequence": decoded.sequence,
        "sync": None
        if decoded.sync is None
        else {
            "t_s": decoded.sync.t_ms / 1000,
            "utc": iso(decoded.sync.utc_ms),
            "uncertainty_s": decoded.sync.uncertainty_ms / 1000,
            "source": words.SYNC_SOURCE[decoded.sync.source],
        },
        "shipment": decoded.shipment,
        "interval_s": decoded.interval,
        "urgent": decoded.urgent,
        "samples": [tabular.sample_fields(sample) for sample in decoded.samples],
        "events": [
            {"type": event.name, "t_s": event.t, **tabular.event_fields(event)}
            for event in decoded.events
        ],
    }
