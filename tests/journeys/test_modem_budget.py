"""The modem's budget for a day: a part of it is kept for delivery, whatever the search takes."""

from itertools import pairwise
from pathlib import Path

import cbor2

from tests.support.trackers.bench import profile
from tests.support.trackers.sessions import POSITION_INTERVAL, CallingTracker, Cell, Site

SAMPLE, STOP, FAULT = 1, 11, 13
MODEM, SPENT = 6, 13
BUDGET_S = 3600
SEARCH_S = 3000
ALARMS_S = 7200
"""Of being on in a day: in all, while no network is found, and with new alarms."""
DAY_S = 86_400
WARM = [(1, 1, 0, 3, 800, 0, 0, 0)]  # payload over 8 °C, at once
INTERVAL_S = 600


def spells(tracker: CallingTracker) -> list[tuple[float, float]]:
    """Return from when until when the modem had its supply, in seconds."""
    found, since = [], None
    for note in tracker.notes("modem-power"):
        now_s = note["us"] / 1e6
        if note["state"] == "unpowered":
            if since is not None:
                found.append((since, now_s))
            since = None
        elif since is None:
            since = now_s
    return found


def on_s(tracker: CallingTracker, begin_s: float, end_s: float) -> float:
    """Return the seconds for which the modem had its supply, by the begin of its spells."""
    return sum(end - begin for begin, end in spells(tracker) if begin_s <= begin < end_s)


def test_an_alarm_without_coverage_for_34_hours_goes_out_once_there_is_coverage(
    tmp_path: Path,
) -> None:
    with Site(tmp_path, tls=False) as site:
        intervals = {"interval": INTERVAL_S, "alarm_interval": INTERVAL_S}
        intervals |= {"upload_interval": 3600, "alarm_upload_interval": 3600}
        (site.volume / "profile.cbor").write_bytes(profile(WARM, **intervals))
        with CallingTracker(site) as tracker:
            tracker.places.cell = None
            tracker.world.payload = 20.0
            tracker.power_on()
            tracker.wait(34.4 * 3600)
            assert not [what for _, _, *what in tracker.records(FAULT) if what[:1] == [MODEM]]
            dark = spells(tracker)
            for hour in range(11):
                begin_s = 3600 * hour
                assert on_s(tracker, begin_s, begin_s + DAY_S) < SEARCH_S
            # Attempts are never further apart than an hour and the way to the next wake.
            gaps = [later - end for (_, end), (later, _) in pairwise(dark)]
            assert max(gaps) < 3600 + INTERVAL_S + 10
            # But fewer and fewer search every band.
            lengths = [end - begin for begin, end in dark]
            whole = [number for number, length in enumerate(lengths) if length > 180]
            assert whole == [0, 1, 2, 4, 8, 16, 32]
            assert min(lengths) > 45
            assert sorted(lengths)[-8] < 60
            tracker.places.cell = Cell()
            hour_s = 3600 + INTERVAL_S
            assert tracker.until(lambda: bool(site.keeper.kept) and tracker.asleep, hour_s, 60)
            # After one that comes through, the next search is a whole one.
            tracker.places.cell = None
            found = len(spells(tracker))
            assert tracker.until(lambda: len(spells(tracker)) > found, 9000, 60)
            begin, end = spells(tracker)[found]
            assert end - begin > 180


def searching(site: Site) -> None:
    """Give a profile that spends the budget: each call in vain looks for satellites, too."""
    rules = [*WARM, (2, 1, 1, 3, 3000, 0, 0, 0)]  # ambient over 30 °C
    document = cbor2.loads(profile(rules, interval=INTERVAL_S)) | {POSITION_INTERVAL: INTERVAL_S}
    (site.volume / "profile.cbor").write_bytes(cbor2.dumps(document, canonical=True))


def test_a_tracker_that_calls_in_vain_is_quiet_for_the_rest_of_the_day(tmp_path: Path) -> None:
    with Site(tmp_path, tls=False) as site:
        searching(site)
        with CallingTracker(site) as tracker:
            tracker.places.cell = None
            tracker.power_on()
            tracker.wait(DAY_S + 7200)
            # The attempt that overdraws it is finished.
            assert SEARCH_S <= on_s(tracker, 0, DAY_S) <= SEARCH_S + 300
            faults = [(t, *what) for _, t, *what in tracker.records(FAULT) if what[0] == MODEM]
            (begun, *start), (ended, *end) = faults
            assert (start, end) == ([MODEM, SPENT, 1], [MODEM, SPENT, 0])
            assert begun < DAY_S * 22 // 24 < DAY_S <= ended
            assert len(tracker.records(SAMPLE)) == (DAY_S + 7200) // INTERVAL_S + 1
            # The next day it calls again, and what was kept goes out.
            tracker.places.cell = Cell()
            assert tracker.until(lambda: tracker.asleep and bool(site.keeper.kept), 7200)


def is_spent(tracker: CallingTracker) -> bool:
    """Return whether the tracker has said that its budget is spent."""
    return [what for _, _, *what in tracker.records(FAULT)][-1:] == [[MODEM, SPENT, 1]]


def test_each_alarm_gets_one_call_beyond_the_budget(tmp_path: Path) -> None:
    with Site(tmp_path, tls=False) as site:
        searching(site)
        with CallingTracker(site) as tracker:
            tracker.places.cell = None
            tracker.power_on()
            assert tracker.until(lambda: tracker.asleep and is_spent(tracker), DAY_S, 600)
            quiet = len(spells(tracker))
            tracker.world.payload = 20.0
            assert tracker.until(lambda: len(spells(tracker)) > quiet, 900)
            tracker.wait(3600)
            assert len(spells(tracker)) == quiet + 1  # in vain, and it does not try again
            assert not site.keeper.kept
            tracker.places.cell = Cell()
            tracker.world.air = 40.0
            assert tracker.until(lambda: tracker.asleep and bool(site.keeper.kept), 720)


def test_the_end_of_a_shipment_gets_one_call_beyond_the_budget(tmp_path: Path) -> None:
    with Site(tmp_path, tls=False) as site:
        searching(site)
        with CallingTracker(site) as tracker:
            tracker.places.cell = None
            tracker.power_on()
            assert tracker.until(lambda: tracker.asleep and is_spent(tracker), DAY_S, 600)
            tracker.places.cell = Cell()
            tracker.parts["button"].press(4_000_000)
            assert tracker.until(lambda: tracker.asleep and bool(site.keeper.kept), 120)
            assert len(tracker.records(STOP)) == 1


def test_alarms_without_end_are_called_for_until_a_bound_and_again_the_next_day(
    tmp_path: Path,
) -> None:
    with Site(tmp_path, tls=False) as site:
        (site.volume / "profile.cbor").write_bytes(profile(WARM, interval=300, alarm_interval=300))
        with CallingTracker(site) as tracker:
            tracker.places.cell = None
            tracker.power_on()
            while tracker.clock.now_us < (DAY_S + 3 * 3600) * 1_000_000:
                tracker.world.payload = 25.0 - tracker.world.payload  # an alarm begins, or ends
                tracker.wait(300)
            assert ALARMS_S <= on_s(tracker, 0, DAY_S) <= ALARMS_S + 300
            assert spells(tracker)[-1][1] > DAY_S
