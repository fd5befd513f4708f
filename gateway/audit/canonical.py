"""The one way in which a record is written as bytes: JSON Canonicalization (RFC 8785).

JSON and not deterministic CBOR, because whoever checks a hash or a signature years later reads the
bytes with his own eyes, and jq, sha256sum and openssl are all he needs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import rfc8785

from coldtrail_gateway.errors import GatewayError

Json: TypeAlias = "Mapping[str, Json] | Sequence[Json] | str | int | float | bool | None"


class CanonicalError(GatewayError):
    """A value that has no canonical form."""


def encode(value: Json) -> bytes:
    """Return the canonical form, UTF-8 on one line: equal values give equal bytes.

    Raises:
        CanonicalError: it holds what is no JSON, an integer beyond ±(2^53 - 1), no finite number,
            or text that UTF-8 cannot hold.
    """
    try:
        encoded = rfc8785.dumps(_plain(value))
        if rfc8785.dumps(_loaded(encoded)) == encoded:
            return encoded
        reason = "it does not come back as it was"
    except (ValueError, RecursionError) as error:
        reason = str(error)
    raise CanonicalError(f"A record cannot be written in canonical JSON: {reason}.")


def decode(encoded: bytes | str) -> Any:
    """Return the value of a canonical form.

    Raises:
        ValueError: it is not canonical: other bytes mean the same.
    """
    wanted = encoded.encode() if isinstance(encoded, str) else encoded
    try:
        value = _loaded(wanted)
        canonical = rfc8785.dumps(value) == wanted
    except RecursionError:
        canonical = False
    if not canonical:
        raise ValueError("it is not canonical JSON")
    return value


def _loaded(encoded: bytes) -> Any:
    return json.loads(encoded)


def _plain(value: Json) -> Any:
    """Return the mappings and sequences as those that the encoder knows."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
