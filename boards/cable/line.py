"""A tracker's console over a cable, as used by programs (firmware/coldtrail/console)."""

from __future__ import annotations

import errno
import re
import time
from collections.abc import Callable, Iterator
from typing import Self

import serial

from coldtrail_boards.errors import BoardError

BAUD = 115_200
ENQ, EOT, NAK, RS = b"\x05", b"\x04", b"\x15", b"\x1e"
GREETING = re.compile(rb"coldtrail [^\s,]+, tracker ([A-Z0-9-]+): type help")
BUSY = b"the console waits for the end of the call"

# Stops the current command, turns echo off, and sends an empty line, whose answer is EOT.
_MACHINE = b"\x03\x01\r"
_TERMINAL = b"\x03\x02"
_TRY_S = 1.0
_ANSWER_S = 6.0
_CALL_S = 400.0
"""Longest wait for a call: a tracker with little memory has no console during a call."""
_QUIET_S = 0.3


class Gone(BoardError):
    """The cable was pulled, or the device at its other end has disappeared."""


def _open(port: str, baud: int) -> serial.Serial:
    try:
        return serial.Serial(port, baud, timeout=0.05, write_timeout=5, exclusive=True)
    except serial.SerialException as error:
        match error.errno:
            case errno.ENOENT | errno.ENODEV | errno.ENXIO:
                raise Gone(
                    f"There is no port {port}: plug the tracker in and name its port."
                ) from None
            case errno.EAGAIN | errno.EBUSY:
                why = "is in use by another program: close that, then run this again"
            case errno.EACCES | errno.EPERM:
                why = "is not for this user: join the group that owns it (often dialout)"
            case _:
                why = f"cannot be used ({error.strerror or error}): name the tracker's serial port"
        raise BoardError(f"The port {port} {why}.") from None
    except (ValueError, OSError) as error:
        raise BoardError(f"The port {port} cannot be used ({error}).") from None


class Cable:
    """An open serial port to a tracker's console. Every fault raises one clear sentence.

    Raises:
        BoardError: the port cannot be opened.
    """

    def __init__(self, port: str, baud: int = BAUD) -> None:
        self.port = port
        self._baud = baud
        self._serial = _open(port, baud)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Return the console to terminal mode and close the port."""
        try:
            self._serial.write(_TERMINAL)
            self._serial.flush()
        except (OSError, serial.SerialException):
            pass  # the device has disappeared
        self._serial.close()

    def read(self) -> bytes:
        """Return the bytes received within at most 50 ms; possibly none.

        Raises:
            Gone: the cable was pulled.
        """
        try:
            return bytes(self._serial.read(self._serial.in_waiting or 1))
        except (OSError, serial.SerialException):
            raise self._gone() from None

    def write(self, data: bytes) -> None:
        """Send bytes.

        Raises:
            Gone: the cable was pulled, or the other side does not accept data.
        """
        try:
            self._serial.write(data)
        except (OSError, serial.SerialException):
            raise self._gone() from None

    def _gone(self) -> Gone:
        return Gone(f"The cable at {self.port} was pulled: plug it in and run this again.")

    def greet(self, waiting: Callable[[], object] = lambda: None) -> None:
        """Find the console and switch it to program mode.

        ``waiting`` is called when the tracker is busy with a call.

        Raises:
            BoardError: no tracker answers, or its speed differs.
        """
        heard = b""
        start = time.monotonic()
        limit_s = _ANSWER_S
        while time.monotonic() - start < limit_s:
            self.write(_MACHINE)
            tried = time.monotonic()
            while time.monotonic() - tried < _TRY_S:
                heard += self.read()
                if EOT in heard:
                    self._drain()
                    return
            if _is_noise(heard):
                break
            if limit_s == _ANSWER_S and BUSY in heard:
                limit_s = _CALL_S
                waiting()
        if _is_noise(heard):
            raise BoardError(
                f"What comes from {self.port} at {self._baud} baud is noise: a tracker speaks "
                f"{BAUD} baud; see that the port is a tracker's."
            )
        raise BoardError(
            f"Nobody answers at {self.port}: see that it is a tracker's port and that it runs."
        )

    def _drain(self) -> None:
        quiet = time.monotonic()
        while time.monotonic() - quiet < _QUIET_S:
            if self.read():
                quiet = time.monotonic()

    def until_end(self, silence_s: float) -> Iterator[bytes]:
        """Yield received bytes until EOT (not included) or ``silence_s`` seconds of silence.

        Raises:
            Gone: the cable was pulled.
        """
        last = time.monotonic()
        while time.monotonic() - last < silence_s:
            data = self.read()
            if data:
                last = time.monotonic()
                text, end, _ = data.partition(EOT)
                if text:
                    yield text
                if end:
                    return


def _is_noise(heard: bytes) -> bool:
    """Return whether the bytes are mostly not text."""
    odd = sum(byte > 0x7E for byte in heard)
    return odd * 3 > len(heard) > 8
