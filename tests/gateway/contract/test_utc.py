"""UTC as text."""

from __future__ import annotations

from coldtrail_gateway.contract.utc import iso

START_MS = 1_767_225_600_000  # 2026-01-01


def test_iso_8601() -> None:
    assert iso(0) == "1970-01-01T00:00:00.000Z"
    assert iso(START_MS + 1) == "2026-01-01T00:00:00.001Z"
    assert iso((2**32 - 1) * 1000 + 999) == "2106-02-07T06:28:15.999Z"
