"""The clock: set at packing, held against every source, and what planned flights rest on it.

The truth is the simulator's time; what the tracker does is read from the journal of the modem's
model, and what it believes from its records.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from coldtrail_simulator.clock import US_PER_S
from coldtrail_simulator.models.bg95.gnss import Fix
from coldtrail_simulator.models.bg95.radio import Cell
from coldtrail_simulator.shipment import packing
from tests.support.trackers.bench import profile
from tests.support.trackers.rig import Still
from tests.support.trackers.sessions import START, WHO, CallingTracker, Site

BOOT, SYNC, FLIGHT_MODE, DOUBTED = 3, 4, 12, 22
NETWORK, GNSS, GATEWAY, CABLE = 1, 2, 3, 4
PLANNED, TIME_LIMIT, NO_CLOCK = 1, 4, 5
MARGIN_S = 120
WRONG_MS = 3 * 3_600_000
HERE = Cell(rsrp=-95, rssi=-67)
WRONG = Cell(rsrp=-95, rssi=-67, nitz_error_ms=WRONG_MS)
ZERO = round(START.timestamp())


class Shaken(Still):
    """A world whose floor shakes, as an aircraft's does, between two moments."""

    def __init__(self, begin_s: float, end_s: float) -> None:
        super().__init__(motions=((begin_s, end_s),))

    def acceleration(self, t_s: float) -> tuple[float, float, float]:
        ((begin, end),) = self.motions
        if not begin <= t_s < end:
            return 0.0, 0.0, 1.0
        return (
            0.05 * math.sin(47.3 * math.tau * t_s),
            0.05 * math.sin(61.9 * math.tau * t_s),
            1 + 0.05 * math.sin(83.1 * math.tau * t_s),
        )


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with Site(tmp_path, tls=False) as found:
        (found.volume / "profile.cbor").write_bytes(profile(interval=60, upload_interval=1200))
        yield found


def plan(site: Site, *legs: tuple[float, float]) -> None:
    """Provision flights, in seconds from the start."""
    flights = [[ZERO + round(begin), ZERO + round(end)] for begin, end in legs]
    options: dict[int, object] = {packing.FLIGHTS: flights}
    content = WHO.device_file(packing.BROKER_NAME, packing.PORTS[False], options=options)
    (site.volume / "identity.cbor").write_bytes(content)


def now_s(tracker: CallingTracker) -> float:
    return tracker.clock.now_us / US_PER_S


def go(tracker: CallingTracker, to_s: float) -> None:
    """Let time pass until a moment."""
    tracker.wait(to_s - now_s(tracker))


def used(tracker: CallingTracker, begin_s: float, end_s: float) -> list[dict[str, Any]]:
    """Return what the modem did within a span: whatever it was told, or powered for."""
    return [
        note
        for note in tracker.journal.notes
        if note["kind"] in ("at", "registration", "modem-power", "mqtt-up")
        and begin_s <= note["us"] / US_PER_S < end_s
    ]


def is_calling(said: str) -> bool:
    return said.count("calling the gateway") > said.count("the call has ended")


def type_time(tracker: CallingTracker, off: timedelta = timedelta(0), within_ms: int = 500) -> str:
    """Set the clock at the console, as a host does; return what the tracker says."""
    tracker.parts["vbus"].plug()
    assert tracker.until(lambda: "type help" in tracker.console.text, 400, 0.5)
    assert tracker.until(lambda: not is_calling(tracker.console.text), 900, 0.5)
    since = len(tracker.console.text)
    tracker.console.type(b"time set\r")
    assert tracker.until(lambda: "within ms: " in tracker.console.text[since:], 10, 0.1)
    utc = datetime.fromtimestamp(ZERO + now_s(tracker), UTC) + off
    answer = f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03}Z {within_ms}\r"
    tracker.console.type(answer.encode())
    answered = len(tracker.console.text) + len(answer)
    assert tracker.until(lambda: "\n> " in tracker.console.text[answered:], 10, 0.1)
    tracker.parts["vbus"].unplug()
    return tracker.console.text[since:]


