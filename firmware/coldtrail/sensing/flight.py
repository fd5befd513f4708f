"""Flight mode (event 12): in the air radio and GNSS are off, sampling and alarms go on.

A planned leg (identity.cbor) is kept silent by the clock, from two minutes before it begins, so
that a session under way is over by then, and for as long as the clock may be off. While a source
of time contradicts the clock, the legs by either of them are silent. Without a clock nobody can
tell whether a leg is under way, so the floor decides: in the air it shakes. Calls are made while
it stands still. To be silent for as long as the plan could apply would be for ever, since a
tracker that never calls never learns the time.

A take-off that nobody has planned is seen by the accelerometer, where the profile wants it looked
for (key 13): the floor shakes, and for 20 s it is pushed aside as only a take-off run and a climb
do. Nothing is sent from that moment on. A quarter of an hour later the modem listens once
(listen.py): a lorry on a bad road still finds cells, an aircraft finds none. Cells that come into
view afterwards change nothing.

It ends with the planned arrival; after a take-off once the floor has stood still for ten minutes,
as no aircraft's does in the air, and so it does without a clock; at the latest after the time that
the profile states, without a clock that of the longest planned leg, and where a boot in a planned
leg has lost the clock, after what was left of that leg.

Imported when there is something to look after, and given back. What stays is the state's
``flight``, a fold of the log, and ``memory`` in the RTC memory.
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
LISTEN = const(2)  # silent, and to look for cells now

_MARGIN_S = const(120)
_DRIFT = const(10)  # s that the counter takes to be 1 ms off, by the contract's 100 ppm

# Sums of the three axes' variances in mg^2. The sensor's own noise makes 75; what an aircraft's
# engines and air do to its floor is several times 10 mg on each axis.
_SHAKING = const(300)
# Run and climb push with 0.1 to 0.35 g: the engines, and gravity on an inclined floor. A box that
# is turned is pushed by more.
_PUSH_MG = const(100)
_TURN_MG = const(450)
_CLIMB_S = const(20)  # a lorry brakes and pulls away for less
_PACE_MS = const(2000)
_STAND_S = const(600)
_LOOKS = const(3)
_LOOK_MS = const(200)
_LISTEN_S = const(900)  # from the take-off: by then out of reach of the ground

# Memory.
REST = const(0)  # (x, y, z) in mg as it stood still last, or None
STOOD = const(1)  # since when it stands still, in seconds since boot, or None
LISTENED = const(2)  # whether cells have been looked for since the take-off


def look_after(port, recorder, memory, watchdog, while_sampling):
    """Do what there is to do at a wake; return (silent, departure).

    silent: nothing may be sent. departure: when the next planned leg begins to be silent, in
    seconds since boot, or None. ``while_sampling(coroutine)`` runs a coroutine while samples are
    taken; without it there is no listening now.
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
        # Who has booted in the air does not know what was heard, and listens no more.
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
        pass  # what it has to send comes first
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
    """Take note that there are cells in reach: what was seen was no take-off."""
    recorder.record(_FLIGHT_MODE, [t, 0, _ARRIVAL])


def departure(recorder, t):
    """Return when the next planned leg begins to be silent, in seconds since boot, or None."""
    begins = [t + begin for begin, _ in _legs(recorder, t) if begin > 0]
    return min(begins) if begins else None


def is_planned(recorder, t):
    """Whether a planned leg may be under way, by the clock or by what contradicts it."""
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
    """Return the cause why the flight that the state knows of is over, or None."""
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
    """Return for how many seconds from ``unix`` on the leg under way lasts.

    A leg that begins before it has ended counts with it. Of no leg, or where ``unix`` is None, as
    long as the longest.
    """
    until = unix or 0
    for begin, end in sorted(flights):
        if begin - 2 * _MARGIN_S <= until < end:
            until = end
    if unix is not None and until > unix:
        return until - unix
    return max([end - begin + _MARGIN_S for begin, end in flights]) if flights else 0


def _may_fly(state, motion, read, pause):
    """Whether the floor is not seen to stand still.

    The accelerometer's FIFO has just been emptied at times. Of one that tells nothing later either
    the worst is taken; but while there is no shipment it is off, and no flight is meant.
    """
    for _ in range(_LOOKS):
        if motion is not None:
            return motion[3] >= _SHAKING
        pause(_LOOK_MS)
        motion = read()
    return state.shipment is not None


def _note(memory, t, motion):
    """Keep how it lies, and since when it stands still."""
    if motion is None:
        return
    if motion[3] >= _SHAKING:
        memory[STOOD] = None
    else:
        if memory[STOOD] is None:
            memory[STOOD] = t
        memory[REST] = motion[:3]


def _climbs(memory, motion, read, pause):
    """Tell whether what is felt now, and for as long as it takes, is a take-off."""
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
