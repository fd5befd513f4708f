"""Seals records of the log into blocks; imported for this work and unloaded afterwards."""

import struct

from micropython import const

# From records.py, so that the compiler puts them in place.
_LOG_GAP = const(9)
_INTERNAL = const(28)
_BLOCK = const(28)
_URGENT = const(1)
_COMPLETE = const(2)
_DAMAGED = const(2)
_BLOCK_HEAD = "<IIB"


def seal_one(recorder):
    """Seal one block of the records that are in no block yet; return whether there are more.

    Raises LogFull, OSError.
    """
    state, log, identity = recorder.state, recorder.log, recorder.identity
    builder = None
    last = damaged = missing = 0
    complete = True
    due = max(state.unsealed, log.first)
    for sequence, kind, payload in log.records(due):
        missing += sequence - due  # records before it whose CRC is wrong
        due = sequence + 1
        if kind >= _INTERNAL:
            continue
        if builder is None:
            from coldtrail.contract import block

            builder = block.Builder(
                state.chain,
                state.number + 1,
                state.previous,
                state.boot,
                sequence,
                state.leading or state.interval,
                state.shipment,
            )
        try:
            if not builder.add(kind, payload):
                complete = False
                break
        except ValueError:
            # The CRC is right, so the firmware wrote it wrongly. The block is sealed without it,
            # because otherwise no block could be sealed any more.
            damaged += 1
        damaged += missing
        missing = 0
        last = sequence
    if builder is None:
        return False
    builder.sync = state.sync
    builder.urgent = state.urgent
    sealed = builder.seal(identity.uplink_key, identity.kid, identity.tracker)
    builder = None  # the collected columns take as much memory as the block
    flags = (_URGENT if state.urgent else 0) | (_COMPLETE if complete else 0)
    recorder.append(_BLOCK, struct.pack(_BLOCK_HEAD, state.number + 1, last, flags) + sealed)
    if damaged:
        recorder.record(_LOG_GAP, [state.last or 0, _DAMAGED, damaged])
    return not complete
