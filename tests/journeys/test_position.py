"""Where the tracker is: by satellites when due or asked for, by its cell at any call."""

from collections.abc import Iterator
from typing import Any

import cbor2
import pytest

from coldtrail_gateway.contract import envelope
from coldtrail_gateway.contract.envelope import Kind
from coldtrail_simulator.clock import US_PER_S
from coldtrail_simulator.models.bg95.gnss import Fix
from coldtrail_simulator.models.bg95.part import BG96
from coldtrail_simulator.network.contract import PREFIX
from coldtrail_simulator.shipment import identity
from tests.support.host import until
from tests.support.trackers.bench import profile
from tests.support.trackers.sessions import WHO, CallingTracker, Cell, Site

POSITION, ALARM_START, FAULT, OUTCOME, CELL = 2, 5, 13, 17, 19
LOCATE = 3
INTERVAL = 10  # the profile's key
HERE = Fix(51.0543, -3.7174, hdop=1.1)
LIMIT_S = 120
"""What a search may take."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Site(tmp_path_factory.mktemp("site"), tls=False) as found:
        yield found


def seen(_t_s: float) -> Fix:
    return HERE


def provision(site: Site, position_interval: int = 0, **fields: Any) -> None:
    document = cbor2.loads(profile(**fields)) | {INTERVAL: position_interval}
    (site.volume / "profile.cbor").write_bytes(cbor2.dumps(document, canonical=True))


def searches(tracker: CallingTracker) -> list[tuple[float, float]]:
    """Return when the receiver was on: from, for how long, in seconds."""
    moments = [note["us"] / US_PER_S for note in tracker.notes("gnss")]
    return [(on, off - on) for on, off in zip(moments[::2], moments[1::2], strict=True)]


def test_a_position_when_its_interval_is_over(site: Site) -> None:
    provision(site, 7200, interval=600, upload_interval=3600)
    with CallingTracker(site, modem={"sky": seen}) as tracker:
        tracker.power_on()
        tracker.wait(3 * 3600)
        first, second = searches(tracker)
        # A search follows a call, and calls take some seconds more or less.
        assert 7200 - 120 <= second[0] - first[0] <= 7200 + 120
        assert max(first[1], second[1]) < LIMIT_S
        found = tracker.records(POSITION)
    assert len(found) == 2
    for _, _, latitude, longitude, uncertainty, source in found:
        assert abs(latitude - HERE.latitude * 1e6) <= 10
        assert abs(longitude - HERE.longitude * 1e6) <= 10
        assert uncertainty == pytest.approx(6 * HERE.hdop, abs=1)  # m, for 6 m of range error
        assert source == 1


NO_POSITIONS = {
    "zeros": Fix(0.0, 0.0, hdop=0.0, altitude=0.0, satellites=0, mode=0),
    "few": Fix(51.0543, -3.7174, satellites=2, mode=2),
    "last century's weeks": Fix(51.0543, -3.7174, days_off=-1024 * 7),
}
"""What receivers answer with OK that is none."""


@pytest.mark.parametrize("sky", ["covered", "deaf", *NO_POSITIONS])
def test_a_search_ends_without_a_position(site: Site, sky: str) -> None:
    provision(site, 7200)
    part = {"part": BG96} if sky == "deaf" else {}
    with CallingTracker(site, modem={"sky": lambda _t: NO_POSITIONS.get(sky), **part}) as tracker:
        tracker.power_on()
        assert tracker.until(lambda: tracker.asleep, 600)
        ((_, seconds),) = searches(tracker)
        assert LIMIT_S - 5 <= seconds <= LIMIT_S + 1
        assert not tracker.records(POSITION)
        tracker.wait(6000)
        assert len(searches(tracker)) == 1  # in vain, and not again before the interval is over
        assert len(site.keeper.kept) > 1


def test_an_alarm_ends_the_search_at_once_and_goes_out(site: Site) -> None:
    provision(site, 7200, rules=[(1, 1, 0, 3, 800, 0, 0, 0)])  # instant: payload above 8 °C
    with CallingTracker(site, modem={"sky": lambda _t: None}) as tracker:
        tracker.power_on()
        assert tracker.until(lambda: bool(tracker.notes("gnss")), 60, 1)
        kept = len(site.keeper.kept)
        tracker.world.payload = 20.0
        assert tracker.until(lambda: len(tracker.notes("gnss")) == 2, 70, 0.25)
        ended_s = tracker.clock.now_us / US_PER_S
        measured_s = [note["us"] / US_PER_S for note in tracker.notes("measure")][-1]
        assert ended_s - measured_s < 2
        assert tracker.until(lambda: len(site.keeper.kept) > kept, 30, 0.25)
        # The radio had lost its cell meanwhile: it registers anew.
        assert tracker.clock.now_us / US_PER_S - ended_s < 25
        assert tracker.until(lambda: tracker.asleep, 120)
        assert len(tracker.records(ALARM_START)) == 1
        # One call: the modem was not switched off in between.
        assert [n["state"] for n in tracker.notes("modem-power")].count("booting") == 1


def ask(site: Site, action: list[int], good_for_s: int = 1800) -> int:
    """Retain a command of the gateway's; return its counter."""
    now_ms = site.now_ms()
    payload = {0: 1, 1: now_ms, 2: now_ms // 1000 + good_for_s, 3: action}
    sealed = envelope.seal(
        cbor2.dumps(payload, canonical=True),
        Kind.COMMAND,
        WHO.tracker,
        identity.KEY_VERSION,
        WHO.downlink_key,
    )
    topic = f"{PREFIX}{WHO.tracker}/command"
    site.watch.retain(topic, sealed)
    until(lambda: site.watch.payload(topic) == sealed, "the command")
    return now_ms


@pytest.mark.parametrize("sky", ["open", "covered"])
def test_a_command_to_locate_is_carried_out(site: Site, sky: str) -> None:
    provision(site, upload_interval=600)
    with CallingTracker(
        site, modem={"sky": seen if sky == "open" else lambda _t: None}
    ) as tracker:
        tracker.power_on()
        assert tracker.until(lambda: tracker.asleep, 300)
        assert not tracker.notes("gnss")
        counter = ask(site, [LOCATE])
        assert tracker.until(lambda: len(tracker.records(OUTCOME)) == 2, 1500)
        assert tracker.until(lambda: tracker.asleep, 300)
        said = [fields[2:] for fields in tracker.records(OUTCOME)]
        found = tracker.records(POSITION)
        assert len(searches(tracker)) == 1
    if sky == "open":
        assert said == [[counter, LOCATE, 0], [counter, LOCATE, 1]]
        assert len(found) == 1
    else:
        assert said == [[counter, LOCATE, 0], [counter, LOCATE, 2, "no position found"]]
        assert not found
    site.keeper.clear(f"{PREFIX}{WHO.tracker}/command")


def test_the_serving_cell_is_recorded_when_it_changes(site: Site) -> None:
    provision(site, upload_interval=600)
    with CallingTracker(site) as tracker:
        tracker.places.cell = Cell(plmn="22801", area=0x1234, identity=0xABCDEF0, rsrp=-101)
        tracker.power_on()
        tracker.wait(1500)
        tracker.places.cell = Cell("GSM", plmn="310410", area=2, identity=3, rssi=-77)
        tracker.wait(1500)
        calls = [n["state"] for n in tracker.notes("modem-power")].count("booting")
        cells = [fields[2:] for fields in tracker.records(CELL)]
    assert calls >= 4
    assert cells == [[228, 1, 0x1234, 0xABCDEF0, 1, -101], [310, 410, 2, 3, 3, -77]]
