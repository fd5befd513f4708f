"""The time of this machine, as the answer to a tracker that asks for it (`time set`)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

QUESTION: Final = b"utc, within ms: "
"""How the tracker asks (firmware/coldtrail/console/clock.py)."""
WITHIN_MS: Final = 2_000
"""What a machine whose clock is kept by NTP is surely right within. The tracker adds how long it
waited for the answer, and believes no clock that contradicts its own."""


def answer(now: datetime | None = None) -> str:
    """Return the answer that tells the time, that of now unless another is given."""
    utc = (now or datetime.now(UTC)).astimezone(UTC)
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03}Z {WITHIN_MS}"
