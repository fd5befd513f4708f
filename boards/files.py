"""Files that hold secrets: written whole or not at all, readable by their owner alone."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from pathlib import Path

from coldtrail_boards.errors import BoardError

_LARGEST = 256 * 1024


def write(path: Path, data: bytes, *, mode: int = 0o600, replace: bool = False) -> None:
    """Write a file; one that is there is left alone unless `replace`.

    Raises:
        BoardError: it is there, or cannot be written.
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
    """Read a file; a secret one must be its owner's alone.

    Raises:
        BoardError: it cannot be read, is too long, or others can read it.
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
