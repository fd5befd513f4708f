"""The self-test by the button: what it measures, what it finds, and that it harms no record."""

import re

import cbor2
import pytest

from coldtrail_boards import logdump
from coldtrail_simulator.models.bg95.general import Sim
from coldtrail_simulator.models.bg95.modem import BG95
from coldtrail_simulator.models.bg95.radio import Cell
from coldtrail_simulator.models.faults import set_fault
from coldtrail_simulator.network.network import Network
from coldtrail_simulator.services import tools
from coldtrail_simulator.shipment.shipment import run
from coldtrail_simulator.world import scenario
from coldtrail_simulator.world.scenario import ButtonPress, Flight
from coldtrail_simulator.world.world import World
from tests.bench import heap
from tests.journeys.test_heap import FIRMWARE_KIB
from tests.support.trackers.bench import BenchTracker

LINE = re.compile(r"\b(ok|FAILED) +(\S+(?: \S+)*?)  +(.*?) \(.*\)")
NAMES = [
    "modem", "SIM", "registration", "clock", "test block", "probe", "ambient", "humidity", "light",
    "gravity", "deflection x", "deflection y", "deflection z", "battery", "flash chip",
    "flash erase", "flash write", "LED and button",
]  # fmt: skip
SPARE_KIB = 4
AT_S = 270  # a sample is due half a minute later
S = 1_000_000


def results(console):
    """Return {name: (passed, value)} of the lines of a self-test."""
    found = [match.groups() for match in LINE.finditer(console)]
    return {name: (verdict == "ok", value) for verdict, name, value in found}


def lit(notes, name, from_us):
    """Return for how long, in us, a colour was lit each time since a moment."""
    edges = [note for note in notes if note["kind"] == "led" and note["name"] == name]
    edges = [note["us"] for note in edges if note["us"] >= from_us]
    return [off - on for on, off in zip(edges[::2], edges[1::2], strict=False)]


# --- a tracker that is well ----------------------------------------------------------------


@pytest.fixture(scope="module")
def well(tmp_path_factory):
    """A tracker whose button is pressed three times, and again while its LED takes turns.

    On the 32-bit interpreter, in little more heap than a journey is held to.
    """
    story = scenario.load("fair_weather")
    header = story.scenario.model_copy(update={"duration_h": 370 / 3600})
    moments = [AT_S, AT_S + 0.8, AT_S + 1.5, *range(AT_S + 40, AT_S + 80, 3)]
    presses = [ButtonPress(kind="button", at_h=moment / 3600, hold_s=0.2) for moment in moments]
    story = story.model_copy(update={"scenario": header, "event": presses})
    kib = FIRMWARE_KIB + SPARE_KIB + heap.shims_bytes() // 1024
    out = tmp_path_factory.mktemp("well") / "out"
    return run(story, 1, out, argv=tools.micropython32(), heap_kib=kib)


def test_everything_is_checked_and_measured(well):
    console = (well.out / "console.log").read_text(encoding="utf-8")
    found = results(console)
    assert list(found) == NAMES
    assert all(passed for passed, _ in found.values()), console
    assert "self-test: passed" in console
    measured = {note["sensor"]: note for note in well.of("measure") if note["us"] > AT_S * S}
    millivolts, unit = found["battery"][1].split()
    assert unit == "mV"
    assert int(millivolts) == pytest.approx(measured["battery"]["true_millivolts"], abs=10)
    assert found["SIM"][1] == Sim().iccid


def test_its_block_is_confirmed_and_its_outcome_is_shown(well):
    console = (well.out / "console.log").read_text(encoding="utf-8")
    block = int(results(console)["test block"][1].split()[1])
    assert well.confirms(block)
    green, red = (lit(well.notes, f"led_{colour}", AT_S * S) for colour in ("green", "red"))
    assert 4.9 * S < max(green) < 5.2 * S
    assert max(red) < 0.3 * S  # taking turns, before the button is pressed


def test_samples_go_on_beside_it(well):
    dump = logdump.decode((well.out / "flash.bin").read_bytes())
    first, second = (cbor2.loads(one.payload)[0] for one in dump.records if one.kind == 1)
    assert second - first == 300


def test_it_harms_no_record(well):
    dump = logdump.decode((well.out / "flash.bin").read_bytes())
    assert not dump.damage
    sequences = [record.sequence for record in dump.records]
    assert sequences == list(range(1, len(sequences) + 1))


# --- trackers that are not -----------------------------------------------------------------


def pressed(tracker, times=3):
    """Press the button of a tracker that sleeps, so often in a row."""
    for _ in range(times):
        tracker.parts["button"].press(200_000)
        tracker.wait(0.8)


@pytest.fixture
def bench(tmp_path):
    """Return a function that makes a tracker which has been through its first call."""
    made = []

    def make(**options):
        tracker = BenchTracker(tmp_path / "volume", **options)
        made.append(tracker)
        tracker.power_on()
        tracker.wait_for("deep-sleep", 600)
        return tracker

    yield make
    for tracker in made:
        tracker.close()


