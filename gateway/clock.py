"""The gateway's *now*: the system's clock, or one that a simulation supplies."""

from __future__ import annotations

import socket
import time
from typing import Final, Protocol

from coldtrail_gateway.errors import GatewayError

EARLIEST_MS: Final = 1_577_836_800_000  # 2020: the contract's smallest UTC time
_LIMIT_S: Final = 10.0
_SCHEME: Final = "unix:"


class ClockError(GatewayError):
    """No usable time; the message says what to do."""


class Clock(Protocol):
    """Where UTC comes from."""

    def now_ms(self) -> int:
        """Return UTC in milliseconds since 1970.

        Raises:
            ClockError: there is no answer, or it lies before 2020.
        """
        ...


class SystemClock:
    """The clock of this machine."""

    def now_ms(self) -> int:
        """Return UTC in milliseconds since 1970."""
        return _checked(time.time_ns() // 1_000_000, "the system clock")


class SocketClock:
    r"""A clock behind a Unix-domain socket: asked with ``?\n``, answers UTC ms and ``\n``."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._socket: socket.socket | None = None

    def now_ms(self) -> int:
        """Return the UTC of the other side, in milliseconds since 1970."""
        try:
            answer = self._ask()
        except OSError as error:
            self._socket = None
            raise ClockError(
                f"The clock at {self._path} does not answer ({error.strerror or error}): "
                "start what supplies it, or leave out --clock."
            ) from error
        try:
            return _checked(int(answer), f"the clock at {self._path}")
        except ValueError:
            raise ClockError(
                f"The clock at {self._path} answered {answer!r}, not a number of milliseconds."
            ) from None

    def _ask(self) -> bytes:
        if self._socket is None:
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.settimeout(_LIMIT_S)
            self._socket.connect(self._path)
        self._socket.sendall(b"?\n")
        answer = b""
        while not answer.endswith(b"\n") and len(answer) < 32:
            received = self._socket.recv(32)
            if not received:
                raise ConnectionResetError("it hung up")
            answer += received
        return answer


def parse(text: str) -> Clock:
    """Return the clock that ``unix:PATH`` names.

    Raises:
        ValueError: it names none.
    """
    path = text.removeprefix(_SCHEME)
    if path == text or not path:
        raise ValueError("a clock is named unix:PATH")
    return SocketClock(path)


def _checked(now_ms: int, name: str) -> int:
    if not EARLIEST_MS <= now_ms < 2**32 * 1000:
        raise ClockError(f"The time of {name} lies outside 2020 to 2106: set it right.")
    return now_ms
