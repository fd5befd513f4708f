"""`time`: the clock and its source; `time set`: the clock, from who is at the cable."""

import time

from micropython import const

from coldtrail import clock, utc
from memory import forget

# Constants of records.py, repeated so that the compiler can inline them.
_CABLE = const(4)

_SOURCES = "? network satellites gateway cable".split()
_LONGEST_MS = const(3_600_000)  # a host that knows its time no better does not know it
_ASK = "utc, within ms: "  # boards/cable/line.py knows this question


async def do_time(console, words):
    """Show what time it is, and how surely; or have it set."""
    if words not in ([], ["set"]):
        raise ValueError("type time or time set")
    try:
        if words:
            await _set(console)
        _show(console)
    finally:
        forget("coldtrail", "clock", "utc")  # this module is given back after its command


def _show(console):
    state = console.state
    t, ms = console.port.since_boot(state.boot_rtc)
    sync = state.clock
    console.put("boot", state.boot)
    console.put("since_boot_s", t, "s")
    if sync is None:
        console.put("utc", None)
        return
    since = (t - sync[0]) * 1000 + ms - sync[1]
    console.put("utc", utc.text(sync[2] + (sync[3] + since) // 1000))
    console.put("uncertainty_ms", clock.uncertainty_ms(sync, t), "ms")
    console.put("source", _SOURCES[sync[5]])
    console.put("last_sync_s", since // 1000, "s ago")
    doubted = state.doubted
    if doubted is not None and not clock.agree(sync, doubted):
        console.put("contradicted_by", _SOURCES[doubted[5]])
        console.put("which_is_ahead_ms", clock.offset_ms(sync, doubted), "ms")


async def _set(console):
    """Ask for the time: it is that of some moment between the question and its answer."""
    recorder, state = console.recorder, console.state
    if recorder.boot:
        raise ValueError("the log is full: let it call first")
    if console.session.calling:
        raise ValueError("a call is under way: it may bring the time")
    await console.allow()
    asked = time.ticks_ms()
    words = (await console.ask(_ASK)).split()
    took = time.ticks_diff(time.ticks_ms(), asked)
    if len(words) != 2 or not words[1].isdigit():
        raise ValueError("answer as in 2027-01-31T12:00:00.250Z 500: right within 500 ms")
    unix, unix_ms = utc.moment(words[0])
    within = int(words[1])
    if within > _LONGEST_MS:
        raise ValueError("a time that may be an hour off sets no clock")
    then = clock.moment(console.port, state, time.ticks_add(asked, took // 2))
    fields = then + [unix, unix_ms, within + (took + 1) // 2, _CABLE]
    sync = state.clock
    if not clock.take(recorder, fields):
        raise ValueError(
            "that is %d ms ahead of the clock, which %s has set: it is recorded, and used once "
            "another source agrees" % (clock.offset_ms(sync, fields), _SOURCES[sync[5]])
        )
