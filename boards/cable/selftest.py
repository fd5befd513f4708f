"""Sets a tracker's clock and has it test itself, over its cable.

The tracker makes the checks (firmware/coldtrail/selftest/run.py) and answers a JSON object a line.
"""

from __future__ import annotations

import functools
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
"""The longest check: a session that climbs its ladder without getting through."""


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
        self.said: dict[str, Any] = {}
        """The last object that says neither that it was all nor what is wrong."""

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
                    self.said = fields
                    check = Check.parse(fields)
                    self.checks.append(check)
                    self._found(check)
            except (ValueError, KeyError, TypeError):
                continue


def selftest(
    port: str, baud: int, *, gnss: bool, found: Callable[[Check], object],
    code: Callable[[], str | None], waits: Callable[[], object], clock_set: Callable[[], object],
) -> list[Check]:  # fmt: skip
    """Have the tracker at a port test itself; ``found`` is handed each check as it comes.

    A tracker without a clock is given this machine's time first, so that it keeps planned flights
    silent also where no network tells it the time; ``clock_set`` is called when that is done.
    ``code`` is asked, once, for the console's code, which a tracker in transit wants; ``waits`` is
    called when the tracker is busy with a call, whose end is then waited for.

    Raises:
        BoardError: nobody answers, the tracker refuses, or it breaks off.
    """
    answer = Answer(found)
    code = functools.cache(code)

    with Cable(port, baud) as cable:
        cable.greet(waits)
        session = Session(cable, answer.take)
        try:
            _set_clock(session, answer, code, waits, clock_set)
            line = "selftest gnss --json" if gnss else "selftest --json"
            if not answer.error:
                session.obey(line, code)
            _wait(answer, waits, lambda: session.obey(line, code))
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


def _set_clock(
    session: Session, answer: Answer, code: Callable[[], str | None],
    waits: Callable[[], object], clock_set: Callable[[], object],
) -> None:  # fmt: skip
    """Give a tracker without a clock this machine's time; a call may bring it a better one."""

    def look() -> None:
        answer.said = {}
        session.obey("time --json", code)
        if answer.said.get("utc", "") is None and session.obey("time set --json", code):
            clock_set()

    look()
    _wait(answer, waits, look)


def _wait(answer: Answer, waits: Callable[[], object], again: Callable[[], object]) -> None:
    """Repeat what a tracker has refused because of a call, until that has ended."""
    if answer.error.startswith(_CALLING):
        waits()
    end = time.monotonic() + _CALL_S
    while answer.error.startswith(_CALLING) and time.monotonic() < end:
        time.sleep(_AGAIN_S)
        answer.error = ""
        again()
