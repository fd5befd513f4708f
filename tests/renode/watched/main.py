"""The entry point of a tracker whose heap is watched: what is free after a collection, at least.

It looks whenever a task sleeps, which every call does several times a second, and says each new
least on the console. The same is kept in memory, where an emulator's monitor can find it.
"""

import asyncio
import gc

LEAST = bytearray(b"heap free at least 99999999 bytes")
_sleep_ms = asyncio.sleep_ms


def sleep_ms(ms):
    gc.collect()
    free = gc.mem_free()
    if free < int(LEAST[19:27]):
        LEAST[19:27] = b"%8d" % free
        print(LEAST.decode())
    return _sleep_ms(ms)


asyncio.sleep_ms = sleep_ms

from coldtrail.start import start  # noqa: E402

start()
