"""AT command engine: one reader tells answers, unsolicited codes and binary data apart.

Sources: ITU-T V.250, 3GPP TS 27.007 and Quectel's "BG95&BG77&BG600L Series AT Commands Manual"
V2.0. The modules of this driver call the last one the AT manual.

    at = AT(uart, print)          # the UART must not block; unsolicited codes are printed
    at.start()
    signal = await at.command(b"AT+CSQ", b"+CSQ:")
    await at.stop()
"""

import asyncio
import time

from micropython import const

# The AT manual allows 300 ms for a command that does not involve the network. The rest is for what
# this side does meanwhile without yielding: erasing a flash sector takes up to 400 ms.
COMMAND_MS = const(1000)

_LINE = const(192)  # the driver asks for no longer line
_CHUNK = const(256)
_SYNCHRONISE_TRIES = const(3)
_QUIET_MS = const(200)
_WRITE_MS = const(2000)  # 1,500 bytes at 9,600 baud, the slowest rate the modem takes

_NOWHERE = memoryview(bytearray(0))

# The phases of a command; each names what may end it.
_IDLE = const(0)
_RESULT = const(1)  # OK or an error
_PROMPT = const(2)  # "> ", CONNECT or an error
_SENDING = const(3)  # SEND OK, SEND FAIL or an error


class ModemError(OSError):
    """The modem does not do what it was asked for; the message says why."""


class NoAnswer(ModemError):
    """The modem did not answer within the command's limit."""


class CommandError(ModemError):
    """The command ended with another final result code than OK."""

    def __init__(self, command, result):
        """Keep the ``command`` and the ``result`` line that ended it, both bytes."""
        super().__init__(result)
        self.command = command
        self.result = result
        self.code = _code(result)

    def __str__(self):
        """Return command, code and the manual's text."""
        from drivers.bg95 import at_text

        text = "%s: %s" % (str(self.command, "utf-8"), str(self.result, "utf-8"))
        meaning = at_text.meaning(self.code) if self.code is not None else None
        return "%s (%s)" % (text, meaning) if meaning else text


class SendFull(CommandError):
    """SEND FAIL: the modem's send buffer is full. The same data may be sent again later."""


class NoNetwork(ModemError):
    """The SIM card does not answer, or no network was found or accepted it within the limit."""


class ConnectError(ModemError):
    """The connection could not be opened."""

    def __init__(self, code):
        """Keep the result ``code`` of AT+QIOPEN (TCP/IP note, table 3)."""
        super().__init__(code)
        self.code = code

    def __str__(self):
        """Return the code with the manual's text."""
        from drivers.bg95 import at_text

        return "connection not opened: %d (%s)" % (self.code, at_text.meaning(self.code))


def left(deadline):
    """Return the milliseconds until ``deadline``; 0 when it has passed."""
    return max(0, time.ticks_diff(deadline, time.ticks_ms()))


def within(limit_ms, deadline):
    """Return ``limit_ms`` or the time until ``deadline``, whichever is less; at least COMMAND_MS.

    Even an answer that comes at once needs COMMAND_MS. A caller that gave up earlier would take
    that answer for the next command's.
    """
    return max(COMMAND_MS, min(limit_ms, left(deadline)))


def _code(result):
    """Return the number of a +CME or +CMS error; None for any other result."""
    if result.startswith(b"+CM"):
        digits = result[11:].strip()
        if digits.isdigit():
            return int(digits)
    return None


def _is_error(line):
    return line == b"ERROR" or line.startswith(b"+CME ERROR:") or line.startswith(b"+CMS ERROR:")


