"""Boards to flash: the ROM bootloader of esp32-mock-bootloader over a simulated NOR flash.

The package implements the protocol and answers esptool. This module adds that programming erases
first, and that a power cut stops within a block. Every connection is a new session.
"""

from __future__ import annotations

import errno
import os
import select
import threading
import time
from typing import Self

from esp32_mock_bootloader import registers, server

SECTOR = 4096
MIB = 1 << 20
PATIENCE_S = 5.0
FRAME_END = b"\xc0"


class PowerLost(OSError):
    """A power loss during an operation."""


class BootloaderFlash(server.FlashImage):
    """A flash that erases before it programs, and whose power can fail."""

    def __init__(self, size: int = 4 * MIB) -> None:
        super().__init__()
        self.data = bytearray(b"\xff" * size)
        self._defl_offset = self._plain_offset = 0
        self.operations = 0
        self.cut_at: float | None = None
        """Number of the operation with the power loss; its fraction is the completed part."""

    def _done(self, size: int) -> int:
        """Return how many bytes of an operation are completed before a power loss."""
        self.operations += 1
        if self.cut_at is None or int(self.cut_at) != self.operations - 1:
            return size
        return int(self.cut_at % 1 * size)

    def begin_defl(self, payload: bytes) -> None:
        super().begin_defl(payload)
        self.erase_region(self._defl_offset, int.from_bytes(payload[:4], "little"))

    def begin_plain(self, payload: bytes) -> None:
        super().begin_plain(payload)
        self.erase_region(self._plain_offset, int.from_bytes(payload[:4], "little"))

    def erase_region(self, offset: int, size: int) -> None:
        size = -(-size // SECTOR) * SECTOR
        done = self._done(size)
        super().erase_region(offset, done)
        if done < size:
            raise PowerLost

    def write_defl_block(self, payload: bytes) -> None:
        size = int.from_bytes(payload[:4], "little")
        data = self._decompressor.decompress(payload[16 : 16 + size])
        self._defl_offset = self._program(self._defl_offset, data)

    def write_plain_block(self, payload: bytes) -> None:
        size = int.from_bytes(payload[:4], "little")
        self._plain_offset = self._program(self._plain_offset, payload[16 : 16 + size])

    def _program(self, offset: int, data: bytes) -> int:
        done = self._done(len(data))
        self.data[offset : offset + done] = data[:done]
        if done < len(data):
            raise PowerLost
        return offset + done


class _Pty:
    """The board's end of a serial line; without a connection it receives nothing."""

    def __init__(self) -> None:
        self._fd, slave = os.openpty()
        self.name = os.ttyname(slave)
        os.close(slave)

    def set_timeout(self, timeout: float) -> None:
        """Use a longer timeout, because the package's 50 ms are too short on a busy machine."""

    def recv(self, size: int) -> bytes:
        if not select.select([self._fd], [], [], PATIENCE_S)[0]:
            raise TimeoutError
        # Pass whole frames, because the package decodes its whole buffer again for every piece.
        data = b""
        try:
            while not (len(data) > 1 and data.endswith(FRAME_END)):
                data += os.read(self._fd, 65536)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            # The port is not open, which read() reports at once: avoid a busy loop.
            time.sleep(0.01)
            data = b""
        return data

    def sendall(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._fd, data) :]

    def ignore_eof_for_disconnect(self) -> bool:
        return False

    def close(self) -> None:
        os.close(self._fd)


class Board:
    """One board at a serial port, as a context manager. A power cut changes its port."""

    def __init__(self, chip: str = "esp32", mib: int = 4, content: bytes = b"") -> None:
        self.flash = BootloaderFlash(mib * MIB)
        self.flash.data[: len(content)] = content
        self._chip = chip
        self._stop = threading.Event()
        self._line = _Pty()
        self._thread = threading.Thread(target=self._serve)

    @property
    def port(self) -> str:
        """The port for esptool."""
        return self._line.name

    def _serve(self) -> None:
        while not self._stop.is_set():
            try:
                server.handle_client(
                    server.BootloaderConnection(pty=self._line), self._stop, self._chip,
                    exit_on_disconnect=True, flash=self.flash,
                )  # fmt: skip
            except PowerLost:
                gone, self._line = self._line, _Pty()
                gone.close()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._line.close()


def mac(chip: str = "esp32") -> str:
    """Return the serial number of all boards of this kind."""
    return ":".join(f"{byte:02x}" for byte in registers.mac_bytes_for_chip(chip))
