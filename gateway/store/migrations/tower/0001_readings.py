"""The read model: what the archive says, kept ready."""

from __future__ import annotations

revision = "0001_readings"
down_revision = None


def upgrade() -> None:
    """Make its tables."""
