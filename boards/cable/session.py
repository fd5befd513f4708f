"""A dialogue with a tracker's console: commands one after the other, and their questions."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator

from coldtrail_boards import printable
from coldtrail_boards.cable.line import ENQ, EOT, GREETING, NAK, Cable
from coldtrail_boards.errors import BoardError

_ANSWER_S = 900.0
_ASK_S = 0.2


class Session:
    """One dialogue. A thread receives the output of the tracker."""

    def __init__(self, cable: Cable, show: Callable[[str], object]) -> None:
        self._cable = cable
        self._show = show
        self._events: queue.Queue[str] = queue.Queue()
        self._tail = b""
        self._ended = False
        self.failed = False
        self.lost: BoardError | OSError | None = None
        """Set when the cable was pulled, or when the output can no longer be shown."""
        self._thread = threading.Thread(target=self._hear, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop receiving."""
        self._ended = True
        self._thread.join()

    def _hear(self) -> None:
        try:
            while not self._ended:
                if data := self._cable.read():
                    self._take(data)
        except (BoardError, OSError) as error:
            self.lost = error
            self._events.put("gone")

    def _take(self, data: bytes) -> None:
        for piece in _pieces(data):
            if piece == EOT:
                self._events.put("end")
            elif piece == NAK:
                self.failed = True
            elif piece == ENQ:
                self._events.put("question")
            else:
                self._say(piece)

    def _say(self, text: bytes) -> None:
        # A carriage return would let the tracker overwrite text that is already shown.
        self._show(printable.lines(text.decode("utf-8", "replace").replace("\r", "")))
        self._tail = (self._tail + text)[-200:]
        if GREETING.search(self._tail):
            self._tail = b""
            # The tracker has restarted and is in terminal mode.
            self._cable.write(b"\x01")
            self._events.put("restart")

    def obey(self, line: str, answer: Callable[[], str | None]) -> bool:
        """Execute one command; return whether it succeeded.

        ``answer`` is called when the tracker asks a question; None stops the command.

        Raises:
            BoardError, OSError: the cable was pulled, or the output cannot be shown.
        """
        self.failed = False
        while not self._events.empty():
            self._events.get()
        self._cable.write(line.encode("ascii", "replace") + b"\r")
        while True:
            try:
                event = self._wait()
            except KeyboardInterrupt:
                self._cable.write(b"\x03")
                continue
            if event == "question":
                said = answer()
                self._cable.write(b"\x03" if said is None else said.encode() + b"\r")
            elif event == "end":
                return not self.failed
            elif event == "restart":
                self._show("(the tracker has started anew: the command is lost)\n")
                return False

    def _wait(self) -> str:
        """Return the next event; short waits let Ctrl-C take effect. Raises BoardError."""
        for _ in range(int(_ANSWER_S / _ASK_S)):
            if self.lost:
                raise self.lost
            try:
                return self._events.get(timeout=_ASK_S)
            except queue.Empty:
                continue
        raise BoardError("The tracker has not answered for a quarter of an hour.")


def _pieces(data: bytes) -> Iterator[bytes]:
    """Split the bytes at EOT, NAK and ENQ, and yield each of them separately."""
    text = bytearray()
    for byte in data:
        one = bytes((byte,))
        if one in (EOT, NAK, ENQ):
            if text:
                yield bytes(text)
                text.clear()
            yield one
        else:
            text.append(byte)
    if text:
        yield bytes(text)
