"""`coldtrail selftest`: has a tracker test itself, over its cable, and says whether it may travel.

The tracker makes the checks (firmware/coldtrail/selftest/run.py) and answers a JSON object a line.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from coldtrail_boards.cable.console import Session
from coldtrail_boards.cable.line import BAUD, GREETING, Cable
from coldtrail_boards.errors import BoardError
from coldtrail_boards.printable import printable

_CALLING = "a call is under way"
_CALL_S = 600.0
_AGAIN_S = 0.5
_LOOK_S = 0.1
_SILENCE_S = 600.0
"""The longest check: a session that climbs its ladder without getting through."""
_BEFORE_BUTTON = "flash write"
_ASK = "… now press the button: green and red take turns"


@dataclass(frozen=True)
class Check:
    """What the tracker says of one part; `value` is a number where it has a unit."""

    check: str
    ok: bool
    value: float | str
    unit: str
    limit: str

    @classmethod
    def parse(cls, fields: dict[str, Any]) -> Check:
        """Take the tracker's object; KeyError, TypeError or ValueError when it is none."""
        value, unit = str(fields["value"]), str(fields["unit"])
        measured = json.loads(value) if unit else value
        ok = fields["ok"] is True
        return cls(str(fields["check"]), ok, measured, unit, str(fields["limit"]))

    def __str__(self) -> str:
        """Return a line for people."""
        measured = f"{self.value:g} {self.unit}" if self.unit else self.value
        return f"{'ok' if self.ok else 'FAILED':<6} {self.check:<17} {measured} ({self.limit})"


class Answer:
    """Takes what the tracker prints, a piece at a time, and hands on each check."""

    def __init__(self, found: Callable[[Check], object]) -> None:
        self._found = found
        self._rest = ""
        self.heard = time.monotonic()
        self.complete = False
        self.ended = False
        """Nothing more is to come: it is complete, or the console is there again."""
        self.error = ""
        self.checks: list[Check] = []

    def take(self, text: str) -> None:
        """Take a piece; what is none of the answer's lines is the tracker talking to itself."""
        *lines, self._rest = (self._rest + text).split("\n")
        self.heard = time.monotonic()
        for line in lines:
            self.ended = self.ended or GREETING.search(line.encode()) is not None
            try:
                # A question, such as that for the code, stands before it.
                fields = json.loads(line[line.find("{") :])
                if "failed_checks" in fields:
                    self.complete = self.ended = True
                elif "error" in fields:
                    self.error = str(fields["error"])
                else:
                    check = Check.parse(fields)
                    self.checks.append(check)
                    self._found(check)
            except (ValueError, KeyError, TypeError):
                continue


def selftest(
    port: str, baud: int, *, gnss: bool, found: Callable[[Check], object],
    code: Callable[[], str | None],
) -> list[Check]:  # fmt: skip
    """Have the tracker at a port test itself; ``found`` is handed each check as it comes.

    ``code`` is asked for the console's code, which a tracker in transit wants.

    Raises:
        BoardError: nobody answers, the tracker refuses, or it breaks off.
    """
    answer = Answer(found)
    line = "selftest gnss --json" if gnss else "selftest --json"

    def waits() -> None:
        click.echo("the tracker calls the gateway: waiting for the end of that", err=True)

    with Cable(port, baud) as cable:
        cable.greet(waits)
        session = Session(cable, answer.take)
        try:
            session.obey(line, code)
            if answer.error.startswith(_CALLING):
                waits()
            end = time.monotonic() + _CALL_S
            while answer.error.startswith(_CALLING) and time.monotonic() < end:
                time.sleep(_AGAIN_S)
                answer.error = ""
                session.obey(line, code)
            # It tests itself without its console, and then comes back with a new one.
            while not (answer.error or answer.ended or session.lost):
                if time.monotonic() - answer.heard > _SILENCE_S:
                    break
                time.sleep(_LOOK_S)
        finally:
            session.close()
    if session.lost:
        raise session.lost
    if not answer.complete:
        reason = answer.error or "it broke off"
        raise BoardError(f"The tracker at {port} has not tested itself: {reason}; try again.")
    return answer.checks


@click.command("selftest")
@click.option("--port", required=True, help="Serial port, such as /dev/ttyUSB0.")
@click.option("--gnss", is_flag=True, help="Also look for satellites, up to 2 minutes.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document in the end.")
@click.option("--baud", default=BAUD, show_default=True, help="Speed of the line.")
@click.pass_context
def command(context: click.Context, port: str, gnss: bool, as_json: bool, baud: int) -> None:
    """Have a tracker test itself: a line for each part, with what was measured and its limit.

    It sends a test block and waits for the gateway to confirm it; in the end it asks for a press
    of the button. Exit code 1 when a check fails.
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

    checks = selftest(port, baud, gnss=gnss, found=found, code=code)
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
