"""The AT interface: it turns bytes into commands, and answers into bytes.

Sources: ITU-T V.250 (command lines, concatenation, formats of results), as far as the BG96 AT
Commands Manual V2.2 (chapters 1.2 to 2.23, 12.5) follows it.
"""

from __future__ import annotations

import enum
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from coldtrail_simulator.clock import US_PER_MS, Handle
from coldtrail_simulator.journal import Journal

MAX_LINE = 1024
CR, LF, CTRL_Z, ESC = 13, 10, 0x1A, 0x1B
SHORT_MS = (5, 30)
"""A command that needs no network takes this long; the manual's limit is 300 ms."""

# The texts are those of 12.5, Summary of CME ERROR Codes, and of chapter 4 in the FILE and GNSS AT
# Commands Manuals.
CME_TEXTS = {
    3: "Operation not allowed",
    4: "Operation not supported",
    10: "SIM not inserted",
    11: "SIM PIN required",
    13: "SIM failure",
    14: "SIM busy",
    16: "Incorrect password",
    30: "No network service",
    50: "Incorrect parameters",
    405: "File not found",
    407: "File already existed",
    421: "Time out",
    501: "Invalid parameter",
    504: "Session is ongoing",
    505: "Session not active",
    516: "Not fixed now",
}


class AtError(Exception):
    """The command fails with ERROR, or with +CME ERROR when there is a ``code``."""

    def __init__(self, code: int | None = None) -> None:
        super().__init__(code)
        self.code = code


class Form(enum.Enum):
    """The form in which a command is given (chapter 1.2)."""

    EXECUTE = ""
    WRITE = "="
    READ = "?"
    TEST = "=?"


class Quoted(str):
    """An argument that was written in quotes."""

    __slots__ = ()


class Args:
    """The arguments of a write command; an argument that does not fit raises AtError."""

    _ITEM = r'\s*(?:"[^"]*"|[^",]*)'
    _ALL = re.compile(rf"{_ITEM}(?:,{_ITEM})*")
    _COMMA = re.compile(r',(?=(?:[^"]*"[^"]*")*[^"]*$)')

    def __init__(self, text: str) -> None:
        if not self._ALL.fullmatch(text):
            raise AtError
        items = [item.strip() for item in self._COMMA.split(text)] if text else []
        self.items = [Quoted(item[1:-1]) if item[:1] == '"' else item for item in items]

    def __len__(self) -> int:
        return len(self.items)

    def number(self, at: int, low: int, high: int, default: int | None = None) -> int:
        """Return the number at place ``at``; ``default``, if given, when it is omitted."""
        item = self.items[at] if at < len(self.items) else ""
        if item == "" and default is not None:
            return default
        if isinstance(item, Quoted) or not item.isdecimal() or not low <= int(item) <= high:
            raise AtError
        return int(item)

    def text(self, at: int, default: str | None = None) -> str:
        """Return the quoted string at place ``at``."""
        item = self.items[at] if at < len(self.items) else None
        if item is None and default is not None:
            return default
        if not isinstance(item, Quoted):
            raise AtError
        return str(item)


@dataclass(frozen=True)
class Answer:
    """What a command ends with: lines of information, and its final result code."""

    lines: tuple[str | bytes, ...] = ()
    final: str = "OK"
    then: Callable[[], object] | None = None
    """Called when the whole command line has been answered."""


@dataclass(frozen=True)
class Later:
    """A command that takes ``us``; then ``finish`` returns its answer or raises AtError."""

    us: int
    finish: Callable[[], Answer]


@dataclass(frozen=True)
class Prompt:
    """A command that data follow: ``length`` bytes, or all bytes before Ctrl+Z when None."""

    length: int | None
    take: Callable[[bytes | None], Later | Answer]
    """Called with the data, or with None when the host has cancelled by Esc."""
    opening: bytes = b"\r\n> "
    idle_us: int = 0
    """After this time without data, what has arrived is taken; with 0 the wait never ends."""


Result = Answer | Later | Prompt
Command = Callable[[Form, Args], Result]


def answer(*lines: str | bytes, then: Callable[[], object] | None = None) -> Answer:
    """Return an answer that ends with OK."""
    return Answer(lines, then=then)


