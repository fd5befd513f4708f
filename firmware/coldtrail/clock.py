"""Decides whether a source of time is believed; imported for each time and unloaded afterwards.

The running clock is the last clock sync plus the time by the tracker's own counter. It continues
through deep sleep, and through a reset that leaves the counter running. A source that agrees with
it is used. A source that contradicts it is recorded as evidence (event 22) and not used until a
second source, of another kind, agrees with that. So one network that is an hour off moves neither
a sample nor the silence of a planned flight. The first source after power-on cannot be compared
with anything. The gateway's time, which comes in every session, or that of satellites follows it.
"""

import time

from micropython import const

# Constants of records.py, repeated so that the compiler can inline them.
_CLOCK_SYNC = const(4)
_DOUBTED_TIME = const(22)
_NETWORK = const(1)

# A sync states only the uncertainty of its reading. The source itself may be off by this, too.
# Some networks are a whole second late (3GPP TS 22.042 promises no more than minutes).
_SOURCE_MS = const(2_000)
_DRIFT = const(10)  # s in which the counter may drift by 1 ms: the contract's 100 ppm


def moment(port, state, ticks):
    """Return the [t, ms] since boot of a moment in ``time.ticks_ms()``, not before the boot."""
    t, ms = port.since_boot(state.boot_rtc)
    total = max(0, t * 1000 + ms - time.ticks_diff(time.ticks_ms(), ticks))
    return [total // 1000, total % 1000]


def offset_ms(running, other):
    """Return by how many ms ``other`` is ahead of ``running`` plus the time by the counter."""
    seconds = other[2] - running[2] - (other[0] - running[0])
    return seconds * 1000 + other[3] - running[3] - (other[1] - running[1])


def uncertainty_ms(sync, t):
    """Return by how many ms the clock may be off at ``t`` (seconds since boot) after ``sync``."""
    return sync[4] + abs(t - sync[0]) // _DRIFT + 1


def agree(running, other):
    """Return whether two syncs of one boot can both be right."""
    most = uncertainty_ms(running, other[0]) + other[4] + _SOURCE_MS
    return abs(offset_ms(running, other)) <= most


def take(recorder, fields):
    """Record the time that a source gives; return whether it can be right by what is known.

    ``fields`` is (t, ms, unix, unix_ms, uncertainty_ms, source). A time without news is not
    recorded: a doubted source that repeats its time, and a source other than the network that is
    no more certain than the running clock.
    """
    state = recorder.state
    running, doubted = state.clock, state.doubted
    source = fields[5]
    believed = running is None or agree(running, fields)
    if believed:
        is_news = (
            source == _NETWORK
            or state.sync is None
            or doubted is not None
            or fields[4] < uncertainty_ms(running, fields[0])
        )
    elif doubted is not None and agree(doubted, fields):
        is_news = believed = source != doubted[5]
    else:
        is_news = True
    if is_news:
        recorder.record(_CLOCK_SYNC if believed else _DOUBTED_TIME, fields)
    return believed
