"""Flight mode: when it begins, what it takes to end it, and that nothing else does."""

import random
from collections.abc import Sequence
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldtrail import clock
from coldtrail.judging import profile as profiles
from coldtrail.log import records as r
from coldtrail.log.recorder import Recorder
from coldtrail.sensing import flight
from coldtrail_boards.profiles import profile as host_profiles
from coldtrail_simulator.models.nor import NorArray
from tests.support.flash.norflash import NorFlash
from tests.support.trackers.who import Identity

LIMIT_S = 7200
UNIX = 1_800_000_000
MARGIN_S = 120
PLANNED, TAKE_OFF, ARRIVAL, TIME_LIMIT, NO_CLOCK = 1, 2, 3, 4, 5
PROFILE = profiles.load(host_profiles.load("refrigerated_2_8").encode())

STILL = (10, -20, 1000, 80)
ROLLING = (30, -30, 1000, 2500)
CLIMBING = (190, -20, 985, 2500)
CRUISING = (50, -20, 1000, 2500)
TURNED = (1000, 0, 20, 2500)

Motion = tuple[int, int, int, int]


class FlyingTracker:
    """As much of one as flight mode asks for: a log, a clock, a floor that moves."""

    def __init__(self, flights: Sequence[Sequence[int]] = (), limit: int = LIMIT_S) -> None:
        self.identity = Identity()
        self.identity.flights = flights
        self.profile = PROFILE._replace(flight_limit=limit)
        self.flash = NorFlash(NorArray(random.Random(0), 32 * 4096))
        self.memory: list[object] = []
        self.t = 0
        self.floor: list[Motion | None] = [STILL]
        self.mount()
        self.boot()

    def mount(self) -> None:
        self.recorder = Recorder(self.flash, self.profile, self.identity)

    def boot(self) -> None:
        """Boot, having lost all but the flash; the time is unknown."""
        self.mount()
        self.memory = []
        number = self.recorder.state.boot + 1
        self.recorder.record(r.BOOT, [0, number, 1, 0, "0"])
        self.t = 0

    def sync(self, unix: int) -> None:
        """Learn the time."""
        self.recorder.record(r.CLOCK_SYNC, [self.t, 0, unix, 0, 500, 1])

    def wake(self, seconds: int, *floor: Motion | None) -> int:
        """Wake up after so many seconds; return what flight mode says."""
        self.t += seconds
        self.recorder.record(r.SAMPLE, [self.t, 0, 400, *[None] * 7])
        self.floor = list(floor or (STILL,))
        answer: int = flight.follow(
            self.recorder, self.memory, lambda: self.t, self._read, self._pause
        )
        return answer

    def _read(self) -> Motion | None:
        return self.floor.pop(0) if len(self.floor) > 1 else self.floor[0]

    def _pause(self, ms: int) -> None:
        assert ms > 0
        self.t += ms // 1000

    def reset(self, rtc: int) -> None:
        """Boot by the watchdog; ``rtc`` is the chip's counter, which ran on."""
        self.mount()
        self.memory = []
        self.recorder.record(r.BOOT, [0, self.recorder.state.boot + 1, r.WATCHDOG, rtc, "0"])
        self.t = 0

    def start(self) -> None:
        """Begin the shipment."""
        self.recorder.record(r.SHIPMENT_START, [self.t, "S-1"])

    @property
    def events(self) -> list[list[int]]:
        """What the log says of flights: t, on, cause."""
        from coldtrail.contract import cbor

        return [
            cbor.decode(bytes(payload))
            for _, kind, payload in self.recorder.log.records(0)
            if kind == r.FLIGHT_MODE
        ]

    def take_off(self) -> int:
        """Stand still, then climb; return when that was noticed."""
        assert self.wake(300) == flight.FREE
        assert self.wake(300, CLIMBING) == flight.SILENT
        return self.t


@st.composite
def plans(draw: st.DrawFn) -> list[list[int]]:
    legs = draw(st.lists(st.tuples(st.integers(0, 90_000), st.integers(1, 40_000)), max_size=8))
    return [[UNIX + begin, UNIX + begin + length] for begin, length in legs]


