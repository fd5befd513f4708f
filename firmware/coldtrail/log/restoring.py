"""Restores the state of a recorder, once in a wake, from a hint or from the log."""

import binascii
import os
import struct

from coldtrail.contract import cbor


def checked(retained, version):
    """Return the list that ``Recorder.retain`` has encoded; None for other bytes."""
    if len(retained) < 5:
        return None
    if struct.unpack_from("<I", retained)[0] != binascii.crc32(retained[4:]):
        return None
    try:
        hint = cbor.decode(retained[4:])
    except ValueError:
        return None
    if not isinstance(hint, list) or len(hint) != 5 or hint[0] != version:
        return None
    return hint


def replay(log, state):
    """Apply the newest checkpoint and the records after it to an empty state."""
    first = log.first
    if log.checkpoint is not None:
        state.load(cbor.decode(log.checkpoint))
        first = log.checkpoint_sequence + 1
    else:
        state.chain = os.urandom(8)
    for sequence, kind, payload in log.records(first):
        state.apply(sequence, kind, payload)
