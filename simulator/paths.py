"""The locations of the project's files, in a checkout and in an installed environment.

In a checkout the folders are named `firmware`, `boards` and `simulator`; an installed environment
has the same folders under the names of their packages. The import system finds the packages in
both cases.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Final

import platformdirs


def _folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.submodule_search_locations is None:
        raise ModuleNotFoundError(f"the package {package} is missing")
    return Path(next(iter(spec.submodule_search_locations))).resolve()


FIRMWARE: Final = _folder("coldtrail_firmware")
BOARDS: Final = _folder("coldtrail_boards")
SHIMS: Final = Path(__file__).resolve().parent / "esp32" / "shims"
SCENARIOS: Final = Path(__file__).resolve().parent / "world" / "scenarios"
NO_HOME: Final = Path("/nonexistent")
"""The home of a Debian user without a home directory."""


class CacheError(OSError):
    """The cache cannot be written; the message is one sentence with a solution."""


def _cache() -> Path:
    named = os.environ.get("COLDTRAIL_CACHE")
    try:
        folder = Path(named) if named else platformdirs.user_cache_path("coldtrail")
        return folder.expanduser().absolute()
    except RuntimeError:  # neither HOME nor the user database has a home
        return NO_HOME / ".cache" / "coldtrail"


CACHE: Final = _cache()
"""The cache for all checkouts: interpreters, the broker, bytecode."""


def made(folder: Path) -> Path:
    """Return a folder of the cache, which is created if it is missing.

    Raises:
        CacheError: the folder cannot be created or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        reason = None if os.access(folder, os.W_OK) else "it is read-only"
    except OSError as error:
        reason = error.strerror
    if reason:
        raise CacheError(
            f"The cache {folder} cannot be used ({reason}): "
            "set COLDTRAIL_CACHE to a folder that can be written."
        )
    return folder
