"""Flight mode (event 12): in the air radio and GNSS are off, sampling and alarms go on.

In a planned leg (identity.cbor) the tracker is silent by the clock. The silence begins two minutes
early, so that a session under way has ended, and it is longer at both ends by as much as the clock
may be off. While a source of time contradicts the clock, the legs by both are silent. Without a
clock nobody can tell whether a leg is under way, so the floor decides: in the air it shakes. The
tracker calls while the floor stands still. It cannot stay silent for as long as the plan might
apply, because a tracker that never calls never learns the time.

The accelerometer detects a take-off that is not planned, if the profile asks for it (key 13): the
floor shakes, and for 20 s it is pushed as only a take-off run and a climb do. Nothing is sent from
that moment on. A quarter of an hour later the modem listens once (listen.py): a lorry on a bad
road still finds cells, an aircraft finds none. Cells that appear later change nothing.

Flight mode ends with the planned arrival. After a take-off, and without a clock, it ends when the
floor has stood still for ten minutes, which no aircraft's does in the air. It ends at the latest
after the time that the profile states; without a clock, after the time of the longest planned leg;
when a boot in a planned leg has lost the clock, after the rest of that leg.

The module is imported when it is needed, and unloaded afterwards. Between wakes, the state keeps
``flight``, which follows from the log, and the RTC memory keeps ``memory``.
"""

import asyncio
import time

from micropython import const

from memory import forget

# From records.py, so that the compiler puts them in place.
_FLIGHT_MODE = const(12)
_PLANNED = const(1)
_TAKE_OFF = const(2)
_ARRIVAL = const(3)
_TIME_LIMIT = const(4)
_NO_CLOCK = const(5)

_TASK = "flight"

FREE = const(0)
SILENT = const(1)
LISTEN = const(2)  # silent, and the modem must look for cells now

_MARGIN_S = const(120)
_DRIFT = const(10)  # s in which the counter may drift by 1 ms: the contract's 100 ppm

# Sums of the three axes' variances in mg^2. The sensor's own noise makes 75; what an aircraft's
# engines and air do to its floor is several times 10 mg on each axis.
_SHAKING = const(300)
# Run and climb push with 0.1 to 0.35 g: the engines, and gravity on an inclined floor. A box that
# is turned is pushed by more.
_PUSH_MG = const(100)
_TURN_MG = const(450)
_CLIMB_S = const(20)  # a lorry brakes or accelerates for a shorter time
_PACE_MS = const(2000)
_STAND_S = const(600)
_LOOKS = const(3)
_LOOK_MS = const(200)
_LISTEN_S = const(900)  # after the take-off; an aircraft is then out of reach of cells

# Memory.
REST = const(0)  # (x, y, z) in mg when the floor last stood still, or None
STOOD = const(1)  # since when the floor stands still, in seconds since boot, or None
LISTENED = const(2)  # whether the modem has listened for cells since the take-off


def look_after(port, recorder, memory, watchdog, while_sampling):
    """Follow the flight at a wake; return (silent, departure).

    silent: whether nothing may be sent. departure: when the silence of the next planned leg
    begins, in seconds since boot, or None. ``while_sampling(coroutine)`` runs a coroutine while
    samples are taken; without it the modem does not listen now.
    """

    def now():
        return port.since_boot(recorder.state.boot_rtc)[0]

    def read():
        from drivers import lis2dw12_motion

        sensor = port.sensor("accelerometer")
        return None if sensor is None else lis2dw12_motion.read(sensor)

    def pause(ms):
        watchdog.feed()
        time.sleep_ms(ms)

    todo = follow(recorder, memory, now, read, pause)
    forget("drivers", "lis2dw12_motion")
    port.release_all()
    if todo == LISTEN and while_sampling:
        from drivers.bg95 import listen

        memory[LISTENED] = True
        watchdog.expect(_TASK, 2 * listen.LIMIT_MS)
        if asyncio.run(while_sampling(listen.hears(port.modem(), recorder.identity.pin))):
            heard(recorder, now())
        watchdog.done(_TASK)
        forget("drivers.bg95", "listen", "pin", "power_on", "power")
    return recorder.state.flight is not None, departure(recorder, now())


