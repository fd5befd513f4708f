"""What a shipment's registered profile says of its limits and of when its tracker calls.

A profile is registered as `{"cbor": "<hex>"}`: the bytes that the tracker stores (`profile.cbor`,
as `coldtrail profile NAME -o FILE` makes it). Their digest is what the tracker names in event 7,
so that the gateway knows whether the tracker works by the same profile. Any other JSON is kept and
not understood here: then nothing is known of the limits, and that is said.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Final

from coldtrail_gateway.contract import cbor
from coldtrail_gateway.contract.cbor import CborError, Value
from coldtrail_gateway.contract.events import SAMPLED

Limit = tuple[int, int]
"""A comparison (contract: 1 <, 2 <=, 3 >, 4 >=) and a threshold in the channel's unit."""

_ID, _KIND, _CHANNEL, _COMPARISON, _THRESHOLD = range(5)
_NAME, _UPLOAD, _ALARM_UPLOAD, _RULES = 1, 4, 5, 7
_RULE_SIZE: Final = 8
_DIGEST_SIZE: Final = 8


@dataclass(frozen=True, slots=True)
class Profile:
    """A profile as far as the read model needs it.

    `limits`: by channel, what its rules compare readings with, each once. `upload_s` and
    `alarm_upload_s`: how often the tracker calls. `digest`: by which event 7 names it.
    """

    name: str
    upload_s: int
    alarm_upload_s: int
    limits: tuple[tuple[int, tuple[Limit, ...]], ...]
    digest: str


@lru_cache(maxsize=1024)
def read(registered: str | None) -> Profile | None:
    """Return the profile in a registration's JSON; None where there is none that is known."""
    if registered is None:
        return None
    try:
        data = bytes.fromhex(json.loads(registered)["cbor"])
        fields = cbor.decode(data)
    except (ValueError, TypeError, KeyError, CborError):
        return None
    if not isinstance(fields, dict) or fields.get(0) != 1:
        return None
    name, upload, alarm_upload = (fields.get(key) for key in (_NAME, _UPLOAD, _ALARM_UPLOAD))
    rules = fields.get(_RULES)
    if not isinstance(name, str) or not isinstance(upload, int):
        return None
    if not isinstance(alarm_upload, int) or not isinstance(rules, list):
        return None
    limits: dict[int, set[Limit]] = {}
    for rule in rules:
        channel, limit = _limit(rule)
        if channel is not None and limit is not None:
            limits.setdefault(channel, set()).add(limit)
    ordered = tuple((channel, tuple(sorted(limits[channel]))) for channel in sorted(limits))
    return Profile(name, upload, alarm_upload, ordered, sha256(data).digest()[:_DIGEST_SIZE].hex())


def _limit(rule: Value) -> tuple[int | None, Limit | None]:
    if not isinstance(rule, list) or len(rule) != _RULE_SIZE:
        return None, None
    channel, comparison, threshold = rule[_CHANNEL], rule[_COMPARISON], rule[_THRESHOLD]
    if not isinstance(channel, int) or not 0 <= channel < len(SAMPLED):
        return None, None
    if not isinstance(comparison, int) or not 1 <= comparison <= 4:
        return None, None
    return (channel, (comparison, threshold)) if isinstance(threshold, int) else (None, None)