def test_what_is_broken_is_named_and_counted_in_red(bench):
    tracker = bench()
    for part, fault in (
        ("probe", "open"),
        ("accelerometer", "seized"),
        ("battery", "out_of_range"),
    ):
        set_fault(tracker.parts[part], fault, on=True)
    begun = tracker.clock.now_us
    pressed(tracker)
    tracker.wait(120)
    found = results(tracker.console.text)
    assert list(found) == NAMES
    failed = {name: value for name, (passed, value) in found.items() if not passed}
    assert failed["probe"] == "open"
    assert failed["battery"] == "out of range"
    assert failed["modem"] == "the modem does not answer after power-on"
    assert failed["SIM"] == failed["clock"] == "no modem"
    assert failed["test block"] == "not sent"
    assert failed["LED and button"] == "not pressed"
    assert {"deflection x", "deflection y", "deflection z"} < set(failed)
    assert not {"ambient", "gravity", "light", "flash erase", "flash write"} & set(failed)
    assert f"self-test: {len(failed)} failed" in tracker.console.text
    flashes = [us for us in lit(tracker.notes("led"), "led_red", begun) if us > 450_000]
    assert len(flashes) == len(failed)


def without_a_card(bench, name, entry):
    del entry
    network = Network(bench.clock, bench.rng("network"), bench.journal, {})
    cells = type("Cells", (), {"coverage": lambda *_: Cell()})()
    sim = Sim(present=False)
    return BG95(bench.clock, bench.rng(name), bench.journal, cells, network, lambda: 0, sim=sim)


def test_a_missing_card_is_named_with_what_to_do(bench):
    tracker = bench(factories={"BG95-M3": without_a_card})
    pressed(tracker)
    tracker.wait(90)
    found = results(tracker.console.text)
    assert found["modem"][0]
    assert found["SIM"] == (False, "no card answers: insert one")
    assert found["registration"] == (False, "no SIM")


@pytest.mark.parametrize(
    ("level", "name", "says"),
    [(0, "flash erase", "not blank after an erase"), (1, "flash write", "1 wrong bytes")],
)
def test_a_bit_that_sticks_is_found(level, name, says, bench):
    tracker = bench()
    array = tracker.parts["flash"].array
    # In the sector that a log just begun would open last.
    array.stick(len(array.cells) - 4096 + 9, 0x10, level)
    pressed(tracker)
    tracker.wait(90)
    assert results(tracker.console.text)[name] == (False, says)


def test_two_presses_show_the_verdict_and_test_nothing(bench):
    tracker = bench()
    pressed(tracker, times=2)
    tracker.wait(90)
    assert not results(tracker.console.text)


def test_power_lost_while_the_flash_is_tried_leaves_the_log_whole(bench):
    tracker = bench()
    torn = 0
    for cut_ms in range(460, 1250, 90):
        before = tracker.records(1, 3, 7)
        tried = tracker.console.text.count("gravity")
        pressed(tracker)
        while tracker.console.text.count("gravity") == tried:
            tracker.wait(0.02)
        tracker.wait(cut_ms / 1000)
        tracker.power_cut(S)
        found = logdump.decode(bytes(tracker.parts["flash"].array.cells))
        torn += logdump.State.LOST in found.states
        tracker.wait_for("deep-sleep", 600)
        after = tracker.records(1, 3, 7)
        assert after[: len(before)] == before
        assert len(after) > len(before)
    assert torn > 2


# --- before a flight -----------------------------------------------------------------------


def test_a_planned_leg_ends_it_with_the_modem_off_and_no_reset(tmp_path):
    flight = Flight(kind="flight", at_h=0.75, for_h=1, planned=True)
    story = scenario.load("fair_weather")
    story = story.model_copy(update={"event": [flight]})
    [[off_block, _]] = World(story, 1).planned_flights
    off_block -= round(story.scenario.start.timestamp())
    silent = off_block - 120
    moments = [silent - 12, silent - 11.2, silent - 10.5]
    presses = [ButtonPress(kind="button", at_h=moment / 3600, hold_s=0.2) for moment in moments]
    header = story.scenario.model_copy(update={"duration_h": (off_block + 60) / 3600})
    story = story.model_copy(update={"scenario": header, "event": [flight, *presses]})
    shipment = run(story, 1, tmp_path / "out")
    console = (shipment.out / "console.log").read_text(encoding="utf-8")
    assert "Traceback" not in console
    assert "self-test: ended, in a flight nothing may be sent" in console
    at = [note["us"] / S for note in shipment.of("at")]
    assert any(silent - 10 < moment < silent for moment in at)
    assert not any(moment > off_block for moment in at)
    assert shipment.of("modem-power")[-1]["state"] == "unpowered"
    dump = logdump.decode((shipment.out / "flash.bin").read_bytes())
    assert sum(record.kind == 3 for record in dump.records) == 1  # one boot
