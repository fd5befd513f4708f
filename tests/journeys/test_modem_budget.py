"""The modem's budget for a day: spent, the tracker stays quiet and goes on logging."""

from pathlib import Path

from tests.support.trackers.bench import profile
from tests.support.trackers.sessions import CallingTracker, Site

SAMPLE, FAULT = 1, 13
MODEM, SPENT = 6, 13
BUDGET_S = 3600
DAY_S = 86_400


def test_a_tracker_that_calls_in_vain_is_quiet_for_the_rest_of_the_day(tmp_path: Path) -> None:
    with Site(tmp_path, tls=False) as site:
        (site.volume / "profile.cbor").write_bytes(profile(interval=600))
        with CallingTracker(site) as tracker:
            tracker.places.cell = None
            tracker.power_on()
            tracker.wait(DAY_S + 7200)
            on_s = spent_s(tracker, DAY_S)
            # The attempt that overdraws it is finished.
            assert BUDGET_S <= on_s <= BUDGET_S + 300
            faults = [(t, *what) for _, t, *what in tracker.records(FAULT) if what[0] == MODEM]
            (begun, *start), (ended, *end) = faults
            assert (start, end) == ([MODEM, SPENT, 1], [MODEM, SPENT, 0])
            assert begun < DAY_S * 22 // 24 < DAY_S <= ended
            assert len(tracker.records(SAMPLE)) == (DAY_S + 7200) // 600 + 1
            # The next day it calls again, and what was kept goes out.
            tracker.places.cell = type(tracker.places)().cell
            assert tracker.until(lambda: tracker.asleep and bool(site.keeper.kept), 7200)


def spent_s(tracker: CallingTracker, until_s: int) -> float:
    """Return the seconds for which the modem had its supply."""
    total, since = 0.0, None
    for note in tracker.notes("modem-power"):
        now_s = note["us"] / 1e6
        if now_s > until_s:
            break
        if note["state"] == "unpowered":
            total += now_s - (since if since is not None else now_s)
            since = None
        elif since is None:
            since = now_s
    return total


def test_each_alarm_gets_one_call_beyond_the_budget(tmp_path: Path) -> None:
    rules = [(1, 1, 0, 3, 800, 0, 0, 0), (2, 1, 1, 3, 3000, 0, 0, 0)]  # payload 8 °C, ambient 30
    with Site(tmp_path, tls=False) as site:
        (site.volume / "profile.cbor").write_bytes(profile(rules, interval=600))
        with CallingTracker(site) as tracker:
            tracker.places.cell = None
            tracker.power_on()
            assert tracker.until(lambda: tracker.asleep and is_spent(tracker), DAY_S, 600)
            quiet = len(tracker.notes("modem-power"))
            tracker.world.payload = 20.0
            assert tracker.until(lambda: len(tracker.notes("modem-power")) > quiet, 610)
            tracker.wait(3600)
            called = [note["state"] for note in tracker.notes("modem-power")[quiet:]]
            assert (called[0], called[-1]) == ("off", "unpowered")
            assert called.count("unpowered") == 1  # in vain, and it does not try again
            assert not site.keeper.kept
            tracker.places.cell = type(tracker.places)().cell
            tracker.world.air = 40.0
            assert tracker.until(lambda: tracker.asleep and bool(site.keeper.kept), 720)


def is_spent(tracker: CallingTracker) -> bool:
    """Return whether the tracker has said that its budget is spent."""
    return [what for _, _, *what in tracker.records(FAULT)][-1:] == [[MODEM, SPENT, 1]]
