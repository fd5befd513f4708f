"""The tables of the audit trail. Rows are only ever added: triggers refuse everything else."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, String

from coldtrail_gateway.store.text import AnyText
from coldtrail_gateway.store.tower.schema import metadata

trail = sa.Table(
    "audit_trail",
    metadata,
    # 1, 2, 3, … without a gap, in the order of the chain.
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("at_ms", BigInteger, nullable=False),  # UTC
    Column("zone", AnyText, nullable=False),  # of the actor
    Column("offset_min", Integer, nullable=False),
    Column("actor_kind", String(16), nullable=False),
    Column("actor_id", AnyText, nullable=False),
    Column("actor_name", AnyText, nullable=False),
    Column("actor_source", AnyText, nullable=False),
    Column("action", String(64), nullable=False),
    Column("subject_kind", String(64), nullable=False),
    Column("subject_id", AnyText, nullable=False),
    Column("before", AnyText),  # canonical JSON
    Column("after", AnyText),  # canonical JSON
    Column("why", AnyText, nullable=False),
    # Whether this says what is about to happen elsewhere; the outcome is an entry that answers it.
    Column("intent", Boolean, nullable=False),
    Column("answers", BigInteger),  # the number of an earlier entry
    Column("previous", LargeBinary, nullable=False),  # digest of the entry before
    Column("digest", LargeBinary, nullable=False),  # SHA-256 of the canonical form
    Index("audit_trail_subject", "subject_kind", "subject_id", "number"),
    Index("audit_trail_actor", "actor_id", "number"),
    Index("audit_trail_action", "action", "number"),
    Index("audit_trail_answers", "answers"),
    Index("audit_trail_intent", "intent", "number"),
)

# Exactly what was signed, by its SHA-256, which the signature's entry in the trail names.
signed_records = sa.Table(
    "signed_records",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("content", LargeBinary, nullable=False),
)
