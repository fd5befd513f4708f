"""The confirmation document: which of a tracker's blocks are kept (`uplink.cddl`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cbor2

from coldtrail_gateway.contract import cbor, ranges
from coldtrail_gateway.contract.block import HASH_SIZE, BlockError
from coldtrail_gateway.contract.cbor import CborError
from coldtrail_gateway.contract.fields import MILLISECONDS, UNIX
from coldtrail_gateway.contract.ranges import Range
from coldtrail_gateway.contract.utc import iso

MAX_RANGES: Final = 16

_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class State:
    """The blocks of one chain that are kept.

    `kept` has joined ranges of block numbers: that of the watermark, and the newest `MAX_RANGES`
    beyond it. `digest` is the SHA-256 of the sealed block at the watermark.
    """

    chain: bytes
    kept: tuple[Range, ...]
    digest: bytes | None


def payload(state: State, now_ms: int) -> bytes:
    """Return the payload that says what a tracker may overwrite; the caller seals it.

    The key is the tracker's downlink key. `now_ms`: the gateway's time, UTC in ms since 1970.
    """
    watermark = ranges.watermark(state.kept)
    further = state.kept[1:] if watermark else state.kept
    return cbor2.dumps(
        {
            0: _VERSION,
            1: state.chain,
            2: watermark,
            3: state.digest[:HASH_SIZE] if watermark and state.digest else bytes(HASH_SIZE),
            4: [list(span) for span in further],
            5: now_ms // 1000,
            6: now_ms % 1000,
        }
    )


def read(payload: bytes) -> dict[str, object]:
    """Return what a confirmation says, by name.

    Raises:
        BlockError: it is none of this contract.
    """
    try:
        value = cbor.decode(payload)
    except CborError as error:
        raise BlockError(str(error)) from None
    if isinstance(value, dict) and value.keys() == set(range(7)) and value[0] == _VERSION:
        chain, watermark, digest, further, unix, ms = (value[key] for key in range(1, 7))
        if (
            isinstance(chain, bytes)
            and isinstance(watermark, int)
            and isinstance(digest, bytes)
            and isinstance(further, list)
            and isinstance(unix, int)
            and isinstance(ms, int)
            and UNIX.low <= unix <= UNIX.high
            and MILLISECONDS.low <= ms <= MILLISECONDS.high
        ):
            return {
                "chain": chain.hex(),
                "watermark": watermark,
                "watermark_hash": digest.hex(),
                "further": further,
                "now": iso(unix * 1000 + ms),
            }
    raise BlockError("not a confirmation of this contract")
