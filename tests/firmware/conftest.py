"""How much noise the parsers are fed: 50,000 byte strings, a million in `make torture`."""

import os

import pytest


@pytest.fixture(scope="session")
def fuzz_count() -> int:
    """Return the number of byte strings for each parser."""
    return int(os.environ.get("COLDTRAIL_FUZZ", "50000"))
