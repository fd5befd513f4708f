"""Fills one block and seals it; how much heap that needs is for the caller to find out.

Prints the size of the sealed block. The module `uplink_memory_setting` has the MODE:
    IDLE       everything but the block, to compare with
    SEAL       the block in whatever heap there is
    FRAGMENTS  the block in a heap whose free parts are all of about 4 KiB
"""

import gc

from uplink_memory_setting import MODE

from coldtrail.contract import block, cbor, cose
from coldtrail.contract.mac0 import Mac0

KEY = bytes(32)
RECORD = [0, 0, 500, 2000, 450, 0, 3900, 10, -10, 1000]


def records():
    """Yield samples and, after each eighth, an event, with differences of one and two bytes."""
    n = 0
    while True:
        RECORD[0] = 301 * n
        RECORD[2] = 500 + n * 37 % 100
        RECORD[3] = 2000 + n * 370 % 1000
        yield 1, cbor.encode(RECORD)
        if n % 8 == 0:
            yield 9, cbor.encode((300 * n, 2, n))
        n += 1


def fill():
    """Return the sealed block of as many records as it holds."""
    builder = block.Builder(bytes(8), 1, bytes(16), 1, 0, 300, "SHIPMENT-0001")
    for kind, payload in records():
        if not builder.add(kind, payload):
            break
    builder.sync = (3, 4, 1700000000, 5, 600, 1)
    return builder.seal(KEY, 1, "CT-00000001")


def idle():
    """Do what `fill` does, without a block."""
    for n, (kind, payload) in enumerate(records()):
        if n == 100 or kind < 1:
            break
        cbor.decode(payload)
    message = Mac0(1, cose.BLOCK, len(payload))
    message.raw(payload)
    return message.seal(KEY, "up", "CT-00000001")


def fragment():
    """Fill the heap, then free every other piece of 4 KiB; return what keeps the rest."""
    pieces, rest = [], None
    gc.collect()
    try:
        while True:
            pieces.append(bytearray(4096))
    except MemoryError:
        pass
    try:
        while True:
            rest = (rest, bytearray(16))
    except MemoryError:
        pass
    for i in range(0, len(pieces), 2):
        pieces[i] = None
    gc.collect()
    try:
        bytearray(4096 + 64)
        raise RuntimeError("the heap is not in pieces")
    except MemoryError:
        pass
    return pieces, rest


if MODE == "IDLE":
    print(len(idle()))
else:
    kept = fragment() if MODE == "FRAGMENTS" else None
    print(len(fill()))
