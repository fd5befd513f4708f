"""``coldtrail gateway judge`` and ``rebuild``: the process that keeps the read model."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from coldtrail_gateway.audit.daily import Daily
from coldtrail_gateway.cli.access import performs
from coldtrail_gateway.cli.anchoring import (
    anchors_beside,
    anchors_option,
    key_beside,
    key_option,
    tsa_option,
)
from coldtrail_gateway.cli.logs import to_stderr
from coldtrail_gateway.cli.options import database, echo, open_store, open_tower
from coldtrail_gateway.clock import SystemClock
from coldtrail_gateway.ingest.stopping import on_signals
from coldtrail_gateway.readings import keeper
from coldtrail_gateway.readings import rebuild as rebuilds
from coldtrail_gateway.readings.keeper import Duty
from coldtrail_gateway.shipments.signed import Signed
from coldtrail_gateway.store.database import Store
from coldtrail_gateway.store.feed import Behind
from coldtrail_gateway.store.tower.database import Tower

_PATIENCE_S: Final = 10.0
_ANCHOR_S: Final = 600.0
"""How often it is asked whether another day has begun."""
_SIGNED_S: Final = 10.0
"""How often it is asked whether a signed shipment has changed."""


@performs("installation.judge")
@click.command(short_help="Keep what status, export and alarms are made from.")
@anchors_option
@key_option
@tsa_option
@database
def judge(folder: Path | None, key_file: Path | None, tsa: str | None, db: str | None) -> None:
    """Keep the read model of the archive up to date, until SIGTERM or Ctrl-C.

    One judge at a time; it may be ended at any moment, and goes on where it was. Each day (UTC) it
    makes an anchor, as 'coldtrail gateway audit anchor' does, and it notes in the audit trail
    which signatures later data have superseded.
    """
    to_stderr()
    now_ms = SystemClock().now_ms
    with on_signals() as stopping, open_store(db) as store, open_tower(db, create=True) as tower:

        def interrupt() -> None:
            store.interrupt()
            tower.interrupt()

        stopping.interrupt = interrupt
        anchoring = Daily(
            store, tower, folder or anchors_beside(db), key_file or key_beside(db), tsa, now_ms
        )
        duties = [
            Duty(_ANCHOR_S, anchoring.make_if_due),
            Duty(_SIGNED_S, Signed(store, tower, now_ms).review),
        ]
        keeper.keep(store, tower, stopping, duties)


@performs("installation.rebuild")
@click.command(short_help="Make the read model anew, and compare it with the old one.")
@database
@click.pass_context
def rebuild(context: click.Context, db: str | None) -> None:
    """Read the whole archive again, and compare what comes of it with the read model.

    Exit code 0 when the two are equal. Where they are not, it names what differs, the new read
    model takes the place of the old one, and the exit code is 1. No judge may run meanwhile.
    """
    with open_store(db) as store, open_tower(db, create=True) as tower:
        made = rebuilds.rebuild(store, tower)
    if not made.differences:
        echo(f"equal: blocks read anew: {made.blocks}; the read model that was here says the same")
        return
    for difference in made.differences:
        echo(difference)
    echo(f"exchanged: blocks read anew: {made.blocks}; the read model is now what comes of them")
    context.exit(1)


def up_to_date(store: Store, tower: Tower) -> Behind:
    """Bring the read model up to date before a question is answered, and warn where it is not."""
    behind = keeper.catch_up(store, tower, _PATIENCE_S)
    if said := keeper.sentence(behind):
        echo(
            f"Warning: what follows is {said}. Let coldtrail gateway judge keep it up to date.",
            err=True,
        )
    return behind
