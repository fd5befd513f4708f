"""What a verification finds, in one form for archive, trail, signatures and anchors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Where(StrEnum):
    """What a finding is about; a row is named by its number there."""

    ARCHIVE = "archive"
    TRAIL = "trail"
    SIGNATURE = "signature"
    ANCHOR = "anchor"


class What(StrEnum):
    """What happened to a row."""

    ALTERED = "altered"
    MISSING = "missing"
    ADDED = "added"
    REORDERED = "reordered"
    TIME = "time went back"


_ROWS = {Where.ARCHIVE: " row", Where.TRAIL: " entry"}
"""What numbers a row there; a signature and an anchor have their own number."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it was written; `row` is None where no row can be named.

    With `last`, all rows from `row` to it.
    """

    where: Where
    what: What
    row: int | None
    detail: str
    last: int | None = None

    def __str__(self) -> str:
        rows = "" if self.row is None else f"{_ROWS.get(self.where, '')} {self.row}"
        if self.last is not None and self.last != self.row:
            rows += f" to {self.last}"
        return f"{self.where}{rows}: {self.what}: {self.detail}"

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "where": self.where.value,
            "what": self.what.value,
            "row": self.row,
            "last": self.row if self.last is None else self.last,
            "detail": self.detail,
        }


Progress = Callable[[str, int], None]
"""Is told what is being read, and how many rows of it have been."""


def silent(_what: str, _rows: int) -> None:
    """Be told, and say nothing."""
