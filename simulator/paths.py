"""Where the project's own files lie, in a checkout and in an installed environment alike.

In a checkout the folders are named `firmware`, `boards` and `simulator`; an installed environment
holds the same folders under the names of their packages. Asking the import system for the package
answers both.
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
"""What Debian calls the home of a user who has none."""


class CacheError(OSError):
    """The cache cannot be written; the message is one sentence that says what to do."""


def _cache() -> Path:
    named = os.environ.get("COLDTRAIL_CACHE")
    try:
        folder = Path(named) if named else platformdirs.user_cache_path("coldtrail")
        return folder.expanduser().absolute()
    except RuntimeError:  # neither HOME nor the list of users names a home
        return NO_HOME / ".cache" / "coldtrail"


CACHE: Final = _cache()
"""What is fetched or compiled once for all checkouts: interpreters, the broker, bytecode."""


def made(folder: Path) -> Path:
    """Return a folder of the cache; it is made where it is missing.

    Raises:
        CacheError: it cannot be made, or nothing can be written there.
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
