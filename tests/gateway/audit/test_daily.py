"""An anchor each day (UTC), whatever the clock has said before."""

from __future__ import annotations

from pathlib import Path

from coldtrail_gateway.audit import anchors
from coldtrail_gateway.audit.daily import Daily
from coldtrail_gateway.store.database import Store
from coldtrail_gateway.store.tower.database import Tower

HOUR_MS = 3_600_000
MIDNIGHT_MS = 1_772_323_200_000  # 2026-03-01T00:00:00Z


def test_one_a_day(store: Store, database: str, tmp_path: Path) -> None:
    now_ms = 0
    folder = tmp_path / "anchors"
    with Tower(database, create=True) as tower:
        daily = Daily(store, tower, folder, tmp_path / "key.pem", None, lambda: now_ms)

        def made(hours: int) -> int:
            """Look at so many hours after midnight; return how many anchors there are then."""
            nonlocal now_ms
            now_ms = MIDNIGHT_MS + hours * HOUR_MS
            daily.make_if_due()
            return len(anchors.numbers(folder))

        assert [made(hours) for hours in (1, 2, 23, 24, 25, 47, 48)] == [1, 1, 1, 2, 2, 2, 3]
        # A clock that ran ahead by ten years stops none of them.
        assert made(10 * 365 * 24) == 4
        assert [made(hours) for hours in (72, 73, 96)] == [5, 5, 6]
