"""Keeps secrets out of what was before and after: by the name of a field, and by type.

An entry is for ever and many read it, so that a secret in one could not be taken back. Whoever
changes a secret states it by its field; the entry says that it changed and not to what.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from pydantic import SecretBytes, SecretStr

from coldtrail_gateway import urls
from coldtrail_gateway.audit.canonical import Json

HIDDEN: Final = "(not recorded)"

# A field is secret if one of these words is anywhere in its name …
ANYWHERE: Final = frozenset(
    "authorization bearer cookie credential credentials downlink otp passphrase passwd password "
    "passwords private recovery secret secrets totp uplink verifier".split()
)
# … or if its name ends in one of these: key_version and token_id are no secrets.
AT_THE_END: Final = frozenset("key keys pem pin token tokens".split())
# The other half of a key pair is made to be shown.
PUBLIC: Final = frozenset({"public_key", "public_keys"})

_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def is_secret(field: str) -> bool:
    """Tell whether what a field of this name holds is never recorded."""
    words = [word.lower() for word in _WORD.findall(field)]
    if "_".join(words) in PUBLIC or not words:
        return False
    return not ANYWHERE.isdisjoint(words) or words[-1] in AT_THE_END


def redact(value: Any) -> Json:
    """Return a value without its secrets, at any depth; a URL loses its password and query.

    Bytes other than a secret's stay, and are refused later: nobody knows what they are.
    """
    if isinstance(value, Mapping):
        return {
            str(name): HIDDEN if is_secret(str(name)) and item is not None else redact(item)
            for name, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [redact(item) for item in value]
    if isinstance(value, (SecretStr, SecretBytes)):
        return HIDDEN
    if isinstance(value, str) and urls.is_url(value):
        return _shown(value)
    return value  # type: ignore[no-any-return]


def _shown(url: str) -> str:
    try:
        parts = urls.parse(url)
    except ValueError:
        # Where it cannot be taken apart, a password could be anywhere in it.
        return HIDDEN
    return str(parts) if parts.password is not None or parts.query else url
