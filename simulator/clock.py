"""Virtual time.

A run has one clock. It counts whole microseconds and moves only when it is advanced. The duration
of a run therefore depends only on the work in it, and the order of its events only on the seed.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from heapq import heappop, heappush

US_PER_MS = 1_000
US_PER_S = 1_000_000
NEVER = 1 << 62
"""A time after every other, in microseconds."""


class RunInvalidError(Exception):
    """The run proves nothing; the message is one sentence with the reason."""


class Handle:
    """A scheduled call; ``cancel`` is allowed at any time, also after the call."""

    __slots__ = ("fn",)

    def __init__(self, fn: Callable[[], object]) -> None:
        self.fn: Callable[[], object] | None = fn

    def cancel(self) -> None:
        """Prevent the call."""
        self.fn = None

    @property
    def pending(self) -> bool:
        """Whether the call is still scheduled."""
        return self.fn is not None


class Clock:
    """Microseconds since the start of the run, and the scheduled calls."""

    def __init__(self) -> None:
        self.now_us = 0
        self.next_us = NEVER
        """The earliest time at which a call may be due; the call may have been cancelled."""
        self._queue: list[tuple[int, int, Handle]] = []
        self._order = 0

    def call_at(self, us: int, fn: Callable[[], object]) -> Handle:
        """Call ``fn`` when the clock reaches ``us``; immediately if this time has passed.

        Calls for the same time are made in the order in which they were scheduled.
        """
        handle = Handle(fn)
        heappush(self._queue, (max(us, self.now_us), self._order, handle))
        self._order += 1
        self.next_us = self._queue[0][0]
        return handle

    def call_after(self, us: int, fn: Callable[[], object]) -> Handle:
        """Call ``fn`` in ``us`` microseconds."""
        return self.call_at(self.now_us + us, fn)

    def advance_to(self, us: int) -> None:
        """Move to ``us`` and make every call on the way at its own time.

        An exception of a call stops the clock at that call and is passed on; the later calls stay
        scheduled.
        """
        while self.next_us <= us:
            self._step()
        self.now_us = max(self.now_us, us)

    def step(self, limit_us: int) -> None:
        """Move to the next scheduled call and make it, but not beyond ``limit_us``."""
        if self.next_us <= limit_us:
            self._step()
        else:
            self.now_us = max(self.now_us, limit_us)

    def _step(self) -> None:
        us, _, handle = heappop(self._queue)
        self.next_us = self._queue[0][0] if self._queue else NEVER
        fn, handle.fn = handle.fn, None
        if fn is not None:
            # A call that runs while another one advances the clock may find it ahead already.
            self.now_us = max(us, self.now_us)
            fn()


def rng(seed: int, name: str) -> random.Random:
    """Return the random number generator of one part, independent of all others."""
    return random.Random(f"{seed}/{name}")