@given(plans(), st.lists(st.integers(1, 3600), max_size=60))
def test_a_planned_leg_is_silent_from_its_margin_to_its_end(
    legs: list[list[int]], waits: list[int]
) -> None:
    tracker = FlyingTracker(legs, limit=0)
    tracker.sync(UNIX)
    changes: list[bool] = []
    for wait in waits:
        # Cells, alarms and motion have no say in it.
        answer = tracker.wake(wait, random.Random(wait).choice([STILL, CLIMBING, None]))
        now = UNIX + tracker.t
        # What the clock may be off by: 0.5 s when it was set, and 100 ppm since; in whole seconds.
        least, most = (Fraction(1, 2) + Fraction(tracker.t, 10_000) + extra for extra in (0, 2))
        silent = answer != flight.FREE
        if any(begin - MARGIN_S - least <= now < end + least for begin, end in legs):
            assert silent
        if silent:
            assert any(begin - MARGIN_S - most <= now < end + most for begin, end in legs)
        if silent != (changes[-1:] == [True]):
            changes.append(silent)
            assert tracker.events[-1] == [tracker.t, silent, PLANNED if silent else ARRIVAL]
        departure = flight.departure(tracker.recorder, tracker.t)
        later = [begin - MARGIN_S - UNIX - tracker.t for begin, _ in legs]
        if departure is not None:
            assert departure > tracker.t
            assert any(
                least <= left - (departure - tracker.t) + least <= 2 * most for left in later
            )
        for left in later:
            if left > most:
                assert departure is not None
                assert departure - tracker.t <= left - least
    assert len(tracker.events) == len(changes)


@given(st.integers(1, 9000), st.integers(1, 9000), st.integers(0, 9000))
def test_after_a_power_cut_it_is_silent_for_what_was_left_of_its_leg(
    flown: int, left: int, other: int
) -> None:
    """Of two legs, the other of which is longer or shorter and of no account."""
    leg = [UNIX, UNIX + flown + left]
    far = UNIX + 100_000
    tracker = FlyingTracker([leg, [far, far + 1 + other]])
    tracker.sync(UNIX)
    assert tracker.wake(flown) == flight.SILENT
    tracker.boot()
    assert tracker.wake(left - 1, CRUISING) == flight.SILENT
    assert tracker.wake(2, CRUISING) == flight.FREE
    assert tracker.events[-1][1:] == [0, TIME_LIMIT]


def test_a_leg_that_follows_at_once_belongs_to_what_is_left() -> None:
    tracker = FlyingTracker([[UNIX, UNIX + 3600], [UNIX + 3700, UNIX + 7200]])
    tracker.sync(UNIX)
    assert tracker.wake(1800) == flight.SILENT
    tracker.boot()
    assert tracker.wake(5399, CRUISING) == flight.SILENT
    assert tracker.wake(2, CRUISING) == flight.FREE


def test_the_silence_outlasts_many_cuts_and_no_longer() -> None:
    tracker = FlyingTracker([[UNIX, UNIX + 3600]])
    tracker.sync(UNIX)
    assert tracker.wake(600) == flight.SILENT
    for _ in range(3):
        tracker.boot()
        assert tracker.wake(900) == flight.SILENT
    tracker.boot()
    assert tracker.wake(300) == flight.FREE


# ---- without a clock ----


def test_without_a_clock_a_planned_flight_leaves_the_floor_to_decide() -> None:
    tracker = FlyingTracker([[UNIX, UNIX + 9000]], limit=0)
    assert tracker.wake(300, STILL) == flight.FREE
    assert tracker.wake(300, CRUISING) == flight.SILENT
    assert tracker.events == [[600, 1, NO_CLOCK]]
    assert tracker.wake(300, STILL) == flight.SILENT
    assert tracker.wake(300, CRUISING) == flight.SILENT
    assert tracker.wake(300, STILL) == flight.SILENT
    # Where it has stood for ten minutes it is on the ground.
    assert tracker.wake(600, STILL) == flight.FREE
    assert tracker.events[-1][1:] == [0, ARRIVAL]


@pytest.mark.parametrize("floor", [ROLLING, CRUISING, None])
def test_without_a_clock_it_is_silent_as_long_as_the_longest_leg_at_a_time(
    floor: Motion | None,
) -> None:
    tracker = FlyingTracker([[UNIX, UNIX + 900], [UNIX + 5000, UNIX + 8600]], limit=0)
    tracker.start()
    assert tracker.wake(300, floor) == flight.SILENT
    assert tracker.wake(3719, floor) == flight.SILENT
    # A call is tried, and then it is silent again.
    assert tracker.wake(1, floor) == flight.FREE
    assert tracker.events[-1][1:] == [0, TIME_LIMIT]
    assert tracker.wake(300, floor) == flight.SILENT


