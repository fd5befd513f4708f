"""The time of day where somebody was."""

from __future__ import annotations

import pytest

from coldtrail_gateway.audit import local_time

# 2026-03-29 01:00 UTC: Central European Summer Time begins (Directive 2000/84/EC).
SUMMER_MS = 1_774_746_000_000


@pytest.mark.parametrize(
    ("zone", "utc_ms", "local"),
    [
        ("UTC", SUMMER_MS, "2026-03-29T01:00:00.000+00:00"),
        ("Europe/Vienna", SUMMER_MS - 1, "2026-03-29T01:59:59.999+01:00"),
        ("Europe/Vienna", SUMMER_MS, "2026-03-29T03:00:00.000+02:00"),
        ("Asia/Kolkata", SUMMER_MS, "2026-03-29T06:30:00.000+05:30"),
        ("+05:30", SUMMER_MS, "2026-03-29T06:30:00.000+05:30"),
        ("-03:30", SUMMER_MS, "2026-03-28T21:30:00.000-03:30"),
    ],
)
def test_local_time_is_of_the_zone_and_moment(zone: str, utc_ms: int, local: str) -> None:
    offset = local_time.offset_min(zone, utc_ms)
    assert local_time.local_iso(utc_ms, offset) == local


@pytest.mark.parametrize(
    "zone", ["", "Vienna", "Europe", "/etc/passwd", "../UTC", "+25:00", "+1", "\0", "a" * 500]
)
def test_what_names_no_zone_is_refused(zone: str) -> None:
    with pytest.raises(ValueError, match="is no"):
        local_time.offset_min(zone, SUMMER_MS)


def test_this_machines_offset_is_one() -> None:
    offset = local_time.here(SUMMER_MS)
    assert local_time.offset_text(local_time.offset_min(offset, SUMMER_MS)) == offset
