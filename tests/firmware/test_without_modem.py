"""A board whose modem is not there (a bench): it samples and judges, and never tries to call."""

from pathlib import Path

import pytest

from coldtrail_simulator.clock import US_PER_S
from coldtrail_simulator.esp32 import interpreter
from coldtrail_simulator.paths import BOARDS
from tests.support.trackers.bench import BOARD, BenchTracker, NoModem, profile
from tests.support.trackers.rig import Still

MINUTE_S = 60
LIGHT_AT_ONCE = [1, 1, 3, 3, 100, 0, 0, 0]
"""A rule: instant, light, above, 1 lx."""


class Supplied(NoModem):
    """Notes that its supply was switched on."""

    def __init__(self, *_: object) -> None:
        super().__init__()
        self.on = False

    def supply(self, level: int | None) -> None:
        self.on = self.on or bool(level)


@pytest.fixture
def tracker(tmp_path: Path):
    volume = tmp_path / "volume"
    files = {"profile.cbor": profile([LIGHT_AT_ONCE])}
    with BenchTracker(volume, files=files, factories={"BG95-M3": Supplied}) as found:
        source = (BOARDS / BOARD["NAME"] / "board.py").read_text(encoding="utf-8")
        interpreter.install(volume, {"board.py": source + "\nMODEM = None\n"})
        assert isinstance(found.world, Still)
        found.power_on()
        yield found


def test_alarms_and_unconfirmed_blocks_keep_it_neither_awake_nor_calling(tracker):
    tracker.world.light = 5.0
    tracker.wait(30 * MINUTE_S)
    assert tracker.records(5), "no alarm was raised"
    samples = [fields[1] for fields in tracker.records(1)]
    assert samples == list(range(samples[0], samples[0] + 60 * len(samples), 60))
    assert len(samples) >= 29
    assert not tracker.parts["modem"].on
    assert len(samples) <= len(tracker.notes("deep-sleep")) <= len(samples) + 3, "for nothing"


def test_the_console_says_so_and_the_self_test_leaves_it_out(tracker):
    tracker.wait(MINUTE_S)
    tracker.parts["vbus"].plug()
    tracker.wait(5)
    tracker.console.type(b"modem\rselftest\r")
    tracker.wait(10)
    tracker.parts["button"].press(US_PER_S // 2)
    tracker.wait(60)
    text = tracker.console.text
    assert "error: there is no modem on this board" in text
    assert "none on this board (not checked, nor what needs it)" in text
    assert "ok     flash write" in text
    assert "test block" not in text
    assert not tracker.parts["modem"].on
