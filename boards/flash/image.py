"""The stock MicroPython image, as downloaded: its parts, and whether it fits a board.

The image has the bootloader first, then the partition table and the application, at the same
distances as in flash (ESP-IDF, "App Image Format").
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from esptool.bin_image import LoadFirmwareImage
from esptool.targets import CHIP_DEFS
from esptool.util import FatalError

from coldtrail_boards.errors import BoardError
from coldtrail_boards.flash import partitions

START = 0x1000
"""Flash offset of the image's first byte, where the ESP32's ROM expects the bootloader."""
OLDEST = (1, 24)
"""The oldest MicroPython that runs the firmware."""

_MAGIC = 0xE9
_CHIP_ID = struct.Struct("<12xH")  # in the extended header
_DESCRIPTION = b"\x32\x54\xcd\xab"  # of an application; follows the header of the first segment
_VERSION = re.compile(rb"MicroPython v(\d{1,3})\.(\d{1,3})\.?(\d{0,3})([-+.\w]{0,40}) on \d{4}-")
_LARGEST = 16 * 1024 * 1024


@dataclass(frozen=True)
class Firmware:
    """The parts of a stock image."""

    bootloader: bytes
    application: bytes
    version: tuple[int, int, int]

    @property
    def name(self) -> str:
        """The interpreter's name and version."""
        return "MicroPython " + ".".join(str(part) for part in self.version)


def load(path: Path, chip: str) -> Firmware:
    """Read a stock image for `chip`, such as "esp32".

    Raises:
        BoardError: the file is not an image, is damaged, or is for another chip.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise BoardError(f"{path} is too long for a MicroPython image: {_ADVICE}.")
        data = path.read_bytes()
    except OSError as error:
        raise BoardError(f"{path}: {error.strerror}; {_ADVICE}.") from error
    _check_kind(path, data, chip)
    table = partitions.decode(data[partitions.OFFSET - START :][: partitions.SIZE])
    program = next((part for part in table or () if part.type == 0), None)
    if table is None or program is None:
        raise BoardError(f"{path} has no partition table with an application: {_ADVICE}.")
    bootloader = data[: partitions.OFFSET - START]
    application = data[program.offset - START :][: program.size]
    for name, image in (("bootloader", bootloader), ("application", application)):
        if not _is_whole(image, chip):
            raise BoardError(f"{path}: its {name} is damaged: download it again.")
    version = version_in(application)
    if version is None:
        raise BoardError(f"{path} is not MicroPython: {_ADVICE}.")
    return Firmware(bootloader, application, version)


def version_in(data: bytes) -> tuple[int, int, int] | None:
    """Return the MicroPython version stated in an image, or None."""
    found = _VERSION.search(data)
    if found is None:
        return None
    major, minor, patch = (int(part or 0) for part in found.groups()[:3])
    return major, minor, patch


_ADVICE = "take the stock image for ESP32_GENERIC, the .bin that is flashed at 0x1000"


def _check_kind(path: Path, data: bytes, chip: str) -> None:
    if len(data) < 32 or data[0] != _MAGIC:
        raise BoardError(f"{path} is no image for an ESP32: {_ADVICE}.")
    (ident,) = _CHIP_ID.unpack_from(data)
    names = _chips()
    if names.get(ident) != chip:
        other = names.get(ident, f"chip {ident}").upper()
        raise BoardError(
            f"{path} is for another board, with {other} and not {chip.upper()}: {_ADVICE}."
        )
    if data[32:36] == _DESCRIPTION:
        raise BoardError(f"{path} is an application alone, without bootloader: {_ADVICE}.")


@cache
def _chips() -> dict[int, str]:
    chips = {rom.IMAGE_CHIP_ID: name for name, rom in CHIP_DEFS.items() if name != "esp8266"}
    return {ident: name for ident, name in chips.items() if ident is not None}


def _is_whole(image: bytes, chip: str) -> bool:
    """Return whether the checksum of the segments and the SHA-256 after them are correct."""
    try:
        read = LoadFirmwareImage(chip, image)
        checksum = read.checksum == read.calculate_checksum()
        return checksum and (not read.append_digest or read.stored_digest == read.calc_digest)
    except (FatalError, struct.error, IndexError):
        return False
