"""The audit trail, and the bytes of what people have signed."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Boolean, Column, Integer, LargeBinary, String, Text

from coldtrail_gateway.store.migrations.only_grows import protect, protect_chain

revision = "0003_trail"
down_revision = "0002_people"


def upgrade() -> None:
    """Make the tables, whose rows are only ever added."""
    op.create_table(
        "audit_trail",
        Column("number", BigInteger, primary_key=True, autoincrement=False),
        Column("at_ms", BigInteger, nullable=False),
        Column("zone", Text, nullable=False),
        Column("offset_min", Integer, nullable=False),
        Column("actor_kind", String(16), nullable=False),
        Column("actor_id", Text, nullable=False),
        Column("actor_name", Text, nullable=False),
        Column("actor_source", Text, nullable=False),
        Column("action", String(64), nullable=False),
        Column("subject_kind", String(64), nullable=False),
        Column("subject_id", Text, nullable=False),
        Column("before", Text),
        Column("after", Text),
        Column("why", Text, nullable=False),
        Column("intent", Boolean, nullable=False),
        Column("answers", BigInteger),
        Column("previous", LargeBinary, nullable=False),
        Column("digest", LargeBinary, nullable=False),
    )
    for name, columns in {
        "audit_trail_subject": ["subject_kind", "subject_id", "number"],
        "audit_trail_actor": ["actor_id", "number"],
        "audit_trail_action": ["action", "number"],
        "audit_trail_answers": ["answers"],
        "audit_trail_intent": ["intent", "number"],
    }.items():
        op.create_index(name, "audit_trail", columns)
    op.create_table(
        "signed_records",
        Column("digest", LargeBinary, primary_key=True),
        Column("content", LargeBinary, nullable=False),
    )
    protect_chain("audit_trail")
    protect("signed_records", "digest")
