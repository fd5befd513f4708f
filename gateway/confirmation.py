"""The confirmation document: which of a tracker's blocks are kept (`uplink.cddl`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cbor2

from gateway import envelope
from gateway.envelope import Kind

MAX_RANGES: Final = 16
HASH_SIZE: Final = 16

_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class State:
    """What is kept of one chain of a tracker.

    `kept` holds closed ranges of block numbers, ascending and not touching each other.
    `watermark_digest` is the SHA-256 of the sealed block at the watermark, if there is one.
    """

    tracker: str
    chain: bytes
    key_version: int
    kept: tuple[tuple[int, int], ...]
    watermark_digest: bytes | None

    @property
    def watermark(self) -> int:
        """Blocks 1 to this number are all kept."""
        return self.kept[0][1] if self.kept and self.kept[0][0] == 1 else 0


def document(state: State, key: bytes, now_ms: int) -> bytes:
    """Return the sealed document that tells a tracker what it may overwrite.

    `key` is the downlink key of version `state.key_version`, `now_ms` UTC in ms since 1970.
    """
    further = state.kept[1:] if state.watermark else state.kept
    digest = state.watermark_digest if state.watermark else None
    payload = {
        0: _VERSION,
        1: state.chain,
        2: state.watermark,
        3: digest[:HASH_SIZE] if digest else bytes(HASH_SIZE),
        4: [list(span) for span in further[:MAX_RANGES]],
        5: now_ms // 1000,
        6: now_ms % 1000,
    }
    return envelope.seal(
        cbor2.dumps(payload), Kind.CONFIRMATION, state.tracker, state.key_version, key
    )
