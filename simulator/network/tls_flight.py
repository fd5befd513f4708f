"""The first answer of a TLS 1.2 server, which is not encrypted (RFC 5246, 6.2.1, 7.3, 7.4)."""

from __future__ import annotations

import socket
from collections.abc import Callable

HANDSHAKE, HELLO_DONE = 22, 14
HEADER = 5


def record_size(data: bytes | bytearray) -> int:
    """Return the size of the record at the beginning, or 0 if it is not known yet."""
    return HEADER + int.from_bytes(data[3:HEADER], "big") if len(data) >= HEADER else 0


def is_complete(data: bytes | bytearray) -> bool:
    """Return whether the answer is complete: it ends with ServerHelloDone or an alert."""
    messages = b""
    at = 0
    while 0 < (size := record_size(data[at:])) <= len(data) - at:
        if data[at] != HANDSHAKE:
            return True
        messages += bytes(data[at + HEADER : at + size])
        at += size
    while len(messages) >= 4:
        kind, length = messages[0], int.from_bytes(messages[1:4], "big")
        if kind == HELLO_DONE:
            return True
        messages = messages[4 + length :]
    return False


def read(real: socket.socket, is_over: Callable[[], bool]) -> bytes:
    """Read the answer from a socket with a timeout; ``is_over`` raises when it takes too long."""
    data = b""
    while not is_complete(data) and not is_over():
        try:
            piece = real.recv(65536)
        except TimeoutError:
            continue
        except OSError:
            break
        if not piece:
            break
        data += piece
    return data
