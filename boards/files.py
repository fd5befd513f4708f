"""Reads files that people wrote, in any usual encoding, and writes files safely.

A file is written completely or not at all. A file with secrets is readable by its owner only.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from pathlib import Path

from coldtrail_boards.errors import BoardError

_LARGEST = 256 * 1024


def write(path: Path, data: bytes, *, mode: int = 0o600, replace: bool = False) -> None:
    """Write a file; an existing one is not changed unless `replace`.

    Raises:
        BoardError: the file exists already, or cannot be written.
    """
    name = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(mode)
        if replace:
            Path(name).replace(path)
        else:
            path.hardlink_to(name)
    except FileExistsError as error:
        raise BoardError(f"{path} is there already: name another, or move it away.") from error
    except OSError as error:
        raise BoardError(f"{path}: {error.strerror}; name a file that can be written.") from error
    finally:
        if name:
            with contextlib.suppress(FileNotFoundError):
                Path(name).unlink()


def read(path: Path, *, secret: bool = False) -> bytes:
    """Read a file; a secret one must be readable by its owner only.

    Raises:
        BoardError: the file cannot be read, is too long, or is readable by others.
    """
    try:
        with path.open("rb") as file:
            if secret and os.fstat(file.fileno()).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise BoardError(f"Others can read the secrets in {path}: chmod 600 {path}")
            data = file.read(_LARGEST + 1)
    except OSError as error:
        raise BoardError(f"{path}: {error.strerror}; name a file that can be read.") from error
    if len(data) > _LARGEST:
        raise BoardError(f"{path} is longer than {_LARGEST} bytes: it cannot be the file meant.")
    return data


def read_text(path: Path, *, secret: bool = False) -> str:
    """Read a text file, decoded as `text` does.

    Raises:
        BoardError: the file cannot be read, or is not UTF-8.
    """
    return text(read(path, secret=secret), path)


def text(data: bytes, source: object) -> str:
    """Decode UTF-8, with or without a byte order mark; line ends become line feeds.

    Raises:
        BoardError: the encoding is UTF-16 or another one; `source` names the file.
    """
    if b"\0" in data:
        raise BoardError(f"{source} is UTF-16 or no text at all: save it as UTF-8.")
    try:
        decoded = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BoardError(f"{source}: line {line} is not UTF-8: save it as UTF-8.") from None
    return decoded.replace("\r\n", "\n")
