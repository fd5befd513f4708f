"""How much noise the parsers are fed."""

import os

import pytest

from tests.firmware.support import on_cpython  # noqa: F401 -- for time.ticks_ms and its kind


@pytest.fixture(scope="session")
def fuzz_count() -> int:
    """Return the number of byte strings for each parser: a million in `make torture`."""
    return int(os.environ.get("COLDTRAIL_FUZZ", "50000"))
