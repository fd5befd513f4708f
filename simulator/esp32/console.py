"""The firmware's standard input and output: the chip's first UART and the cable behind it."""

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
"""Bytes that the chip sends by itself (ESP32 TRM, UART); a write waits for the rest to fit."""
INPUT_BUFFER = 260
"""Bytes that the port keeps of what was typed."""
PIECE = 16
"""Bytes that arrive at once."""
PATIENCE_S = 0.5
"""Real time that a terminal has to read what it was sent."""
_SPEED = 5
"""Place of the output speed in what tcgetattr returns."""


class Console:
    """Standard input and output of the firmware.

    What it prints is kept in a file of virtual time stamps, ``log``, and, when a terminal is
    attached, shown there. The interpreter writes into memory that is looked into at every
    request, so that a stamp depends on virtual time alone.

    The terminal is a pseudo-terminal on a USB bridge without flow control: what nobody reads is
    lost, and at another speed than this one both sides read noise.
    """

    def __init__(self, clock: Clock, log: Path | None = None) -> None:
        self._clock = clock
        self._log = log.open("w", encoding="utf-8") if log else None
        self._line_start = True
        self.text = ""
        """All that the firmware has printed."""
        self.stdout_fd = os.memfd_create("console")
        fcntl.fcntl(self.stdout_fd, fcntl.F_SETFL, os.O_APPEND)
        self.printed = 0
        """Bytes printed so far."""
        self._sent_us = 0.0  # when the last byte printed has left the chip
        self.stdin_fd, self._stdin_end = os.pipe()
        self._arrivals: deque[Handle] = deque()
        self._heard_us = 0.0  # when the last byte typed has arrived
        self.on_input: Callable[[], object] = lambda: None
        """Called when there is something new to read."""
        self.attached = False
        """Whether a terminal is attached, so that time is to be real."""
        self._link: Path | None = None
        self._terminal: tuple[int, int] | None = None
        self._unread = False  # nobody reads it

    def collect(self) -> int:
        """Take what was printed since the last call; return the us that the chip waited for it."""
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
        """Return the bytes printed from number ``start`` on, as the firmware wrote them."""
        return os.pread(self.stdout_fd, 1 << 24, start)

    # --- what is typed ---------------------------------------------------------------------

    def type(self, data: bytes) -> None:
        """Let typed bytes arrive from this moment on; those without room in the port are lost."""
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
        """Bytes typed that the firmware has not read."""
        answer = fcntl.ioctl(self.stdin_fd, termios.FIONREAD, b"\0\0\0\0")
        return int(struct.unpack("i", answer)[0])

    def forget_input(self) -> None:
        """Drop what was typed and not read, as a reset does."""
        if n := self.waiting:
            os.read(self.stdin_fd, n)

    # --- the terminal ----------------------------------------------------------------------

    def attach(self, link: Path | None = None, *, plugged: bool = True) -> str:
        """Open a pseudo-terminal and return its name; from now on time is to be real.

        ``link`` always leads to it, also after it was unplugged and came back by another name.
        Where it is not ``plugged`` in yet there is none before that.
        """
        self.attached = True
        self._link = link
        return self.plug() if plugged else ""

    def plug(self) -> str:
        """Connect the terminal, where there is to be one, and return its name."""
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
        """Take the terminal away: whoever has it open sees it vanish."""
        if self._link:
            self._link.unlink(missing_ok=True)
        terminal, self._terminal = self._terminal, None
        for fd in terminal or ():
            os.close(fd)

    def _show(self, data: bytes) -> None:
        """Send to the terminal, and wait for a reader who is slow, but not for one who is not."""
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
        """Return what the other side receives, which depends on the speed that it has set."""
        if self._terminal is None:
            return data
        if termios.tcgetattr(self._terminal[1])[_SPEED] == termios.B115200:
            return data
        return bytes(byte ^ 0xA5 for byte in data)

    def listen(self, seconds: float) -> bytes:
        """Wait that long in real time for input from the terminal, and return it."""
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
