"""Publishes unconfirmed blocks from the flash; unloaded before the confirmation is awaited."""

import time

from micropython import const

_URGENT = const(1)  # from records.py, so that the compiler puts it in place

_ANSWER_MS = const(30_000)


class Sealed:
    """A sealed block in the flash, which is read only when it is sent.

    The log's read buffer may hold something else by the time the modem is ready.
    """

    def __init__(self, recorder, sequence, size):
        """Stand for the block that is record ``sequence``, of ``size`` bytes."""
        self._recorder = recorder
        self._sequence = sequence
        self._size = size

    def __len__(self):
        """Return the size in bytes."""
        return self._size

    def __getitem__(self, part):
        """Return a slice, valid until anything is recorded; OSError when it is damaged."""
        return self._recorder.sealed(self._sequence)[part]


async def publish(session, client, topic):
    """Publish each unconfirmed block once: urgent ones first, then the oldest first."""
    first = session.state.pending if session.again is None else session.recorder.log.first
    urgent = oldest = first or session.recorder.log.next
    while True:
        if session.state.urgent:
            # An alarm that comes during the session is published before the backlog.
            session.recorder.seal()
        end = session.recorder.log.next
        found = _next(session, urgent, _URGENT)
        urgent = found[0] + 1 if found else end
        if found is None:
            found = _next(session, oldest, 0)
            if found is None:
                return
            oldest = found[0] + 1
        sequence, number, size = found
        session.expect(_ANSWER_MS)
        if number > session.repeated:
            session.published = time.ticks_ms()
            session.fresh = session.newest = max(session.newest, number)
        await client.publish(
            topic,
            Sealed(session.recorder, sequence, size),
            1 + number % 65535,
            number <= session.repeated,
            _ANSWER_MS,
        )


def _next(session, first, urgent):
    """Return (sequence, number, size) of the first block of that urgency to be published."""
    again = session.again
    for sequence, number, flags, sealed in session.recorder.blocks(first):
        if flags & _URGENT == urgent and (
            not session.state.is_confirmed(number) or (again is not None and number >= again)
        ):
            return sequence, number, len(sealed)
    return None
