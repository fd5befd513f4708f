"""The time of day where somebody was: EU Annex 11 wants the time zone with the time."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

_OFFSET: Final = re.compile(r"([+-])(\d\d):([0-5]\d)")
MOST_MIN: Final = 18 * 60
"""How far from UTC an offset may be, in minutes."""


def zone(name: str) -> tzinfo:
    """Return the time zone that an IANA name (``Europe/Vienna``) or an offset (``+01:00``) names.

    Raises:
        ValueError: it names none that is known here.
    """
    match = _OFFSET.fullmatch(name)
    if match:
        minutes = int(match[2]) * 60 + int(match[3])
        if minutes > MOST_MIN:
            raise ValueError(f"{name} is no offset from UTC")
        return timezone(timedelta(minutes=-minutes if match[1] == "-" else minutes))
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        raise ValueError(
            f"{name} is no time zone that is known here: use an IANA name such as Europe/Vienna, "
            "or an offset such as +01:00"
        ) from None


def offset_min(name: str, utc_ms: int) -> int:
    """Return how many minutes local time is ahead of UTC at a moment.

    Raises:
        ValueError: the zone is not known here.
    """
    offset = datetime.fromtimestamp(utc_ms / 1000, UTC).astimezone(zone(name)).utcoffset()
    return round((offset or timedelta()) / timedelta(minutes=1))


def here(utc_ms: int) -> str:
    """Return this machine's offset from UTC at a moment, such as ``+01:00``."""
    offset = datetime.fromtimestamp(utc_ms / 1000, UTC).astimezone().utcoffset() or timedelta()
    return offset_text(round(offset / timedelta(minutes=1)))


def offset_text(minutes: int) -> str:
    """Return an offset as ISO 8601 writes it."""
    hours, rest = divmod(abs(minutes), 60)
    return f"{'-' if minutes < 0 else '+'}{hours:02}:{rest:02}"


def local_iso(utc_ms: int, offset: int) -> str:
    """Return the local time of a moment in ISO 8601, such as 2026-03-01T01:00:00.000+01:00."""
    moment = datetime.fromtimestamp(utc_ms // 1000, UTC) + timedelta(minutes=offset)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{utc_ms % 1000:03}{offset_text(offset)}"