def _split(line: str) -> list[str]:
    """Split the body of a command line into commands (V.250, 5.2.1 to 5.3)."""
    found, rest = [], line.strip()
    while rest:
        if rest[0] in "+$%":
            head = re.match(r'(?:[^";]|"[^"]*"?)*', rest)
            command = head.group() if head else rest
            rest = rest[len(command) :].removeprefix(";").strip()
        else:
            basic = re.match(r"&?[A-Za-z]\d*", rest)
            command = basic.group() if basic else rest
            rest = rest[len(command) :].strip().removeprefix(";").strip()
        found.append(command)
    return found


def _parse(command: str) -> tuple[str, Form, Args]:
    match = re.fullmatch(r"(\+[A-Za-z]+) *(=\?|\?|=(.*))?", command.strip(), re.DOTALL)
    if match:
        name, mark, text = match.groups()
        form = Form(mark[:1] if text is not None else mark or "")
        return name.upper(), form, Args(text or "")
    basic = re.fullmatch(r"(&?[A-Za-z])(\d*)", command)
    if not basic:
        raise AtError
    return basic[1].upper(), Form.EXECUTE, Args(basic[2])


class Disturbance(Protocol):
    """A fault at the port."""

    def begin(self, exchange: int) -> int | None:
        """Return by how many microseconds a new command is delayed; None for an ERROR."""

    def spoil(self, kind: str, data: bytes) -> bytes:
        """Return the bytes that reach the host when the module sends ``data``."""


