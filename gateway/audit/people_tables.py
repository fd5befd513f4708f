"""The tables of people and access, in the tower's database. No secret in them opens anything."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Integer, LargeBinary, String

from coldtrail_gateway.store.text import AnyText
from coldtrail_gateway.store.tower.schema import metadata

# SQLite numbers rows by itself only where the type is exactly INTEGER.
_ROW_ID: Final = BigInteger().with_variant(Integer(), "sqlite")
_NAME: Final = String(32)

accounts = sa.Table(
    "accounts",
    metadata,
    Column("id", _ROW_ID, primary_key=True),
    Column("kind", String(8), nullable=False),  # person or program
    Column("name", _NAME, nullable=False, unique=True),
    Column("skeleton", _NAME, nullable=False, unique=True),  # the same for names that look alike
    Column("shown", AnyText, nullable=False),
    Column("zone", String(64), nullable=False),
    Column("made_ms", BigInteger, nullable=False),
    Column("disabled_ms", BigInteger),
    # A person signs in by a password, or by an identity at a provider, and never by the other.
    Column("password", String(255)),  # Argon2id
    Column("password_ms", BigInteger),
    Column("issuer", String(255)),
    Column("subject", String(255)),
    sa.UniqueConstraint("issuer", "subject"),
)

second_factors = sa.Table(
    "second_factors",
    metadata,
    Column("account", ForeignKey("accounts.id"), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),  # under a key that is not in the database
    Column("made_ms", BigInteger, nullable=False),
    Column("in_force", Boolean, nullable=False),  # once a first code has matched
    Column("last_step", BigInteger, nullable=False),  # the newest code that was used
)

recovery_codes = sa.Table(
    "recovery_codes",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("account", ForeignKey("accounts.id"), nullable=False),
    Column("used_ms", BigInteger),
    sa.Index(None, "account"),
)

one_time_codes = sa.Table(
    "one_time_codes",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("account", ForeignKey("accounts.id"), nullable=False),
    Column("made_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Column("ended_ms", BigInteger),  # used, or replaced by another
    sa.Index(None, "account"),
)

sessions = sa.Table(
    "sessions",
    metadata,
    Column("id", _ROW_ID, primary_key=True),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("account", ForeignKey("accounts.id"), nullable=False),
    Column("how", String(32), nullable=False),
    Column("source", AnyText, nullable=False),
    Column("made_ms", BigInteger, nullable=False),
    Column("seen_ms", BigInteger, nullable=False),
    Column("ended_ms", BigInteger),
    Column("revoked", Boolean, nullable=False),  # ended by somebody, not by time
    sa.Index(None, "account"),
)

tokens = sa.Table(
    "tokens",
    metadata,
    Column("id", String(8), primary_key=True),  # the part that is shown in lists
    Column("digest", LargeBinary, nullable=False),
    Column("account", ForeignKey("accounts.id"), nullable=False),
    Column("label", AnyText, nullable=False),
    Column("scope", AnyText, nullable=False),  # permissions, with spaces between
    Column("made_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Column("used_ms", BigInteger),
    Column("revoked_ms", BigInteger),
    sa.Index(None, "account"),
)

grants = sa.Table(
    "grants",
    metadata,
    Column("id", _ROW_ID, primary_key=True),
    Column("account", ForeignKey("accounts.id"), nullable=False),
    Column("role", _NAME, nullable=False),
    Column("organisation", _NAME),  # None: all
    Column("proposed_by", AnyText, nullable=False),
    Column("proposed_ms", BigInteger, nullable=False),
    Column("confirmed_by", AnyText),
    Column("confirmed_ms", BigInteger),
    Column("ended_by", AnyText),
    Column("ended_ms", BigInteger),
    sa.Index(None, "account"),
)

# Whose a shipment is. An organisation's people see a shipment when it is in here.
shipment_parties = sa.Table(
    "shipment_parties",
    metadata,
    Column("organisation", _NAME, primary_key=True),
    Column("shipment", AnyText, primary_key=True),
    sa.Index(None, "shipment"),
)

# What slows down whoever guesses: failures by account and source, as digests.
sign_in_failures = sa.Table(
    "sign_in_failures",
    metadata,
    Column("bucket", LargeBinary, primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("last_ms", BigInteger, nullable=False),
    sa.Index(None, "last_ms"),
)

# Sources from which an account has been signed in to.
known_sources = sa.Table(
    "known_sources",
    metadata,
    Column("account", ForeignKey("accounts.id"), primary_key=True),
    Column("source", LargeBinary, primary_key=True),
    Column("seen_ms", BigInteger, nullable=False),
)

# Sign-ins at a provider that have begun; each ends at most once.
provider_sign_ins = sa.Table(
    "provider_sign_ins",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("issuer", String(255), nullable=False),
    Column("made_ms", BigInteger, nullable=False),
)