def follow(recorder, memory, now, read, pause):
    """Record what has begun or ended; return FREE, SILENT or LISTEN.

    ``memory``: a list, empty at first. ``now()``: seconds since boot. ``read()``: (x, y, z,
    variance), or None, see lis2dw12_motion.py. ``pause(ms)`` waits.
    """
    state, profile, t = recorder.state, recorder.profile, now()
    if not memory:
        # A tracker that has booted in the air does not know whether it has listened, so it does
        # not listen again.
        memory.extend((None, None, state.flight is not None))
    if recorder.boot:  # the log is full: there is no boot yet to count seconds from
        return FREE if state.flight is None else SILENT
    blind = state.clock is None and bool(recorder.identity.flights)
    motion = read() if profile.flight_limit or blind else None
    _note(memory, t, motion)
    ended = None
    if state.flight is not None:
        ended = _end(recorder, memory, t)
        if ended:
            recorder.record(_FLIGHT_MODE, [t, 0, ended])
    if state.flight is not None:
        pass
    elif is_planned(recorder, t):
        recorder.record(_FLIGHT_MODE, [t, 1, _PLANNED])
    elif ended:
        pass  # records that wait to be sent come first
    elif blind and _may_fly(state, motion, read, pause):
        recorder.record(_FLIGHT_MODE, [t, 1, _NO_CLOCK])
    elif _climbs(memory, motion, read, pause):
        memory[STOOD], memory[LISTENED] = None, False
        recorder.record(_FLIGHT_MODE, [now(), 1, _TAKE_OFF])
    if state.flight is None:
        return FREE
    begun, cause, _ = state.flight
    if cause == _TAKE_OFF and not memory[LISTENED] and t - begun >= _LISTEN_S:
        return LISTEN
    return SILENT


def heard(recorder, t):
    """Note that cells are in reach, so the tracker has not taken off."""
    recorder.record(_FLIGHT_MODE, [t, 0, _ARRIVAL])


def departure(recorder, t):
    """Return when the silence of the next planned leg begins, in seconds since boot, or None."""
    begins = [t + begin for begin, _ in _legs(recorder, t) if begin > 0]
    return min(begins) if begins else None


def is_planned(recorder, t):
    """Return whether a planned leg may be under way, by the clock or a source against it."""
    return any(begin <= 0 < end for begin, end in _legs(recorder, t))


def _legs(recorder, t):
    """Return [from, until] of the silence of each leg, in seconds from ``t`` on."""
    legs = []
    for sync in (recorder.state.clock, recorder.state.doubted):
        if sync is not None:
            passed = t - sync[0]
            off = (sync[4] + abs(passed) // _DRIFT) // 1000 + 1
            for begin, end in recorder.identity.flights:
                zero = sync[2] + passed
                legs.append((begin - _MARGIN_S - off - zero, end + off - zero))
    return legs


def _end(recorder, memory, t):
    """Return the cause of the end of the flight under way, or None while it goes on."""
    state = recorder.state
    begun, cause, unix = state.flight
    if state.clock is not None and cause in (_PLANNED, _NO_CLOCK):
        return None if cause == _PLANNED and is_planned(recorder, t) else _ARRIVAL
    stood = memory[STOOD] is not None and t - memory[STOOD] >= _STAND_S
    if cause == _PLANNED:
        longest = _left(recorder.identity.flights, unix)
    elif stood:
        return _ARRIVAL
    elif cause == _NO_CLOCK:
        longest = _left(recorder.identity.flights, None)
    else:
        longest = recorder.profile.flight_limit
    return _TIME_LIMIT if t - begun >= longest else None


def _left(flights, unix):
    """Return how many seconds the leg under way lasts from ``unix`` on.

    A leg that begins before the end of this one extends it. Without a leg, or when ``unix`` is
    None, the result is the length of the longest leg.
    """
    until = unix or 0
    for begin, end in sorted(flights):
        if begin - 2 * _MARGIN_S <= until < end:
            until = end
    if unix is not None and until > unix:
        return until - unix
    return max([end - begin + _MARGIN_S for begin, end in flights]) if flights else 0


def _may_fly(state, motion, read, pause):
    """Return whether the floor does not visibly stand still.

    The accelerometer's FIFO may have been emptied a moment ago, so it is read again. If it still
    has no samples, the floor counts as shaking. Without a shipment the part is off and the floor
    counts as still.
    """
    for _ in range(_LOOKS):
        if motion is not None:
            return motion[3] >= _SHAKING
        pause(_LOOK_MS)
        motion = read()
    return state.shipment is not None


def _note(memory, t, motion):
    """Remember how the tracker lies, and since when the floor stands still."""
    if motion is None:
        return
    if motion[3] >= _SHAKING:
        memory[STOOD] = None
    else:
        if memory[STOOD] is None:
            memory[STOOD] = t
        memory[REST] = motion[:3]


def _climbs(memory, motion, read, pause):
    """Measure for as long as a climb takes; return whether it is a take-off."""
    left_ms = _CLIMB_S * 1000
    while _is_pushed(memory[REST], motion):
        if left_ms <= 0:
            return True
        pause(_PACE_MS)
        left_ms -= _PACE_MS
        motion = read()
    return False


def _is_pushed(rest, motion):
    if rest is None or motion is None or motion[3] < _SHAKING:
        return False
    square = sum([(a - b) * (a - b) for a, b in zip(rest, motion)])
    return _PUSH_MG * _PUSH_MG <= square <= _TURN_MG * _TURN_MG
