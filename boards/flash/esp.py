"""An Espressif chip in its ROM bootloader, accessed with esptool."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from esp_pylib.logger import EspLogBase
from esptool import cmds
from esptool import loader as esptool_loader
from esptool.loader import ESPLoader
from esptool.logger import log
from esptool.util import FatalError
from serial import SerialException
from serial.tools import list_ports

from coldtrail_boards.errors import BoardError

BAUD = 460_800
_ATTEMPTS = 4
_here = threading.local()

Advance = Callable[[int], object]
"""Called with the number of bytes written since the last call."""


class _Quiet(EspLogBase):
    """Passes esptool's progress on to the current thread and suppresses its messages."""

    def _nothing(self, *_: Any, **__: Any) -> None: ...

    print = note = warn = err = warning = error = debug = hint = stage = _nothing
    set_verbosity = _nothing

    def progress_bar(self, cur_iter: int, total_iters: int, *_: Any, **__: Any) -> None:
        report = getattr(_here, "report", None)
        if report and total_iters:
            report(cur_iter / total_iters)


log.set_logger(_Quiet())
# This esptool class formats every byte for a trace that is not used; it took half the CPU time.
esptool_loader.HexFormatter = lambda *_, **__: ""


class Chip:
    """A chip whose flash can be read and written."""

    def __init__(self, port: str, loader: Any) -> None:
        self.port = port
        self._esp = loader
        # Report a broken line at once, instead of waiting for it to return.
        loader.WRITE_FLASH_ATTEMPTS = 1
        self.name = str(loader.CHIP_NAME).lower().replace("-", "")
        self.mac = ":".join(f"{byte:02x}" for byte in loader.read_mac())

    @property
    def flash_size(self) -> int:
        """Size of the flash in bytes, or 0 when the flash does not report it."""
        said = cmds.detect_flash_size(self._esp) or ""
        found = re.fullmatch(r"(\d+)(KB|MB)", said)
        return int(found[1]) * {"KB": 1024, "MB": 1024 * 1024}[found[2]] if found else 0

    def read(self, offset: int, size: int) -> bytes:
        """Read from the flash."""
        return bytes(cmds.read_flash(self._esp, offset, size, no_progress=True) or b"")

    def erase(self, offset: int, size: int) -> None:
        """Erase whole sectors."""
        self._esp.erase_region(offset, size)

    def holds(self, offset: int, data: bytes) -> bool:
        """Return whether a region equals `data`, by the hash that the chip computes."""
        try:
            cmds.verify_flash(self._esp, [(offset, data)])
        except FatalError as error:
            if "Verification failed" in str(error):
                return False
            raise
        return True

    def write(self, offset: int, data: bytes, advance: Advance) -> None:
        """Write to the flash; esptool verifies the hash afterwards."""
        done = 0

        def report(fraction: float) -> None:
            nonlocal done
            now = round(fraction * len(data))
            advance(now - done)
            done = now

        _here.report = report
        try:
            cmds.write_flash(self._esp, [(offset, data)])
        finally:
            _here.report = None

    def reset(self) -> None:
        """Let the tracker start."""
        cmds.reset_chip(self._esp, "hard-reset")


@contextmanager
def connected(port: str, baud: int = BAUD) -> Iterator[Chip]:
    """Yield the chip at a port, with esptool's stub running on it.

    Raises:
        BoardError: the port does not exist or is busy, no chip answers, or the connection breaks.
    """
    loader: Any = None
    with ExitStack() as opened:
        try:
            loader = opened.enter_context(cmds.detect_chip(port, connect_attempts=_ATTEMPTS))
            loader = cmds.run_stub(loader)
            cmds.attach_flash(loader)
            if baud != ESPLoader.ESP_ROM_BAUD:
                loader.change_baud(baud)
            yield Chip(port, loader)
        except (FatalError, SerialException, OSError) as error:
            raise BoardError(_sentence(port, str(error), begun=loader is not None)) from error


def ports() -> list[str]:
    """Return the serial ports that are USB devices."""
    return sorted(port.device for port in list_ports.comports() if port.vid is not None)


def _sentence(port: str, said: str, *, begun: bool) -> str:
    """Return a sentence for the operator for an error message of esptool."""
    first = said.partition("\n")[0].rstrip(".")
    if "Could not open" in said:
        if re.search(r"Errno 2\b|FileNotFound|could not find", said):
            others = ", ".join(ports()) or "none is there now"
            return f"There is no port {port}: plug the tracker in, then name its port ({others})."
        if "Errno 13" in said:
            return f"{port} may not be opened: join the group dialout, then log in anew."
        return f"{port} is busy: close the console or program that uses it, then flash again."
    if not begun:
        return (
            f"Nothing at {port} answers as a bootloader ({first}): "
            "hold BOOT, press reset, flash again."
        )
    return f"The connection to {port} broke ({first}): plug the tracker in and flash it again."
