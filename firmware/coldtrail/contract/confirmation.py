"""Confirmation: the blocks that the gateway has stored (firmware/uplink.cddl)."""

from micropython import const

from coldtrail.contract.cbor import decode
from coldtrail.contract.limits import NUMBER, check, check_all

_VERSION = const(1)
_RANGES = const(16)
_FIELDS = (
    (_VERSION, _VERSION),
    (bytes, 8, 8),
    (0, 4294967295),
    (bytes, 16, 16),
    (list, 0, _RANGES),
    (1577836800, 4294967295),
    (0, 999),
)


def parse(payload):
    """Return (chain, watermark, hash, ranges, unix, ms) of a payload with a verified MAC.

    The gateway has stored blocks 1 to watermark and those in ranges, a list of at most 16 [first,
    last] pairs. unix and ms are the gateway's time. Raises ValueError for anything else than the
    contract allows.
    """
    document = decode(payload, 3)
    if not isinstance(document, dict) or sorted(document) != list(range(len(_FIELDS))):
        raise ValueError("confirmation: not a map of keys 0 to %d" % (len(_FIELDS) - 1))
    fields = [document[key] for key in range(len(_FIELDS))]
    check_all("confirmation", fields, _FIELDS)
    _, chain, watermark, digest, ranges, unix, ms = fields
    if watermark == 0 and digest != bytes(16):
        raise ValueError("confirmation: a hash without a block")
    kept = watermark
    for pair in ranges:
        check_all("confirmation, range", pair, (NUMBER, NUMBER))
        # Ranges that touch the watermark or each other must be merged.
        check("confirmation, range", pair[0], (kept + 2, pair[1]))
        kept = pair[1]
    return chain, watermark, digest, ranges, unix, ms
