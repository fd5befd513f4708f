"""The console on the port's standard input and output: one command on each line.

A person at a terminal gets echo, a prompt and the usual keys (backspace, Ctrl-U, Ctrl-C). A
program first sends Ctrl-A. The console then sends neither echo nor prompt: each answer ends with
EOT, preceded by NAK when the command failed, and each question ends with ENQ. Ctrl-B returns to
terminal mode.

The module of a command is imported when the command is typed, and unloaded afterwards.
"""

import asyncio
import hashlib
import json
import select
import sys

from micropython import const

from coldtrail import VERSION
from coldtrail.decimal import decimal
from memory import forget

_LINE = const(160)
_CHUNK = const(128)  # the size of the ESP32's UART buffer
_TURN = const(32)  # bytes typed after which other tasks run
_ASK_S = const(60)
_WRONG_MS = const(3_000)

_CTRL_A = const(1)
_CTRL_B = const(2)
_CTRL_C = const(3)
_CTRL_D = const(4)
_CTRL_U = const(21)
_BACKSPACE = const(8)
_DELETE = const(127)
_ESCAPE = const(27)
_ENQ, _EOT, _NAK = "\x05", "\x04", "\x15"

_MODULES = (
    ("shown", "status alarms profile config time power version"),
    ("help", "help"),
    ("log", "log"),
    ("sensors", "sensors calibrate"),
    ("radio", "modem at gnss"),
    ("act", "shipment reboot selftest repl"),
)
# Commands that take no arguments.
_PLAIN = "status alarms profile config time power version sensors reboot repl"


