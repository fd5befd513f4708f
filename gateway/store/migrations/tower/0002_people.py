"""Accounts, rights, tokens and sessions."""

from __future__ import annotations

revision = "0002_people"
down_revision = "0001_readings"


def upgrade() -> None:
    """Make its tables."""
