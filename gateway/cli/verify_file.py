"""Blocks in a file, verified and exported as the archive would be.

The log of a tracker that was read out over its cable, or a bundle that 'export --format blocks'
has written. A read-out is a CBOR sequence (RFC 8742): a map with "coldtrail": "readout/1",
"tracker" and "chain", then [number of the record, sealed block] for each block, in any order.
"""

from __future__ import annotations

import hashlib
import io
import sys
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cbor2
import click

from coldtrail_gateway.cli.access import performs
from coldtrail_gateway.cli.options import FILE, database, echo, open_store
from coldtrail_gateway.contract.envelope import MAX_SIZE, TRACKER_ID
from coldtrail_gateway.errors import GatewayError
from coldtrail_gateway.evidence import archive
from coldtrail_gateway.evidence.archive import Entry
from coldtrail_gateway.exports import bundle, tabular
from coldtrail_gateway.shipments import history, verify
from coldtrail_gateway.store.archive import Archived
from coldtrail_gateway.store.database import StoreError


class ReadoutError(GatewayError):
    """A file that is no read-out, or has nothing to export."""


@dataclass(frozen=True)
class Readout:
    """What a tracker's log had: its sealed blocks, each once."""

    tracker: str
    blocks: tuple[bytes, ...]


def load(path: Path) -> Readout:
    """Read a file; what a broken transfer has left of its last block is passed over.

    Raises:
        ReadoutError, BundleError: it is none.
    """
    if zipfile.is_zipfile(path):
        evidence = bundle.read(path)
        return Readout(evidence.tracker, evidence.blocks)
    try:
        stream = io.BytesIO(path.read_bytes())
    except OSError as error:
        raise ReadoutError(f"{path} cannot be read ({error.strerror}).") from error
    head, *items = _items(stream)
    if not isinstance(head, dict) or head.get("coldtrail") != "readout/1":
        raise ReadoutError(f"{path} is no read-out of a log: make one with coldtrail console.")
    tracker = head.get("tracker")
    if not isinstance(tracker, str) or not TRACKER_ID.fullmatch(tracker):
        raise ReadoutError(f"{path} names no tracker: read the log out again.")
    blocks: dict[bytes, None] = {}
    for item in items:
        match item:
            case [int(), bytes(sealed)] if len(sealed) <= MAX_SIZE:
                blocks[sealed] = None
            case _:
                raise ReadoutError(f"{path} has an item that is no block: read it out again.")
    return Readout(tracker, tuple(blocks))


def _items(stream: io.BytesIO) -> Sequence[Any]:
    items: list[Any] = []
    while True:
        try:
            items.append(cbor2.load(stream))
        except (cbor2.CBORDecodeError, ValueError):
            return items or [None]


def entries(readout: Readout, keys: Mapping[int, bytes], now_ms: int = 0) -> list[Entry]:
    """Open every block as the archive does; ``keys``: uplink keys by version, where known."""
    opened = []
    for number, sealed in enumerate(readout.blocks, 1):
        digest = hashlib.sha256(sealed).digest()
        row = Archived(number, sealed, digest, 0, now_ms, None, None, 0, None)
        opened.append(archive.reopen(row, readout.tracker, keys, filed=False))
    return opened


def _newest(opened: Sequence[Entry]) -> str | None:
    """Return the shipment named by the last block that names one."""
    named = [e.block for e in opened if e.block is not None and e.block.shipment is not None]
    return named[-1].shipment if named else None


def _keys(db: str | None, tracker: str) -> Mapping[int, bytes]:
    try:
        store = open_store(db)
    except StoreError as error:
        echo(f"Warning: no key to verify with: {error}", err=True)
        return {}
    with store, store.read() as tables:
        pairs = tables.registry.keys([tracker]).get(tracker, {})
    if not pairs:
        click.echo(
            f"Warning: no key to verify with: tracker {tracker} is not registered here.", err=True
        )
    return {version: pair.uplink for version, pair in pairs.items()}


@performs("blocks.verify")
@click.command("verify-file")
@click.argument("file", type=FILE)
@database
@click.option(
    "--shipment",
    metavar="ID",
    help="Which shipment, when FILE has several.  [default: the newest]",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the samples to this file, as CSV.",
)
@click.pass_context
def command(
    context: click.Context, file: Path, db: str | None, shipment: str | None, output: Path | None
) -> None:
    """Verify the blocks in FILE and write their samples as CSV.

    FILE is the log that 'coldtrail console --export' has read out, or a file that 'coldtrail
    gateway export --format blocks' has written.

    The samples go to the file that -o names, or into a pipe; a terminal shows the result alone.
    Nothing is archived. Blocks whose key is not registered here are written too, as unverified.
    Exit code 1 when not everything verifies.
    """
    readout = load(file)
    opened = entries(readout, _keys(db, readout.tracker))
    shipment = shipment or _newest(opened)
    if shipment is None:
        raise ReadoutError(f"No block in {file} belongs to a shipment: there is nothing to write.")
    told = history.assemble(opened, readout.tracker, shipment)
    if not told.blocks:
        named = {e.block.shipment for e in opened if e.block and e.block.shipment}
        raise ReadoutError(
            f"No block in {file} is of shipment {shipment}: it has {', '.join(sorted(named))}."
        )
    piped = output is None and not sys.stdout.isatty()
    if output is not None:
        tabular.write(output, tabular.to_csv(told))
    elif piped:
        click.echo(tabular.to_csv(told), nl=False)
    outcome = verify.report(told)
    for line in outcome.lines:
        echo(line, err=piped)
    if output is None and not piped:
        echo(f"The {len(told.samples)} samples are not shown: -o FILE writes them as CSV.")
    if not outcome.good:
        context.exit(1)
