"""Secrets that are shown once: random, told apart by how they begin, kept as a digest.

Each has at least 128 random bits, so that a plain SHA-256 of it tells a thief nothing; a slow
hash is for what people make up. The beginning says what it is, to people and to programs that
look for secrets in files where none belongs.
"""

from __future__ import annotations

import base64
import secrets
from hashlib import sha256
from typing import Final

SESSION: Final = "cts_"
TOKEN: Final = "ctp_"  # noqa: S105 - how tokens begin
LONGEST: Final = 128
_BYTES: Final = 32
_TYPED_BYTES: Final = 16
_GROUP: Final = 5


def new(prefix: str) -> str:
    """Return a new secret that programs carry."""
    return prefix + secrets.token_urlsafe(_BYTES)


def new_typed(size: int = _TYPED_BYTES) -> str:
    """Return a new secret that people type: groups of letters and digits, none mistakable."""
    text = base64.b32encode(secrets.token_bytes(size)).decode().rstrip("=").lower()
    return "-".join(text[at : at + _GROUP] for at in range(0, len(text), _GROUP))


def digest(secret: str) -> bytes:
    """Return what is kept of a secret; nothing that is too long to be one is even read."""
    given = secret[: LONGEST + 1].strip()
    return sha256(given.encode("utf-8", "surrogatepass")).digest()


def digest_typed(secret: str) -> bytes:
    """Return what is kept of one that was typed, whatever its capitals and gaps are."""
    given = secret[: LONGEST + 1].casefold()
    return digest("".join(one for one in given if one.isascii() and one.isalnum()))