def sources(tracker: CallingTracker, kind: int = SYNC) -> list[int]:
    return [fields[-1] for fields in tracker.records(kind)]


def error_ms(tracker: CallingTracker, sync: Sequence[int]) -> int:
    """Return by how much a sync of a boot that began with the power, at 0, is off the truth."""
    _, t, ms, unix, unix_ms, *_ = sync
    rtc: int = tracker.records(BOOT)[0][4]
    return (unix - ZERO) * 1000 + unix_ms - (rtc + t) * 1000 - ms


# ---- set at packing ----


def test_a_clock_set_over_the_cable_keeps_planned_legs_silent_without_coverage(
    site: Site,
) -> None:
    legs = (3000.0, 7800.0), (9000.0, 10_200.0)
    plan(site, *legs)
    with CallingTracker(site) as tracker:
        tracker.places.cell = None
        tracker.power_on()
        said = type_time(tracker)
        assert "source         cable" in said
        go(tracker, 12_000)
        assert sources(tracker) == [CABLE]
        [sync] = tracker.records(SYNC)
        assert abs(error_ms(tracker, sync)) < sync[5]
        assert 500 < sync[5] < 1500
        for begin, end in legs:
            assert used(tracker, begin - MARGIN_S + 5, end) == []
        assert used(tracker, 0, legs[0][0])
        assert used(tracker, legs[0][1], legs[1][0] - MARGIN_S)
        told = [fields[2:] for fields in tracker.records(FLIGHT_MODE)]
        assert told == [[1, PLANNED], [0, 3]] * 2


def test_a_time_that_contradicts_the_clock_sets_nothing_and_is_kept(site: Site) -> None:
    with CallingTracker(site) as tracker:
        tracker.power_on()
        assert tracker.until(lambda: tracker.asleep and NETWORK in sources(tracker), 600)
        said = type_time(tracker, timedelta(hours=2))
        assert "ahead of the clock, which network has set" in said
        assert CABLE not in sources(tracker)
        [kept] = tracker.records(DOUBTED)
        assert kept[-1] == CABLE
        assert error_ms(tracker, kept) == pytest.approx(7_200_000, abs=1000)


def test_without_coverage_the_satellites_set_the_clock_for_a_planned_flight(site: Site) -> None:
    leg = (4000.0, 9000.0)
    plan(site, leg)
    with CallingTracker(site, modem={"sky": lambda _t: Fix(50.0, 8.5)}) as tracker:
        tracker.places.cell = None
        tracker.power_on()
        go(tracker, leg[1] + 2000)
        [sync] = tracker.records(SYNC)
        assert sync[-1] == GNSS
        assert abs(error_ms(tracker, sync)) < sync[5]
        assert used(tracker, leg[0] - MARGIN_S + 5, leg[1]) == []
        assert used(tracker, leg[1], leg[1] + 2000)
        # It was not looked for again: the profile wants no positions.
        assert len([note for note in tracker.notes("at") if note["command"] == "AT+QGPS=1"]) == 1


# ---- without a clock ----


def test_without_a_clock_no_modem_is_switched_on_while_the_floor_shakes(site: Site) -> None:
    begin, end = 2000.0, 7000.0
    plan(site, (begin - 600, end + 600))
    with CallingTracker(site, world=Shaken(begin, end)) as tracker:
        tracker.places.cell = None
        tracker.power_on()
        go(tracker, end + 3000)
        # A search that had begun before goes on to its end.
        assert used(tracker, begin + 240, end) == []
        assert used(tracker, 0, begin)
        assert used(tracker, end, end + 3000)
        [[_, seen, *start], [_, landed, *stop]] = tracker.records(FLIGHT_MODE)
        assert (start, stop) == ([1, NO_CLOCK], [0, 3])
        assert begin - 5 < seen < begin + 240 + 60
        assert end + 600 - 60 < landed < end + 600 + 700


