"""How much is run: a slice in `make test`, everything in `make torture` (COLDTRAIL_TORTURE=1).

A test file that asks here is part of `make torture`; it gets the marker ``torture`` by that.
"""

from __future__ import annotations

import os
from typing import TypeVar

EVERYTHING = os.environ.get("COLDTRAIL_TORTURE", "") not in {"", "0"}

T = TypeVar("T")


def slice_or_all(some: T, everything: T) -> T:
    """Return what `make test` runs, or what `make torture` runs: cases, or a number of them."""
    return everything if EVERYTHING else some
