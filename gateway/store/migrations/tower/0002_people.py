"""Accounts, rights, tokens and sessions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002_people"
down_revision = "0001_readings"

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make its tables."""
    op.create_table(
        "accounts",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("skeleton", sa.String(length=32), nullable=False),
        sa.Column("shown", sa.Text(), nullable=False),
        sa.Column("zone", sa.String(length=64), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("disabled_ms", sa.BigInteger(), nullable=True),
        sa.Column("password", sa.String(length=255), nullable=True),
        sa.Column("password_ms", sa.BigInteger(), nullable=True),
        sa.Column("issuer", sa.String(length=255), nullable=True),
        sa.Column("subject", sa.String(length=255), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("accounts_pkey")),
        sa.UniqueConstraint("issuer", "subject", name=op.f("accounts_issuer_subject_unique")),
        sa.UniqueConstraint("name", name=op.f("accounts_name_unique")),
        sa.UniqueConstraint("skeleton", name=op.f("accounts_skeleton_unique")),
    )
    op.create_table(
        "provider_sign_ins",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("issuer", sa.String(length=255), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("provider_sign_ins_pkey")),
    )
    op.create_table(
        "shipment_parties",
        sa.Column("organisation", sa.String(length=32), nullable=False),
        sa.Column("shipment", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("organisation", "shipment", name=op.f("shipment_parties_pkey")),
    )
    op.create_index(op.f("shipment_parties_shipment"), "shipment_parties", ["shipment"])
    op.create_table(
        "sign_in_failures",
        sa.Column("bucket", sa.LargeBinary(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("bucket", name=op.f("sign_in_failures_pkey")),
    )
    op.create_index(op.f("sign_in_failures_last_ms"), "sign_in_failures", ["last_ms"])
    op.create_table(
        "grants",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("account", _ROW_ID, nullable=False),
        sa.Column("role", sa.String(length=32), nullable=False),
        sa.Column("organisation", sa.String(length=32), nullable=True),
        sa.Column("proposed_by", sa.Text(), nullable=False),
        sa.Column("proposed_ms", sa.BigInteger(), nullable=False),
        sa.Column("confirmed_by", sa.Text(), nullable=True),
        sa.Column("confirmed_ms", sa.BigInteger(), nullable=True),
        sa.Column("ended_by", sa.Text(), nullable=True),
        sa.Column("ended_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name=op.f("grants_account_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("grants_pkey")),
    )
    op.create_index(op.f("grants_account"), "grants", ["account"])
    op.create_table(
        "known_sources",
        sa.Column("account", _ROW_ID, nullable=False),
        sa.Column("source", sa.LargeBinary(), nullable=False),
        sa.Column("seen_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account"], ["accounts.id"], name=op.f("known_sources_account_fkey")
        ),
        sa.PrimaryKeyConstraint("account", "source", name=op.f("known_sources_pkey")),
    )
    op.create_table(
        "one_time_codes",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("account", _ROW_ID, nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.Column("ended_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account"], ["accounts.id"], name=op.f("one_time_codes_account_fkey")
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("one_time_codes_pkey")),
    )
    op.create_index(op.f("one_time_codes_account"), "one_time_codes", ["account"])
    op.create_table(
        "recovery_codes",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("account", _ROW_ID, nullable=False),
        sa.Column("used_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account"], ["accounts.id"], name=op.f("recovery_codes_account_fkey")
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("recovery_codes_pkey")),
    )
    op.create_index(op.f("recovery_codes_account"), "recovery_codes", ["account"])
    op.create_table(
        "second_factors",
        sa.Column("account", _ROW_ID, nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("in_force", sa.Boolean(), nullable=False),
        sa.Column("last_step", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account"], ["accounts.id"], name=op.f("second_factors_account_fkey")
        ),
        sa.PrimaryKeyConstraint("account", name=op.f("second_factors_pkey")),
    )
    op.create_table(
        "sessions",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("account", _ROW_ID, nullable=False),
        sa.Column("how", sa.String(length=32), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("seen_ms", sa.BigInteger(), nullable=False),
        sa.Column("ended_ms", sa.BigInteger(), nullable=True),
        sa.Column("revoked", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name=op.f("sessions_account_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("sessions_pkey")),
        sa.UniqueConstraint("digest", name=op.f("sessions_digest_unique")),
    )
    op.create_index(op.f("sessions_account"), "sessions", ["account"])
    op.create_table(
        "tokens",
        sa.Column("id", sa.String(length=8), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("account", _ROW_ID, nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.Column("used_ms", sa.BigInteger(), nullable=True),
        sa.Column("revoked_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name=op.f("tokens_account_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("tokens_pkey")),
    )
    op.create_index(op.f("tokens_account"), "tokens", ["account"])