def test_a_call_that_learns_it_is_in_a_planned_leg_ends_at_once(site: Site) -> None:
    plan(site, (-600, 3600))
    with CallingTracker(site) as tracker:
        tracker.power_on()
        go(tracker, 3500)
        assert sources(tracker) == [NETWORK]
        assert tracker.notes("mqtt-up") == []
        [sync] = tracker.records(SYNC)
        assert used(tracker, sync[1] + 15, 3500) == []
        go(tracker, 4000)
        assert tracker.until(lambda: bool(site.keeper.kept), 600)


# ---- sources that contradict each other ----


def test_one_wrong_network_time_moves_no_silence_and_is_kept_as_evidence(site: Site) -> None:
    leg = (2700.0, 6000.0)
    plan(site, leg)
    with CallingTracker(site) as tracker:
        tracker.power_on()
        assert tracker.until(lambda: tracker.asleep and bool(site.keeper.kept), 600)
        tracker.places.cell = WRONG
        go(tracker, leg[0] - MARGIN_S)
        kept = tracker.records(DOUBTED)
        assert kept
        for doubted in kept:
            assert doubted[-1] == NETWORK
            assert error_ms(tracker, doubted) == pytest.approx(WRONG_MS, abs=1500)
        tracker.places.cell = HERE
        go(tracker, leg[1])
        assert used(tracker, leg[0] - MARGIN_S + 60, leg[1]) == []
        go(tracker, leg[1] + 1500)
        assert used(tracker, leg[1], leg[1] + 1500)
        for sync in tracker.records(SYNC):
            assert abs(error_ms(tracker, sync)) < sync[5] + 1000


def test_a_first_network_time_that_is_wrong_is_found_out_by_the_gateway(site: Site) -> None:
    leg = (2700.0, 6000.0)
    plan(site, leg)
    with CallingTracker(site) as tracker:
        tracker.places.cell = WRONG
        tracker.power_on()
        assert tracker.until(lambda: tracker.asleep and bool(site.keeper.kept), 600)
        # Nothing was there to hold it against; the gateway's time contradicts it.
        assert sources(tracker) == [NETWORK]
        assert sources(tracker, DOUBTED) == [GATEWAY]
        tracker.places.cell = HERE
        go(tracker, leg[0] - MARGIN_S)
        # Another network agrees with the gateway.
        first, *others = tracker.records(SYNC)
        assert error_ms(tracker, first) > WRONG_MS / 2
        assert others
        for sync in others:
            assert abs(error_ms(tracker, sync)) < sync[5] + 1000
        go(tracker, leg[1])
        assert used(tracker, leg[0] - MARGIN_S + 60, leg[1]) == []


def test_while_no_second_source_has_spoken_the_legs_of_both_are_silent(site: Site) -> None:
    """The first network is wrong, and nobody else is there before the flight."""
    leg = (2700.0, 6000.0)
    plan(site, leg)
    with CallingTracker(site) as tracker:
        tracker.places.cell = WRONG
        tracker.power_on()
        assert tracker.until(lambda: tracker.asleep and bool(site.keeper.kept), 600)
        go(tracker, leg[1])
        assert used(tracker, leg[0] - MARGIN_S + 60, leg[1]) == []


# ---- a power cut in a planned leg ----


def test_after_a_power_cut_the_silence_is_what_was_left_of_that_leg(site: Site) -> None:
    leg, longer = (900.0, 6300.0), (90_000.0, 108_000.0)
    plan(site, leg, longer)
    cut_s, off_s = 2700.0, 30.0
    with CallingTracker(site) as tracker:
        tracker.power_on()
        assert tracker.until(lambda: tracker.asleep and bool(site.keeper.kept), 600)
        go(tracker, cut_s)
        tracker.power_cut(round(off_s * US_PER_S))
        go(tracker, leg[1] - 10)
        assert used(tracker, leg[0] - MARGIN_S + 60, leg[1] - 10) == []
        # Nobody knows how long the power was away: at most so much longer, and till the next wake.
        go(tracker, leg[1] + off_s + 60 + 700)
        assert used(tracker, leg[1], leg[1] + off_s + 760)
        assert tracker.records(FLIGHT_MODE)[-1][2:] == [0, TIME_LIMIT]
