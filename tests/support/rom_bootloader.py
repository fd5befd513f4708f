"""Boards to flash: the ROM bootloader of esp32-mock-bootloader over a flash that is NOR.

The package plays the protocol, and answers esptool. What it leaves out is added here: programming
erases first and a power cut stops in the middle of a block. Every connection is a new session.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import Any, Self

from esp32_mock_bootloader import registers, server

SECTOR = 4096
MIB = 1 << 20
PATIENCE_S = 5.0


class PowerLost(OSError):
    """The power went in the middle of it."""


class Nor(server.FlashImage):  # type: ignore[misc]
    """A flash that erases what is to be written, and whose power can fail."""

    def __init__(self, size: int = 4 * MIB) -> None:
        super().__init__()
        self.data = bytearray(b"\xff" * size)
        self.operations = 0
        self.cut_at: int | None = None
        """The operation in whose middle the power fails."""

    def _torn(self) -> bool:
        self.operations += 1
        return self.operations - 1 == self.cut_at

    def begin_defl(self, payload: bytes) -> None:
        super().begin_defl(payload)
        self.erase_region(self._defl_offset, int.from_bytes(payload[:4], "little"))

    def begin_plain(self, payload: bytes) -> None:
        super().begin_plain(payload)
        self.erase_region(self._plain_offset, int.from_bytes(payload[:4], "little"))

    def erase_region(self, offset: int, size: int) -> None:
        size = -(-size // SECTOR) * SECTOR
        if self._torn():
            super().erase_region(offset, size // 2)
            raise PowerLost
        super().erase_region(offset, size)

    def write_defl_block(self, payload: bytes) -> None:
        self._program("_defl_offset", super().write_defl_block, payload)

    def write_plain_block(self, payload: bytes) -> None:
        self._program("_plain_offset", super().write_plain_block, payload)

    def _program(self, position: str, write: Any, payload: bytes) -> None:
        before, torn = getattr(self, position), self._torn()
        write(payload)
        if torn:
            half = (getattr(self, position) - before) // 2
            self.data[before + half : getattr(self, position)] = b"\xff" * (
                getattr(self, position) - before - half
            )
            raise PowerLost


class _Patient(server.BootloaderConnection):  # type: ignore[misc]
    """Waits longer for the other side than the package does: this machine may be busy."""

    def set_timeout(self, timeout: float) -> None:
        super().set_timeout(max(timeout, PATIENCE_S))


class Board:
    """One board at a TCP port; a context manager."""

    def __init__(self, chip: str = "esp32", mib: int = 4) -> None:
        self.flash = Nor(mib * MIB)
        self.sessions = 0
        self._chip = chip
        self._stop = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.1)
        self._thread = threading.Thread(target=self._serve)

    @property
    def port(self) -> str:
        """What to give to esptool."""
        return f"socket://127.0.0.1:{self._listener.getsockname()[1]}"

    def _serve(self) -> None:
        while not self._stop.is_set():
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
            self.sessions += 1
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with contextlib.suppress(PowerLost):
                server.handle_client(
                    _Patient(sock=connection), self._stop, self._chip,
                    exit_on_disconnect=True, flash=self.flash,
                )  # fmt: skip

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._listener.close()


def mac(chip: str = "esp32") -> str:
    """Return the serial number of every board of a kind."""
    return ":".join(f"{byte:02x}" for byte in registers.mac_bytes_for_chip(chip))
