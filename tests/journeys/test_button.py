"""The button while the tracker calls: nobody who presses it can know that it does."""

import cbor2

from coldtrail_boards import logdump
from coldtrail_simulator.shipment.shipment import run
from coldtrail_simulator.world import scenario
from coldtrail_simulator.world.scenario import ButtonPress

STOP, BY_BUTTON = 11, 1
S = 1_000_000


def pressed(out, at_s, hold_s):
    """Run a shipment whose button is pressed; return the run."""
    story = scenario.load("fair_weather")
    header = story.scenario.model_copy(update={"duration_h": 120 / 3600})
    press = ButtonPress(kind="button", at_h=at_s / 3600, hold_s=hold_s)
    return run(story.model_copy(update={"scenario": header, "event": [press]}), 1, out)


def in_call(shipment, at_s):
    """Tell whether the modem was on from before a moment until after it."""
    states = [(note["us"] / S, note["state"]) for note in shipment.of("modem-power")]
    before = [state for t, state in states if t <= at_s]
    return bool(before) and before[-1] == "on"


def test_held_during_a_call_it_stops_the_shipment_once_the_call_is_over(tmp_path):
    shipment = pressed(tmp_path / "out", 16, 4)
    assert in_call(shipment, 16)
    dump = logdump.decode((shipment.out / "flash.bin").read_bytes())
    stops = [cbor2.loads(record.payload) for record in dump.records if record.kind == STOP]
    assert [stop[-1] for stop in stops] == [BY_BUTTON]
    last = max(record.sequence for record in dump.records if record.kind == 28)
    assert last > next(record.sequence for record in dump.records if record.kind == STOP)
    shown = [note for note in shipment.of("led") if note["us"] > 16 * S]
    assert shown, "no verdict was shown"


def test_a_short_press_during_a_call_shows_the_verdict_after_it(tmp_path):
    shipment = pressed(tmp_path / "out", 14, 0.2)
    assert in_call(shipment, 14)
    dump = logdump.decode((shipment.out / "flash.bin").read_bytes())
    assert not [record for record in dump.records if record.kind == STOP]
    green = [note for note in shipment.of("led") if note["name"] == "led_green"]
    assert green
    assert green[0]["us"] > 14 * S