class Console:
    """The session of one terminal. ``on_air``: the current command uses the modem."""

    def __init__(self, session):
        """Serve the terminal at the cable; ``session`` as in cable_session.py."""
        self.session = session
        self.port = session.port
        self.recorder = session.recorder
        self.state = session.recorder.state
        self.json = False
        self.on_air = False
        self._stdin = sys.stdin.buffer
        self._reader = asyncio.StreamReader(self._stdin)
        self._more = select.poll()
        self._more.register(self._stdin, select.POLLIN)
        self._read = 0  # bytes since other tasks last ran
        self._line = bytearray()
        self._overlong = False
        self._last = 0
        self._escape = 0
        self._machine = False
        self._hidden = False
        self._asked: "asyncio.Event | None" = None
        self._answer = ""
        self._task: "asyncio.Task | None" = None
        self._object: list = []

    # ---- input ----

    async def run(self):
        """Read lines and execute them, without end."""
        print("\ncoldtrail %s, tracker %s: type help" % (VERSION, self.recorder.identity.tracker))
        self._prompt()
        while True:
            byte = await self._next()
            if byte == _CTRL_C:
                self._line = bytearray()
                self._overlong = False
                if self._task is None:
                    self._echo("\n")
                    self._prompt()
                await self.stop()
            elif byte == _CTRL_D and self._asked is not None and not self._line:
                self._answer = "\x04"
                self._asked.set()
            elif byte in (_CTRL_A, _CTRL_B) and not self._line:
                self._machine = byte == _CTRL_A
                self._overlong = False
            elif self._edit(byte):
                await self._take()

    async def stop(self):
        """Cancel the current command and wait until it has ended."""
        task = self._task
        if task is not None:
            task.cancel()
            try:
                await task
            except asyncio.CancelledError:
                pass  # it was cancelled before it could report that itself
            self._task = None

    async def _next(self):
        """Return the next byte typed."""
        self._read += 1
        if self._read >= _TURN:
            self._read = 0
            await asyncio.sleep_ms(0)
        if self._more.poll(0):
            return self._stdin.read(1)[0]
        self._read = 0
        while True:
            byte = await self._reader.read(1)
            if byte:
                return byte[0]
            await asyncio.sleep_ms(_WRONG_MS)  # a port without input

    def _edit(self, byte):
        """Add a byte to the line; return whether the byte ends the line."""
        last, self._last = self._last, byte
        if byte == 10 and last == 13:
            return False
        if byte in (10, 13):
            return True
        if self._escape or byte == _ESCAPE:
            # Keys that send ESC [ ... letter, or ESC and one character, are ignored.
            after = {0: 1, 1: 2 if byte in b"[O" else 0, 2: 0 if 64 <= byte < 127 else 2}
            self._escape = after[self._escape]
        elif byte in (_BACKSPACE, _DELETE):
            if self._line:
                self._line = self._line[:-1]
                self._echo("\b \b")
        elif byte == _CTRL_U:
            self._echo("\b \b" * len(self._line))
            self._line = bytearray()
        elif 32 <= byte < 127:
            if len(self._line) < _LINE:
                self._line.append(byte)
                self._echo(chr(byte))
            else:
                self._overlong = True
        return False

    def _echo(self, text):
        if not self._machine and (text == "\n" or not self._hidden):
            sys.stdout.write(text)

    def _prompt(self):
        if not self._machine:
            sys.stdout.write("> ")

    async def _take(self):
        """Use the line as the answer to a question, or start it as a command."""
        self._echo("\n")
        line, self._line = self._line.decode(), bytearray()
        overlong, self._overlong = self._overlong, False
        if self._asked is not None:
            self._answer = "" if overlong else line
            self._asked.set()
            return
        if self._task is not None:
            # Only one command runs at a time; further input waits in the port's buffer.
            try:
                await self._task
            except asyncio.CancelledError:
                pass
        self._task = asyncio.create_task(self._execute(line, overlong))

    # ---- commands ----

    async def _execute(self, line, overlong):
        words = line.split()
        self.json = "--json" in words
        if self.json and words[0] != "at":
            words = [word for word in words if word != "--json"]
        name = words[0] if words else ""
        self._object = []
        module, reason = "", ""
        try:
            if overlong:
                raise ValueError("a line has at most %d characters" % _LINE)
            if name:
                if len(words) > 1 and name in _PLAIN.split():
                    raise ValueError("nothing goes behind '%s'" % name)
                module = self._module(name)
                source = __import__("coldtrail.console." + module, None, None, ("*",))
                do = getattr(source, "do_" + name)
                await (do(self) if name in _PLAIN.split() else do(self, words[1:]))
        except asyncio.CancelledError:
            reason = "stopped"
        except MemoryError:
            reason = "no memory left for it: a fresh console comes, try again there"
            self.session.tired = not self.session.calling
        except (OSError, ValueError) as error:
            reason = "%s" % (error if error.args else type(error).__name__)
        except Exception as error:  # a faulty command must not end the console
            sys.print_exception(error)
            reason = type(error).__name__
        source = do = None
        self.on_air = False
        self._asked = None
        self._hidden = False
        self.end_row()
        if reason:
            print('{"error": %s}' % json.dumps(reason) if self.json else "error: " + reason)
        if module:
            forget("coldtrail.console", module)
        self.end_answer(reason)
        self._prompt()
        self._task = None

    def _module(self, name):
        for module, names in _MODULES:
            if name in names.split():
                return module
        raise ValueError("there is no command '%s': type help" % name)

    async def ask(self, question, hidden=False, limit_s=_ASK_S):
        """Return the line typed in answer, without echo if ``hidden``.

        Ctrl-D on an empty line is returned as a character. Raises ValueError after ``limit_s``.
        """
        self._asked = asyncio.Event()
        self._hidden = hidden
        sys.stdout.write(question + (_ENQ if self._machine else ""))
        try:
            await asyncio.wait_for_ms(self._asked.wait(), limit_s * 1000)
        except asyncio.TimeoutError:
            raise ValueError("no answer within %d s" % limit_s)
        finally:
            self._asked = None
            self._hidden = False
        return self._answer

    async def allow(self):
        """Ask for the code if one is provisioned and a shipment is active. Raises ValueError."""
        code = self.recorder.identity.code
        if code is None or self.state.shipment is None:
            return
        given = hashlib.sha256((await self.ask("code: ", True)).encode()).digest()
        difference = 0
        # Compare every byte, so that the time does not depend on where the two differ.
        for a, b in zip(given, hashlib.sha256(code.encode()).digest()):
            difference |= a ^ b
        if difference:
            await asyncio.sleep_ms(_WRONG_MS)
            raise ValueError("wrong code; nothing is changed")

    # ---- output ----

    def put(self, name, value, unit="", places=0):
        """Add a value to the answer; an integer is in units of 10 ** -``places``."""
        if self.json:
            text = json.dumps(value) if value is None or not places else decimal(value, places)
            self._object.append('"%s": %s' % (name, text))
        else:
            if unit and "_" in name:
                name = name[: name.rfind("_")]
            self._object.append("%-14s %s" % (name.replace("_", " "), _words(value, unit, places)))

    def end_answer(self, failed):
        """Mark the end of the answer for a program."""
        if self._machine:
            sys.stdout.write((_NAK if failed else "") + _EOT)

    def end_row(self):
        """Write the values collected by ``put``: one JSON object, or one line for each value."""
        if self._object:
            text = "{" + ", ".join(self._object) + "}" if self.json else "\n".join(self._object)
            self._object = []
            print(text)

    async def row(self, text, *pairs):
        """Write one line of a list: ``text``, or with JSON the (name, value[, places]) pairs."""
        if self.json:
            for pair in pairs:
                self.put(pair[0], pair[1], "", pair[2] if len(pair) > 2 else 0)
            self.end_row()
        else:
            print(text)
        # One line leaves the port within a few ms. Then let other tasks run.
        await asyncio.sleep_ms(0)

    async def send(self, data):
        """Write bytes without translating line ends; other tasks run between pieces."""
        view = memoryview(data)
        for start in range(0, len(data), _CHUNK):
            sys.stdout.buffer.write(view[start : start + _CHUNK])
            await asyncio.sleep_ms(0)


def _words(value, unit, places):
    if value is None:
        return "-"
    if value is True or value is False:
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join([str(item) for item in value]) or "none"
    text = decimal(value, places) if places else str(value)
    return text + " " + unit if unit else text
