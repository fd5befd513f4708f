"""How much noise the parsers are fed; the firmware's many collections of garbage, made cheap."""

import gc
import os
from collections.abc import Iterator

import pytest

from tests.firmware.support import on_cpython  # noqa: F401 -- for time.ticks_ms and its kind


@pytest.fixture(scope="session")
def fuzz_count() -> int:
    """Return the number of byte strings for each parser: a million in `make torture`."""
    return int(os.environ.get("COLDTRAIL_FUZZ", "50000"))


@pytest.fixture(scope="module", autouse=True)
def _few_objects() -> Iterator[None]:
    """Let the firmware's calls of gc.collect look at what is made from now on alone."""
    gc.freeze()
    yield
    gc.unfreeze()