class AtPort:
    """The module's end of the UART.

    The port executes one command at a time. What arrives meanwhile waits, because the manual says
    that "other AT commands cannot be executed". Every echo, prompt, answer and unsolicited code
    leaves through ``emit``, each as one piece.
    """

    def __init__(
        self,
        rng: random.Random,
        journal: Journal,
        after: Callable[[int, Callable[[], object]], Handle],
        send: Callable[[bytes], object],
        commands: Mapping[str, Command],
    ) -> None:
        self._rng = rng
        self._journal = journal
        self._after = after
        self._send = send
        self._commands = commands
        self.reports = True
        """Whether unsolicited codes are sent to this port."""
        self.exchanges = 0
        """The number of command lines received in the run."""
        self.disturbance: Disturbance | None = None
        self.reset()

    def reset(self) -> None:
        """Return to the state after power-on."""
        self.echo = True
        self.cmee = 0
        self.data_echo = True
        self._input = bytearray()
        self._line = bytearray()
        self._held: list[bytes] = []
        self._prompt: Prompt | None = None
        self._data = bytearray()
        self._then: list[Callable[[], object]] = []
        self._busy = False
        self._idle: Handle | None = None

    # --- out

    def emit(self, kind: str, data: bytes) -> None:
        """Send one piece: an ``echo``, ``prompt``, ``answer`` or ``urc``."""
        if self.disturbance:
            data = self.disturbance.spoil(kind, data)
        if data:
            self._send(data)

    def report(self, code: str, data: bytes | None = None) -> None:
        """Send an unsolicited result code, with the data that belongs to it."""
        self._journal.note("urc", code=code)
        if not self.reports:
            return
        piece = _line(code) if data is None else _line(code) + data + b"\r\n"
        if self._prompt:
            self._held.append(piece)  # behind a prompt, only the data of the host may appear
        else:
            self.emit("urc", piece)

    # --- in

    def receive(self, data: bytes) -> None:
        """Take bytes from the host."""
        self._input += data
        self._pump()

    def _pump(self) -> None:
        while self._input and not self._busy:
            if self._prompt:
                self._take_data(self._prompt)
            else:
                self._take_line()

    def _take_line(self) -> None:
        end = self._input.find(CR) + 1
        piece = bytes(self._input[: end or len(self._input)])
        del self._input[: len(piece)]
        if self.echo:
            self.emit("echo", piece)
        self._line += piece
        if not end:
            del self._line[: -2 * MAX_LINE]
            return
        line, self._line = self._line.decode("latin-1").strip("\r\n \x00"), bytearray()
        # A UART that has just been opened can produce noise before "AT", which is skipped.
        start = re.search(r"[Aa][Tt]", line[:8])
        if not start:
            return
        self.exchanges += 1
        self._journal.note("at", exchange=self.exchanges, command=line)
        self._busy = True
        late_us = self.disturbance.begin(self.exchanges) if self.disturbance else 0
        if late_us is None:
            self._fail(AtError())
        elif late_us:
            body = line[start.end() :]
            self._after(late_us, lambda: self._begin(body))
        else:
            self._begin(line[start.end() :])

    def _begin(self, body: str) -> None:
        try:
            if len(body) > MAX_LINE:
                raise AtError
            self._run(_split(body))
        except AtError as error:
            self._fail(error)

    def _run(self, commands: list[str]) -> None:
        if not commands:
            self._finish(answer())
            return
        command, *rest = commands
        name, form, args = _parse(command)
        handler = self._commands.get(name)
        if handler is None:
            raise AtError
        result = handler(form, args)
        if isinstance(result, Prompt):
            self._wait_short(lambda: self._ask(result))
        else:
            self._conclude(result, rest)

    def _conclude(self, result: Later | Answer, rest: list[str]) -> None:
        if isinstance(result, Answer):
            done = result
            self._wait_short(lambda: self._finish(done, rest))
        else:
            later = result
            self._after(later.us, lambda: self._attempt(later.finish, rest))

    def _attempt(self, finish: Callable[[], Answer], rest: list[str]) -> None:
        try:
            self._finish(finish(), rest)
        except AtError as error:
            self._fail(error, soon=False)

    def _wait_short(self, fn: Callable[[], object]) -> None:
        self._after(self._rng.randint(*SHORT_MS) * US_PER_MS, fn)

    def _finish(self, result: Answer, rest: list[str] | None = None) -> None:
        piece = b""
        if result.lines:
            lines = [each.encode() if isinstance(each, str) else each for each in result.lines]
            piece = b"\r\n" + b"\r\n".join(lines) + b"\r\n"
        if result.then:
            self._then.append(result.then)
        if rest and result.final == "OK":
            if piece:
                self.emit("answer", piece)
            try:
                self._run(rest)
            except AtError as error:
                self._fail(error)
            return
        self._end(piece + _line(result.final))

    def _fail(self, error: AtError, *, soon: bool = True) -> None:
        code = error.code
        if code is None or not self.cmee:
            text = "ERROR"
        else:
            text = f"+CME ERROR: {code if self.cmee == 1 else CME_TEXTS[code]}"
        if soon:
            self._wait_short(lambda: self._end(_line(text)))
        else:
            self._end(_line(text))

    def _end(self, piece: bytes) -> None:
        self.emit("answer", piece)
        self._busy = False
        then, self._then = self._then, []
        for each in then:
            each()
        self._pump()

    # --- data behind a prompt

    def _ask(self, prompt: Prompt) -> None:
        self.emit("prompt", prompt.opening)
        self._prompt = prompt
        self._busy = False
        self._wait_for_data(prompt)
        self._pump()

    def _wait_for_data(self, prompt: Prompt) -> None:
        if self._idle:
            self._idle.cancel()
            self._idle = None
        if prompt.idle_us and self._prompt is prompt:
            self._idle = self._after(prompt.idle_us, lambda: self._taken(prompt))

    def _take_data(self, prompt: Prompt) -> None:
        if prompt.length is None:
            marks = [i for i, byte in enumerate(self._input) if byte in (CTRL_Z, ESC)]
            size = marks[0] + 1 if marks else len(self._input)
            complete = bool(marks)
        else:
            size = prompt.length - len(self._data)
            complete = len(self._input) >= size
        piece = bytes(self._input[:size])
        del self._input[:size]
        if self.echo and self.data_echo:
            self.emit("echo", piece)
        self._data += piece
        if complete:
            self._taken(prompt)
        else:
            self._wait_for_data(prompt)

    def _taken(self, prompt: Prompt) -> None:
        data: bytes | None = bytes(self._data)
        if prompt.length is None and data:
            data = data[:-1] if data[-1] == CTRL_Z else None
        self._data.clear()
        self._prompt = None
        self._wait_for_data(prompt)
        self._busy = True
        for held in self._held:
            self.emit("urc", held)
        self._held.clear()
        try:
            self._conclude(prompt.take(data), [])
        except AtError as error:
            self._fail(error)


def _line(text: str) -> bytes:
    return b"\r\n" + text.encode() + b"\r\n"
