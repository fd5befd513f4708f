"""The firmware's standard input and output: the chip's first UART and its cable."""

from __future__ import annotations

import fcntl
import os
import select
import struct
import termios
import time
import tty
from collections import deque
from collections.abc import Callable
from pathlib import Path

from coldtrail_simulator.clock import US_PER_S, Clock, Handle

BAUD = 115_200
BYTE_US = 10 * US_PER_S / BAUD
FIFO = 128
"""Size in bytes of the transmit FIFO (ESP32 TRM, UART); a write waits until the rest fits."""
INPUT_BUFFER = 260
"""Bytes of input that the port stores."""
PIECE = 16
"""Bytes of input that arrive together."""
PATIENCE_S = 0.5
"""Real time in seconds that a terminal has to read the output."""
_SPEED = 5
"""Index of the output speed in the result of tcgetattr."""


class Console:
    """Standard input and output of the firmware.

    The output is written to a file with virtual time stamps, ``log``, and to a terminal if one is
    attached. The interpreter writes into memory that is read at every request, so a time stamp
    depends only on virtual time.

    The terminal is a pseudo-terminal that behaves like a USB bridge without flow control. Unread
    output is lost, and if the terminal is set to another speed, both sides receive noise.
    """

    def __init__(self, clock: Clock, log: Path | None = None) -> None:
        self._clock = clock
        self._log = log.open("w", encoding="utf-8") if log else None
        self._line_start = True
        self.text = ""
        """All output of the firmware."""
        self.stdout_fd = os.memfd_create("console")
        fcntl.fcntl(self.stdout_fd, fcntl.F_SETFL, os.O_APPEND)
        self.printed = 0
        """Bytes printed so far."""
        self._sent_us = 0.0  # when the last byte printed leaves the chip
        self.stdin_fd, self._stdin_end = os.pipe()
        self._arrivals: deque[Handle] = deque()
        self._heard_us = 0.0  # when the last byte typed arrives
        self.on_input: Callable[[], object] = lambda: None
        """Called when new input can be read."""
        self.attached = False
        """Whether a terminal is attached, so that the run follows real time."""
        self._link: Path | None = None
        self._terminal: tuple[int, int] | None = None
        self._unread = False  # no program reads the terminal

    def collect(self) -> int:
        """Take the output since the last call; return the us that the chip waited to send it."""
        data = self.raw(self.printed)
        if not data:
            return 0
        self.printed += len(data)
        now_us = self._clock.now_us
        self._sent_us = max(self._sent_us, now_us) + len(data) * BYTE_US
        self._show(data)
        text = data.decode("utf-8", "replace")
        self.text += text
        if self._log:
            stamp = f"{now_us / US_PER_S:.6f} "
            for line in text.splitlines(keepends=True):
                self._log.write((stamp if self._line_start else "") + line)
                self._line_start = line.endswith("\n")
        return max(0, round(self._sent_us - FIFO * BYTE_US - now_us))

    def raw(self, start: int) -> bytes:
        """Return the output from byte number ``start`` on, unchanged."""
        return os.pread(self.stdout_fd, 1 << 24, start)

    # --- what is typed ---------------------------------------------------------------------

    def type(self, data: bytes) -> None:
        """Schedule the arrival of typed bytes; bytes that do not fit into the port are lost."""
        at_us = max(self._heard_us, self._clock.now_us)
        for start in range(0, len(data), PIECE):
            piece = data[start : start + PIECE]
            at_us += len(piece) * BYTE_US
            self._arrivals.append(
                self._clock.call_at(round(at_us), lambda piece=piece: self._arrive(piece))  # type: ignore[misc]
            )
        self._heard_us = at_us

    def _arrive(self, piece: bytes) -> None:
        self._arrivals.popleft()
        os.write(self._stdin_end, piece[: INPUT_BUFFER - self.waiting])
        self.on_input()

    @property
    def waiting(self) -> int:
        """Number of typed bytes that the firmware has not read."""
        answer = fcntl.ioctl(self.stdin_fd, termios.FIONREAD, b"\0\0\0\0")
        return int(struct.unpack("i", answer)[0])

    def forget_input(self) -> None:
        """Discard unread input, as a reset does."""
        if n := self.waiting:
            os.read(self.stdin_fd, n)

    # --- the terminal ----------------------------------------------------------------------

    def attach(self, link: Path | None = None, *, plugged: bool = True) -> str:
        """Open a pseudo-terminal and return its name; from now on the run follows real time.

        ``link`` always points to it, also when its name changes after it was unplugged. Without
        ``plugged`` there is no terminal until ``plug``.
        """
        self.attached = True
        self._link = link
        return self.plug() if plugged else ""

    def plug(self) -> str:
        """Connect the terminal, if one is attached, and return its name."""
        if self._terminal is None:
            if not self.attached:
                return ""
            self._terminal = os.openpty()
            ours, theirs = self._terminal
            tty.setraw(theirs)
            settings = termios.tcgetattr(theirs)
            settings[4] = settings[_SPEED] = termios.B115200
            termios.tcsetattr(theirs, termios.TCSANOW, settings)
            os.set_blocking(ours, False)
        name = os.ttyname(self._terminal[1])
        if self._link:
            self._link.unlink(missing_ok=True)
            self._link.symlink_to(name)
        return name

    def unplug(self) -> None:
        """Remove the terminal; a program that has opened it sees it disappear."""
        if self._link:
            self._link.unlink(missing_ok=True)
        terminal, self._terminal = self._terminal, None
        for fd in terminal or ():
            os.close(fd)

    def _show(self, data: bytes) -> None:
        """Send to the terminal. Wait for a slow reader, but not for one that does not read."""
        data = self._on_the_wire(data.replace(b"\n", b"\r\n"))
        while data and self._terminal is not None:
            ours = self._terminal[0]
            try:
                data = data[os.write(ours, data) :]
                self._unread = False
            except BlockingIOError:
                if not self._unread:
                    self._unread = not select.select([], [ours], [], PATIENCE_S)[1]
                if self._unread:
                    return

    def _on_the_wire(self, data: bytes) -> bytes:
        """Return what the other side receives at the speed that it has set."""
        if self._terminal is None:
            return data
        if termios.tcgetattr(self._terminal[1])[_SPEED] == termios.B115200:
            return data
        return bytes(byte ^ 0xA5 for byte in data)

    def listen(self, seconds: float) -> bytes:
        """Wait for that real time for input from the terminal, and return it."""
        if self._terminal is None:
            time.sleep(max(0.0, seconds))
            return b""
        ready, _, _ = select.select([self._terminal[0]], [], [], max(0.0, seconds))
        return self._on_the_wire(os.read(self._terminal[0], INPUT_BUFFER)) if ready else b""

    def close(self) -> None:
        """Close every end."""
        self.collect()
        self.unplug()
        if self._log:
            self._log.close()
        for fd in (self.stdout_fd, self.stdin_fd, self._stdin_end):
            os.close(fd)
