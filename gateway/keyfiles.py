"""Files that hold keys: their owner alone may read them."""

from __future__ import annotations

import shlex
import stat
from pathlib import Path

from coldtrail_gateway.errors import GatewayError


class SharedFileError(GatewayError):
    """A file with keys that others can read."""


def is_private(path: Path) -> bool:
    """Tell whether only its owner can read and write a file.

    Raises:
        OSError: it cannot be looked at.
    """
    return not path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)


def check(path: Path) -> None:
    """Refuse a file with keys that others can read.

    As ssh does, and for its reason: nobody acts on a warning, and a key that others may have read
    is none. A database is only warned of, because a gateway that ends confirms nothing.

    Raises:
        SharedFileError: others can read it.
        OSError: it cannot be looked at.
    """
    if not is_private(path):
        raise SharedFileError(
            f"Others can read the keys in {path}: chmod 600 {shlex.quote(str(path))}, and make "
            "new keys if somebody may have read these. Nothing was done."
        )
