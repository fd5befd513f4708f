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
        raise ModuleNotFoundError(f"{package} is not installed; run 'make venv' in the checkout.")
    return Path(next(iter(spec.submodule_search_locations))).resolve()


FIRMWARE: Final = _folder("coldtrail_firmware")
BOARDS: Final = _folder("coldtrail_boards")
SHIMS: Final = Path(__file__).resolve().parent / "esp32" / "shims"
SCENARIOS: Final = Path(__file__).resolve().parent / "world" / "scenarios"
CACHE: Final = Path(
    os.environ.get("COLDTRAIL_CACHE") or platformdirs.user_cache_path("coldtrail")
).absolute()
"""What is fetched or compiled once for all checkouts: interpreters, the broker, bytecode."""