def test_a_clock_that_is_set_ends_the_doubt() -> None:
    tracker = FlyingTracker([[UNIX, UNIX + 9000]], limit=0)
    assert tracker.wake(300, ROLLING) == flight.SILENT
    tracker.sync(UNIX - 5000)
    assert tracker.wake(300, ROLLING) == flight.FREE
    tracker = FlyingTracker([[UNIX, UNIX + 9000]], limit=0)
    assert tracker.wake(300, ROLLING) == flight.SILENT
    tracker.sync(UNIX + 100)
    assert tracker.wake(300, ROLLING) == flight.SILENT
    assert [event[1:] for event in tracker.events] == [[1, NO_CLOCK], [0, ARRIVAL], [1, PLANNED]]


def test_a_floor_that_is_known_a_moment_later_decides() -> None:
    tracker = FlyingTracker([[UNIX, UNIX + 9000]], limit=0)
    tracker.start()
    assert tracker.wake(300, None, None, STILL) == flight.FREE
    assert tracker.wake(300, None, CRUISING) == flight.SILENT


def test_before_a_shipment_begins_an_accelerometer_that_is_off_silences_nothing() -> None:
    tracker = FlyingTracker([[UNIX, UNIX + 9000]], limit=0)
    assert tracker.wake(300, None) == flight.FREE


def test_who_plans_no_flight_asks_no_floor() -> None:
    tracker = FlyingTracker([], limit=0)
    assert tracker.wake(300, CRUISING) == flight.FREE
    assert tracker.events == []


# ---- sources that contradict each other ----


@pytest.mark.parametrize("wrong_s", [-10_800, 10_800])
@pytest.mark.parametrize("right_first", [True, False])
def test_while_sources_contradict_each_other_the_leg_of_either_is_silent(
    wrong_s: int, right_first: bool
) -> None:
    tracker = FlyingTracker([[UNIX, UNIX + 3600]])
    told = [UNIX + 60, UNIX + 60 + wrong_s]
    for unix, source in zip(told if right_first else told[::-1], (1, 3), strict=True):
        clock.take(tracker.recorder, [0, 0, unix, 0, 500, source])
    assert tracker.recorder.state.doubted is not None
    assert tracker.wake(300) == flight.SILENT
    assert tracker.wake(3200) == flight.SILENT


def test_one_network_that_is_hours_off_breaks_no_silence() -> None:
    tracker = FlyingTracker([[UNIX, UNIX + 3600]])
    tracker.sync(UNIX - 600)
    assert tracker.wake(300) == flight.FREE
    clock.take(tracker.recorder, [300, 0, UNIX - 300 + 10_800, 0, 500, 1])
    assert tracker.wake(400) == flight.SILENT
    assert tracker.wake(3400) == flight.SILENT
    assert tracker.events == [[700, 1, PLANNED]]


readings = st.one_of(
    st.none(),
    st.sampled_from([STILL, ROLLING, CLIMBING, CRUISING, TURNED]),
    st.tuples(*[st.integers(-2000, 2000)] * 3, st.integers(0, 20_000)),
)


