"""Runs a tracker's self-test over its cable.

The tracker makes the checks (firmware/coldtrail/selftest/run.py) and reports each as a JSON object
on its own line.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from coldtrail_boards.cable.line import GREETING, Cable
from coldtrail_boards.cable.session import Session
from coldtrail_boards.errors import BoardError

_CALLING = "a call is under way"
_CALL_S = 600.0
_AGAIN_S = 0.5
_LOOK_S = 0.1
_SILENCE_S = 600.0
"""The longest check: a session that goes through every step of its recovery without success."""


@dataclass(frozen=True)
class Check:
    """The result of one check; `value` is a number if it has a unit."""

    check: str
    ok: bool
    value: float | str
    unit: str
    limit: str

    @classmethod
    def parse(cls, fields: dict[str, Any]) -> Check:
        """Parse the tracker's object; KeyError, TypeError or ValueError when it is malformed."""
        value, unit = str(fields["value"]), str(fields["unit"])
        measured = json.loads(value) if unit else value
        ok = fields["ok"] is True
        return cls(str(fields["check"]), ok, measured, unit, str(fields["limit"]))

    def __str__(self) -> str:
        """Return the result as one line of text."""
        measured = f"{self.value:g} {self.unit}" if self.unit else self.value
        return f"{'ok' if self.ok else 'FAILED':<6} {self.check:<17} {measured} ({self.limit})"


class Answer:
    """Parses the output of the tracker piece by piece and passes on each check."""

    def __init__(self, found: Callable[[Check], object]) -> None:
        self._found = found
        self._rest = ""
        self.heard = time.monotonic()
        self.complete = False
        self.ended = False
        """No more output follows: the answer is complete, or the console has returned."""
        self.error = ""
        self.checks: list[Check] = []

    def take(self, text: str) -> None:
        """Parse a piece of output; lines that are not part of the answer are skipped."""
        *lines, self._rest = (self._rest + text).split("\n")
        self.heard = time.monotonic()
        for line in lines:
            self.ended = self.ended or GREETING.search(line.encode()) is not None
            try:
                # A question, such as the one for the code, may precede the object on the same
                # line.
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
    code: Callable[[], str | None], waits: Callable[[], object],
) -> list[Check]:  # fmt: skip
    """Run the self-test of the tracker at a port; ``found`` is called with each check.

    ``code`` is called for the console's code, which a tracker in transit asks for. ``waits`` is
    called when the tracker is busy with a call; the self-test then waits for its end.

    Raises:
        BoardError: no tracker answers, it refuses, or it stops before the end.
    """
    answer = Answer(found)
    line = "selftest gnss --json" if gnss else "selftest --json"

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
            # The tracker has no console during the self-test, and starts a new one afterwards.
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
