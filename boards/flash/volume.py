"""The two flash images of an nRF52840 in addition to MicroPython.

The firmware is a ROMFS and runs directly from flash. The provisioned files and the files that the
interpreter runs as source are on a littlefs.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from intelhex import HexRecordError, IntelHex

from coldtrail_boards import files
from coldtrail_boards.errors import BoardError
from coldtrail_boards.flash import image, program
from coldtrail_boards.provision.bundle import Bundle

ROMFS, LITTLEFS = "romfs.img", "littlefs.img"
_LIMIT_S = 60
_ADVICE = "name the .hex or .bin that is flashed onto the board"
_LARGEST = 4 * 1024 * 1024


@dataclass(frozen=True)
class Volume:
    """Bytes and their offset in the flash."""

    offset: int
    size: int
    files: Mapping[str, bytes]
    data: bytes


def build(board: str, bundle: Bundle | None = None, *, bench: bool = False) -> dict[str, Volume]:
    """Return the volumes of a board by their file names.

    Args:
        board: a folder of boards/ with a layout.toml.
        bundle: the identity of the tracker, or None.
        bench: the console is on the only UART, and there is no modem.

    Raises:
        BoardError: the board does not exist, or a file does not fit.
    """
    folder = program.BOARDS / board
    if not (folder / "layout.toml").is_file():
        layouts = program.BOARDS.glob("*/layout.toml")
        known = ", ".join(sorted(path.parent.name for path in layouts))
        raise BoardError(f"The board '{board}' takes no volumes: name one of {known}.")
    layout = tomllib.loads(files.read_text(folder / "layout.toml"))
    firmware = program.firmware()
    lies = {
        "boot.py": (folder / ("bench" if bench else "") / "boot.py").read_bytes(),
        "main.py": (program.FIRMWARE / "main.py").read_bytes(),
        # The name cannot be board.py; board.py gives the reason.
        "wiring.py": (folder / "board.py").read_bytes(),
        **(bundle.files if bundle else {}),
    }
    rom, own = layout["romfs"], layout["littlefs"]
    return {
        ROMFS: Volume(rom["offset"], rom["size"], firmware, romfs(firmware, rom["size"])),
        LITTLEFS: Volume(own["offset"], own["size"], lies, program.volume(lies, own["size"])),
    }


def romfs(content: Mapping[str, bytes], size: int) -> bytes:
    """Return the files as a ROMFS image, built as mpremote does.

    Raises:
        BoardError: the image is larger than `size`.
    """
    with tempfile.TemporaryDirectory() as place:
        root, made = Path(place, "rom"), Path(place, ROMFS)
        for name, data in content.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(data)
        command = [sys.executable, "-m", "mpremote", "romfs", "--no-mpy", "-o", str(made)]
        subprocess.run(
            [*command, "build", str(root)], check=True, capture_output=True, timeout=_LIMIT_S
        )
        data = made.read_bytes()
    if len(data) > size:
        raise BoardError(
            f"The firmware takes {len(data)} bytes as ROMFS, and the board has {size} for it: "
            "it cannot be put onto this board."
        )
    return data


def version(path: Path) -> tuple[int, int, int]:
    """Return the MicroPython version stated in an image.

    Raises:
        BoardError: the file is not an image, or is for another chip.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise BoardError(f"{path} is too long for a MicroPython image: {_ADVICE}.")
        data = path.read_bytes()
        if data[:1] == b":":
            data = IntelHex(str(path)).tobinstr()
    except OSError as error:
        raise BoardError(f"{path}: {error.strerror}; {_ADVICE}.") from error
    except (HexRecordError, UnicodeDecodeError) as error:
        raise BoardError(f"{path} is damaged ({error}): {_ADVICE}.") from error
    found = image.version_in(data)
    if found is None or not re.search(rb"NRF52840", data, re.IGNORECASE):
        raise BoardError(f"{path} is not MicroPython for the nRF52840: {_ADVICE}.")
    return found
