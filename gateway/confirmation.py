"""The confirmation document: which of a tracker's blocks are kept (`uplink.cddl`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cbor2

from gateway import ranges
from gateway.block import HASH_SIZE
from gateway.ranges import Range

MAX_RANGES: Final = 16

_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class State:
    """What is kept of one chain.

    `kept` holds joined ranges of block numbers, at least the watermark's and the first
    `MAX_RANGES` beyond it. `digest` is the SHA-256 of the sealed block at the watermark.
    """

    chain: bytes
    kept: tuple[Range, ...]
    digest: bytes | None


def payload(state: State, now_ms: int) -> bytes:
    """Return what tells a tracker what it may overwrite, to be sealed with its downlink key.

    `now_ms`: the gateway's time, UTC in ms since 1970.
    """
    watermark = ranges.watermark(state.kept)
    further = state.kept[1:] if watermark else state.kept
    return cbor2.dumps(
        {
            0: _VERSION,
            1: state.chain,
            2: watermark,
            3: state.digest[:HASH_SIZE] if watermark and state.digest else bytes(HASH_SIZE),
            4: [list(span) for span in further[:MAX_RANGES]],
            5: now_ms // 1000,
            6: now_ms % 1000,
        }
    )
