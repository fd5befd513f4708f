"""A modem that does not do what it should: rung after rung up to a cut of its supply."""

from collections.abc import Callable, Iterator

import pytest

from tests.support.trackers.sessions import CallingTracker, Site

RADIO = 18


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Site(tmp_path_factory.mktemp("site"), tls=False) as found:
        yield found


class Stuck:
    """A modem that opens no data connection until something has happened to it."""

    def __init__(self, tracker: CallingTracker, cured: Callable[[CallingTracker], bool]) -> None:
        self._tracker = tracker
        self._cured = cured
        self.refused = 0
        tracker.modem.port.disturbance = self

    def begin(self, exchange: int) -> int | None:
        command = self._tracker.notes("at")[-1]["command"]
        if command.startswith("AT+QIACT=") and not self._cured(self._tracker):
            self.refused += 1
            return None
        return 0

    def spoil(self, kind: str, data: bytes) -> bytes:
        return data


def said(tracker: CallingTracker, command: str) -> bool:
    return any(note["command"] == command for note in tracker.notes("at"))


def boots(tracker: CallingTracker) -> int:
    return [note["state"] for note in tracker.notes("modem-power")].count("booting")


def cut(tracker: CallingTracker) -> bool:
    return any(note["state"] == "unpowered" for note in tracker.notes("modem-power"))


CURES: list[Callable[[CallingTracker], bool]] = [
    lambda tracker: sum(note["command"] == "AT+QIDEACT=1" for note in tracker.notes("at")) > 1,
    lambda tracker: said(tracker, "AT+CFUN=4"),
    lambda tracker: said(tracker, "AT+CFUN=1,1"),
    lambda tracker: boots(tracker) >= 3,
    cut,
]


@pytest.mark.parametrize("rung", range(5), ids=["repeat", "attach", "command", "pin", "supply"])
def test_each_rung_is_climbed_counted_and_told_in_the_next_block(site: Site, rung: int) -> None:
    with CallingTracker(site) as tracker:
        stuck = Stuck(tracker, CURES[rung])
        tracker.power_on()
        assert tracker.until(lambda: tracker.asleep and bool(site.keeper.kept), 600)
        assert stuck.refused
        # Steps of each kind, and refused messages.
        (event,) = tracker.records(RADIO)
        assert event[2:] == [int(step <= rung) for step in range(5)] + [0]
        kept = len(site.keeper.kept)
        assert tracker.until(lambda: tracker.asleep and len(site.keeper.kept) > kept, 4000)
        assert len(tracker.records(RADIO)) == 1


def test_a_modem_that_nothing_helps_is_left_alone_until_the_next_call(site: Site) -> None:
    with CallingTracker(site) as tracker:
        Stuck(tracker, lambda _tracker: False)
        tracker.power_on()
        assert tracker.until(lambda: tracker.asleep and cut(tracker), 900)
        # Each rung once, and no more.
        assert [event[2:] for event in tracker.records(RADIO)] == [[1, 1, 1, 1, 1, 0]]
        assert boots(tracker) == 4
        assert not site.keeper.kept


@pytest.mark.parametrize("rate", [9600, 57_600, 460_800])
def test_a_modem_at_another_rate_is_found_and_set_back(site: Site, rate: int) -> None:
    with CallingTracker(site) as tracker:
        tracker.modem.general._stored_baud = rate
        tracker.modem.general.reset()
        tracker.power_on()
        assert tracker.until(lambda: tracker.asleep and bool(site.keeper.kept), 600)
        assert said(tracker, "AT+IPR=115200")
        found = len(tracker.notes("at"))
        kept = len(site.keeper.kept)
        assert tracker.until(lambda: tracker.asleep and len(site.keeper.kept) > kept, 4000)
        later = [note["command"] for note in tracker.notes("at")[found:]]
        assert "AT+IPR=115200" not in later
        assert boots(tracker) == 2