class AT:
    """Sends one AT command at a time over a UART and passes on unsolicited result codes.

    One task at a time gives commands. Lines are bytes without their line ends. Every wait has a
    limit; nothing received can make a buffer grow.
    """

    def __init__(self, uart, unsolicited):
        """Use ``uart``, whose reads must not block and whose receive buffer should hold 2 KiB.

        ``unsolicited(line)`` is called with every line that belongs to no answer.
        """
        self.uart = uart
        self._unsolicited = unsolicited
        self._stream = asyncio.StreamWriter(uart, {})
        self._task: "asyncio.Task | None" = None
        self._changed = asyncio.Event()
        self._late = False  # an answer that nobody waits for any more may still come
        self.numbered = False  # errors come with their numbers, which a restart of it ends
        self.passed: list = []  # commands that were of no avail and can be done without
        self._chunk = bytearray(_CHUNK)
        self._line = bytearray(_LINE)
        self._length = 0
        self._phase = _IDLE
        self._command = b""
        self._prefix = b""
        self._answer: "bytes | None" = None
        self._result: "bytes | None" = None
        self._into = _NOWHERE  # the buffer for binary data
        self._wanted = 0  # how many binary bytes are still to come

    # ---- receiving ----

    def start(self):
        """Start the task that reads."""
        if self._task is None:
            self._length = self._wanted = 0
            self._late = False
            self._stream = asyncio.StreamWriter(self.uart, {})
            self._task = asyncio.create_task(self._read())

    async def stop(self):
        """Stop the task that reads."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            try:
                await task
            except asyncio.CancelledError:
                pass

    async def _read(self):
        chunk = memoryview(self._chunk)
        while True:
            # In MicroPython one class reads and writes; the type stubs have two.
            count = await self._stream.readinto(chunk)  # type: ignore[attr-defined]
            if count:
                self.feed(chunk[:count])
            else:
                await asyncio.sleep_ms(10)

    def feed(self, data):
        """Take received bytes; a line may be spread over several calls."""
        at = 0
        while at < len(data):
            if self._wanted:
                piece = data[at : at + self._wanted]
                start = len(self._into) - self._wanted
                self._into[start : start + len(piece)] = piece
                self._wanted -= len(piece)
                at += len(piece)
                continue
            byte = data[at]
            at += 1
            if byte == 0x0A:
                self._take_line()
            elif byte == 0x3E and self._phase == _PROMPT and not self._length:
                self._finish(b">")
            elif byte != 0x0D:
                if byte > 0x7F:
                    self._length = _LINE  # only noise has this bit, so the line will be dropped
                elif self._length < _LINE:
                    self._line[self._length] = byte
                self._length += 1

    def _take_line(self):
        size, self._length = self._length, 0
        if size > _LINE:
            return
        line = bytes(memoryview(self._line)[:size]).strip()
        if not line or line == self._command:  # the latter is the modem's echo
            return
        if self._phase == _IDLE:
            self._forward(line)
        elif _is_error(line):
            self._finish(line)
        elif self._phase == _PROMPT and line == b"CONNECT":
            self._finish(b">")
        elif line == b"OK":
            # An OK before the line that the answer must have ends an earlier command that had
            # been given up. While data is sent, only SEND OK says that it was taken.
            if self._phase == _RESULT and (not self._prefix or self._answer is not None):
                self._finish(line)
        elif line == b"SEND OK" or line == b"SEND FAIL":
            if self._phase == _SENDING:
                self._finish(line)
        elif self._prefix and self._answer is None and line.startswith(self._prefix):
            self._answer = line[len(self._prefix) :].strip()
            if len(self._into):
                self._begin_binary(self._answer)
        else:
            self._forward(line)

    def _begin_binary(self, count):
        if count.isdigit() and len(count) < 6 and int(count) <= len(self._into):
            self._wanted = int(count)
            self._into = self._into[: self._wanted]
        else:
            self._finish(b"ERROR")  # more than was asked for: this answers another command

    def _forward(self, line):
        self._unsolicited(line)
        self._changed.set()

    def _finish(self, result):
        self._result = result
        self._phase = _IDLE
        self._changed.set()

    async def until(self, condition, limit_ms):
        """Wait until ``condition()`` is true; return whether it was within the limit."""
        deadline = time.ticks_add(time.ticks_ms(), limit_ms)
        while not condition():
            left = time.ticks_diff(deadline, time.ticks_ms())
            if left <= 0:
                return False
            self._changed.clear()
            try:
                await asyncio.wait_for_ms(self._changed.wait(), left)
            except asyncio.TimeoutError:
                pass
        return True

    # ---- commands ----

    async def command(self, command, prefix=b"", limit_ms=COMMAND_MS, into=_NOWHERE):
        """Send ``command``, wait for its final result, return the answer's line after ``prefix``.

        With ``into`` (a memoryview), that line is the length of the binary data that follows, and
        the data is put into ``into``. Without ``prefix`` the function returns b"".

        Raises CommandError; NoAnswer after ``limit_ms``.
        """
        await self.in_step()
        await self._exchange(command, prefix, limit_ms, _RESULT, into)
        return self._answer or b""

    async def send(self, command, pieces, limit_ms, prefix=b""):
        """Send ``command`` and, when the modem prompts for them, the data of ``pieces``.

        With ``prefix`` the modem answers the data by a line with that prefix, which is returned,
        and by OK. Without it, the modem answers the data by SEND OK.

        Raises SendFull; CommandError; NoAnswer when an answer takes longer than ``limit_ms``.
        """
        await self.in_step()
        await self._exchange(command, b"", limit_ms, _PROMPT, _NOWHERE)
        self._expect(command, prefix, _RESULT if prefix else _SENDING, _NOWHERE)
        for piece in pieces:
            await self._write(piece)
        await self._finished(limit_ms)
        return self._answer

    async def synchronise(self):
        """Wait until no earlier answer is outstanding; return AT+CMEE, b"0" after a reset.

        The modem answers in order. When it has answered AT+CMEE?, it has therefore answered every
        command before it, and no other command has an answer of that form.

        Raises NoAnswer.
        """
        for attempt in range(_SYNCHRONISE_TRIES):
            try:
                await self._exchange(b"AT+CMEE?", b"+CMEE:", COMMAND_MS, _RESULT, _NOWHERE)
            except CommandError:
                # The first two errors may belong to earlier commands. A third one shows a modem
                # that answers and does not know AT+CMEE.
                if attempt < _SYNCHRONISE_TRIES - 1:
                    continue
            except ModemError:
                continue
            if attempt or self._late:
                # Answers to the earlier tries may still be on their way.
                await asyncio.sleep_ms(_QUIET_MS)
            self._late = False
            return self._answer
        raise NoAnswer("the modem does not answer")

    async def in_step(self):
        """Wait until both sides are in step.

        Raises NoAnswer; ModemError where the modem has restarted meanwhile.
        """
        if self._late and await self.synchronise() == b"0" and self.numbered:
            raise ModemError("the modem has restarted")

    def _expect(self, command, prefix, phase, into):
        self._command = command
        self._prefix = prefix
        self._answer = self._result = None
        self._into = into
        self._wanted = 0
        self._phase = phase

    async def _exchange(self, command, prefix, limit_ms, phase, into):
        self._expect(command, prefix, phase, into)
        await self._write(command + b"\r")
        await self._finished(limit_ms)

    async def _write(self, data):
        if self._task is None:
            raise NoAnswer("the modem is off")
        self._stream.write(data)
        try:
            await asyncio.wait_for_ms(self._stream.drain(), _WRITE_MS)
        except asyncio.TimeoutError:
            raise NoAnswer("the modem takes no data")

    async def _finished(self, limit_ms):
        try:
            finished = await self.until(lambda: self._result is not None, limit_ms)
        finally:
            self._phase = _IDLE
            self._wanted = 0
            self._into = _NOWHERE
            self._late = self._result is None
        if not finished:
            raise NoAnswer("%s: no answer within %d ms" % (str(self._command, "utf-8"), limit_ms))
        result = self._result
        if result == b"SEND FAIL":
            raise SendFull(self._command, result)
        if result != b"OK" and result != b">" and result != b"SEND OK":
            raise CommandError(self._command, result)
