"""`coldtrail selftest`: runs a tracker's self-test and reports the result."""

from __future__ import annotations

import json

import click

from coldtrail_boards.cable.line import BAUD
from coldtrail_boards.cable.selftest import Check, selftest
from coldtrail_boards.printable import printable

_BEFORE_BUTTON = "flash write"
_ASK = "… now press the button: green and red take turns"


@click.command("selftest", short_help="Run a tracker's self-test.")
@click.option("--port", required=True, help="Serial port, such as /dev/ttyUSB0.")
@click.option("--gnss", is_flag=True, help="Also look for satellites, up to 2 minutes.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document at the end, not lines."
)
@click.option("--baud", default=BAUD, show_default=True, help="Speed of the line.")
@click.pass_context
def command(context: click.Context, port: str, gnss: bool, as_json: bool, baud: int) -> None:
    """Run a tracker's self-test: one line for each part, with the measured value and its limit.

    A tracker without a clock is first given the time of this machine. The tracker sends a test
    block and waits until the gateway confirms it; at the end it asks for a press of the button.
    Exit code 1 when a check fails.
    """

    def found(check: Check) -> None:
        if not as_json:
            click.echo(printable(str(check)))
        if check.check == _BEFORE_BUTTON:
            click.echo(_ASK, err=True)

    def code() -> str | None:
        try:
            return str(click.prompt("code", hide_input=True, err=True))
        except click.Abort:
            return None

    def waits() -> None:
        click.echo("the tracker calls the gateway: waiting for the end of that", err=True)

    def clock_set() -> None:
        click.echo("the tracker had no clock: it has this machine's time", err=True)

    checks = selftest(
        port, baud, gnss=gnss, found=found, code=code, waits=waits, clock_set=clock_set
    )
    failed = [check.check for check in checks if not check.ok]
    if as_json:
        summary = {"passed": not failed, "failed": failed, "checks": [vars(c) for c in checks]}
        click.echo(json.dumps(summary, indent=2))
    elif failed:
        names = printable(", ".join(failed))
        click.echo(f"{len(failed)} of {len(checks)} failed: {names}")
    else:
        click.echo("passed")
    context.exit(1 if failed else 0)