@given(
    st.lists(st.tuples(st.integers(1, 1800), st.lists(readings, min_size=1, max_size=12))),
    st.integers(0, 20_000),
)
def test_whatever_is_felt_it_ends_at_the_limit_and_every_change_is_an_event(
    story: list[tuple[int, list[Motion | None]]], limit: int
) -> None:
    tracker = FlyingTracker(limit=limit)
    begun = None
    for wait, floor in story:
        was = begun
        silent = tracker.wake(wait, *floor) != flight.FREE
        if was is not None:
            assert not silent or tracker.t - was < limit
        begun = tracker.events[-1][0] if silent else None
        if not limit:
            assert not silent
        assert silent == (tracker.recorder.state.flight is not None)
    changes = [(on, cause) for _, on, cause in tracker.events]
    assert [on for on, _ in changes] == [1, 0] * (len(changes) // 2) + [1] * (len(changes) % 2)
    assert all(
        cause == TAKE_OFF if on else cause in (ARRIVAL, TIME_LIMIT) for on, cause in changes
    )


def test_a_take_off_is_silent_at_once_and_listened_to_once() -> None:
    tracker = FlyingTracker()
    begun = tracker.take_off()
    assert tracker.events == [[begun, 1, TAKE_OFF]]
    answers = [tracker.wake(300, CRUISING) for _ in range(4)]
    assert answers == [flight.SILENT] * 2 + [flight.LISTEN] * 2  # until it has been done
    tracker.memory[flight.LISTENED] = True
    assert [tracker.wake(300, CRUISING) for _ in range(3)] == [flight.SILENT] * 3


def test_cells_after_a_quarter_of_an_hour_show_that_it_was_none() -> None:
    tracker = FlyingTracker()
    tracker.take_off()
    flight.heard(tracker.recorder, tracker.t)
    assert tracker.events[-1][1:] == [0, ARRIVAL]
    assert tracker.wake(300, ROLLING) == flight.FREE


@pytest.mark.parametrize(
    "floor",
    [
        [STILL],
        [ROLLING],
        [TURNED],
        [None],
        [(*CLIMBING[:3], 80)],  # laid on a slope: nothing shakes
        [CLIMBING] * 9 + [ROLLING],  # a lorry that brakes for 18 s
        [CLIMBING] * 5 + [None],
    ],
)
def test_what_is_no_take_off(floor: list[Motion | None]) -> None:
    tracker = FlyingTracker()
    tracker.wake(300)
    assert tracker.wake(300, *floor) == flight.FREE
    assert tracker.events == []


def test_who_never_stood_still_knows_no_slope() -> None:
    tracker = FlyingTracker()
    tracker.wake(300, ROLLING)
    assert tracker.wake(300, CLIMBING) == flight.FREE


@given(st.lists(st.sampled_from([STILL, CRUISING, None]), max_size=20), st.integers(60, 600))
def test_it_has_landed_once_it_has_stood_still_for_ten_minutes(
    floor: list[Motion | None], wait: int
) -> None:
    tracker = FlyingTracker(limit=86400)
    tracker.take_off()
    stood = None
    for motion in floor:
        silent = tracker.wake(wait, motion) != flight.FREE
        if motion is STILL:
            stood = tracker.t if stood is None else stood
        elif motion is CRUISING:
            stood = None
        landed = stood is not None and tracker.t - stood >= 600
        assert silent == (not landed)
        if landed:
            assert tracker.events[-1] == [tracker.t, 0, ARRIVAL]
            return


@given(st.lists(st.integers(0, 3000), min_size=1, max_size=6))
def test_a_boot_in_the_air_keeps_silent_and_the_limit_goes_on(waits: list[int]) -> None:
    tracker = FlyingTracker()
    begun = tracker.take_off()
    passed = tracker.recorder.state.last - begun  # what the log tells of the time until the cut
    for wait in waits:
        tracker.boot()
        if passed + wait >= LIMIT_S:
            assert tracker.wake(wait, CRUISING) == flight.FREE
            assert tracker.events[-1][1:] == [0, TIME_LIMIT]
            return
        # It does not know what it has heard before, and does not listen a second time.
        assert tracker.wake(wait, CRUISING) == flight.SILENT
        passed += wait


def test_what_was_provisioned_anew_ends_it() -> None:
    tracker = FlyingTracker([[UNIX, UNIX + 9000]])
    tracker.sync(UNIX)
    assert tracker.wake(10) == flight.SILENT
    tracker.identity.flights = []
    tracker.boot()
    assert tracker.wake(10) == flight.FREE


# ---- a reset that leaves the counter running ----


def test_a_reset_that_leaves_the_counter_running_keeps_the_planned_leg() -> None:
    tracker = FlyingTracker([[UNIX + 5000, UNIX + 9000]])
    tracker.sync(UNIX)
    assert tracker.wake(1000) == flight.FREE
    tracker.reset(1300)
    assert tracker.recorder.state.sync is None
    assert tracker.wake(3400, CRUISING) == flight.FREE
    assert tracker.wake(300, STILL) == flight.SILENT
    tracker.reset(1300 + 3800)
    assert tracker.wake(3880, STILL) == flight.SILENT
    assert tracker.wake(40, STILL) == flight.FREE
    assert [event[1:] for event in tracker.events] == [[1, PLANNED], [0, ARRIVAL]]


def test_after_such_a_reset_a_network_that_is_hours_off_is_not_believed() -> None:
    tracker = FlyingTracker([[UNIX + 5000, UNIX + 9000]])
    tracker.sync(UNIX)
    assert tracker.wake(1000) == flight.FREE
    tracker.reset(1300)
    assert not clock.take(tracker.recorder, [10, 0, UNIX + 1310 + 10_800, 0, 500, 1])
    assert clock.take(tracker.recorder, [20, 0, UNIX + 1320, 0, 500, 1])
    assert tracker.recorder.state.doubted is None
    assert tracker.wake(3700, STILL) == flight.SILENT


def test_a_counter_that_began_anew_carries_no_clock() -> None:
    tracker = FlyingTracker([[UNIX + 5000, UNIX + 9000]])
    tracker.sync(UNIX)
    assert tracker.wake(1000) == flight.FREE
    tracker.reset(2)
    assert tracker.recorder.state.clock is None
