"""Virtual time.

A run has one clock. It counts whole microseconds and moves only when somebody advances it, so a
run takes as long as its work takes and its order of events depends on nothing but the seed.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from heapq import heappop, heappush

US_PER_MS = 1_000
US_PER_S = 1_000_000
NEVER = 1 << 62
"""A moment after every other, in microseconds."""


class RunInvalidError(Exception):
    """The run proves nothing; the message is one sentence that says why."""


class Handle:
    """A call to come; ``cancel`` it at any time, also after it was made."""

    __slots__ = ("fn",)

    def __init__(self, fn: Callable[[], object]) -> None:
        self.fn: Callable[[], object] | None = fn

    def cancel(self) -> None:
        """Make sure that the call is not made."""
        self.fn = None

    @property
    def pending(self) -> bool:
        """Whether the call is still to come."""
        return self.fn is not None


class Clock:
    """Microseconds since the start of the run, and the calls due at later moments."""

    def __init__(self) -> None:
        self.now_us = 0
        self.next_us = NEVER
        """No call is due before this moment; it may belong to a call that was cancelled."""
        self._queue: list[tuple[int, int, Handle]] = []
        self._order = 0

    def call_at(self, us: int, fn: Callable[[], object]) -> Handle:
        """Call ``fn`` when the clock reaches ``us``; a moment already past means: at once.

        Calls due at one moment are made in the order in which they were asked for.
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
        """Move to ``us``, making every call due until then at its own moment.

        An exception of a call stops the clock at that call and passes through; the later calls
        stay due.
        """
        while self.next_us <= us:
            self._step()
        self.now_us = max(self.now_us, us)

    def step(self, limit_us: int) -> None:
        """Move to the next call due and make it, but not beyond ``limit_us``."""
        if self.next_us <= limit_us:
            self._step()
        else:
            self.now_us = max(self.now_us, limit_us)

    def _step(self) -> None:
        us, _, handle = heappop(self._queue)
        self.next_us = self._queue[0][0] if self._queue else NEVER
        fn, handle.fn = handle.fn, None
        if fn is not None:
            # A call made while another one advances the clock may find it ahead already.
            self.now_us = max(us, self.now_us)
            fn()


def rng(seed: int, name: str) -> random.Random:
    """Return the random numbers of one part, independent of every other part's."""
    return random.Random(f"{seed}/{name}")
