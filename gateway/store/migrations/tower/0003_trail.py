"""The audit trail and what people have signed and decided."""

from __future__ import annotations

revision = "0003_trail"
down_revision = "0002_people"


def upgrade() -> None:
    """Make its tables."""
