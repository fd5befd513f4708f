"""What begins shortly before a shipment is stopped by hand is the arrival, and no alarm."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import cbor2
import pytest

from coldtrail.contract import cbor
from coldtrail.judging import profile
from coldtrail.log import records as r
from coldtrail.log.state import State
from tests.support.extent import slice_or_all
from tests.support.trackers import bench

WINDOW = 9
LIT, SHOCK = 7, 8  # ids of rules
BY_ARRIVAL = 5
NOON = 1000
"""When what is tested begins: long after the shipment's start."""
# One instant rule a channel, with the channel as its id.
LIMITS = {4: 3000, 8: 3000}
RULES = [(channel, 1, channel, 3, LIMITS.get(channel, 100), 0, 0, 0) for channel in range(10)]
HANDLED = (3, 5, 6, 7, 8, 9)
BEYOND = 4000  # of every channel
HANDS = (r.BY_BUTTON, r.BY_COMMAND, r.BY_CONSOLE)


@dataclass
class Box:
    """A state and its log: what it owes is recorded at once, as the recorder does."""

    state: State
    wakes: bool = False
    """Whether the state is lost and restored from what was saved of it, after every record."""
    log: list[tuple[int, list[Any]]] = field(default_factory=list)

    def add(self, kind: int, *fields: Any) -> None:
        self.log.append((kind, list(fields)))
        self.state.apply(len(self.log), kind, cbor2.dumps(list(fields)))
        if self.wakes:
            saved = cbor.decode(cbor.encode(self.state.save()))
            self.state = State(self.state.profile, None)
            self.state.load(saved)
        if self.state.owed:
            change, index, *rest = self.state.owed[0]
            rule = self.state.profile.rules[index]
            if change == "start":
                self.add(r.ALARM_START, rest[2], *rule[:6], *rest[:2])
            else:
                self.add(r.ALARM_END, rest[-1], rule[0], *rest[:-1])

    def sample(self, t: int, **beyond: int) -> None:
        values = [beyond.get(f"c{channel}", 0) for channel in range(8)]
        self.add(r.SAMPLE, t, 0, *values)

    def happen(self, channel: int, t: int) -> None:
        """Let something happen that breaks the rule on a channel, and does not go on by itself."""
        if channel == 8:
            self.add(r.SHOCK, t, BEYOND, 0, 0)
        elif channel == 9:
            self.add(r.FREE_FALL, t, BEYOND)
        else:
            self.sample(t, **{f"c{channel}": BEYOND})

    def seal(self) -> None:
        """Everything so far is in a block."""
        self.state.urgent = False

    def stop(self, t: int, cause: int = r.BY_BUTTON) -> None:
        self.add(r.SHIPMENT_STOP, t, "S-1", cause)

    @property
    def ends(self) -> list[tuple[int, int]]:
        """Rule and cause of each end of an alarm."""
        return [(f[1], f[2]) for kind, f in self.log if kind == r.ALARM_END]


def travelling(window: int = WINDOW, **options: Any) -> Box:
    loaded = profile.load(bench.profile(RULES, arrival_window=window))
    box = Box(State(loaded, bytes(8)), **options)
    box.add(r.BOOT, 0, 1, r.POWER_ON, 0, "0")
    box.add(r.CONFIGURATION, 0, "bench", loaded.digest)
    box.add(r.SHIPMENT_START, 0, "S-1")
    box.sample(NOON - 1)
    return box


def told_at(box: Box, times: Iterator[int] | range, **beyond: int) -> int | None:
    """Sample at these times; return the first at which somebody has to be told."""
    for t in times:
        if box.state.urgent:
            return t - 1
        box.sample(t, **beyond)
    return None


@pytest.mark.parametrize("channel", range(10))
@pytest.mark.parametrize("goes_on", [False, True])
@pytest.mark.parametrize("wakes", [False, True])
def test_the_windows_edges(channel: int, goes_on: bool, wakes: bool) -> None:
    """So many seconds from the opening on, every way to stop, sampled in between and not."""
    beyond = {f"c{channel}": BEYOND} if goes_on and channel < 8 else {}
    for passed in slice_or_all([0, 1, WINDOW - 1, WINDOW, WINDOW + 1], list(range(WINDOW + 4))):
        for cause in (*HANDS, r.BY_OTHER_SHIPMENT):
            for step in (1, 4, 1000):
                box = travelling(wakes=wakes)
                box.happen(channel, NOON)
                assert box.state.urgent is (channel not in HANDLED)
                for t in range(NOON + step, NOON + passed, step):
                    box.sample(t, **beyond)
                box.stop(NOON + passed, cause)
                arrived = channel in HANDLED and passed <= WINDOW and cause in HANDS
                assert ((channel, BY_ARRIVAL) in box.ends) is arrived, (passed, cause, step)
                assert box.state.engine.alarmed is not arrived
                assert box.state.urgent is not arrived
                assert box.state.held == []
                assert not box.state.engine.standing
                starts = sum(kind == r.ALARM_START for kind, _ in box.log)
                assert starts == 1
                # One end, or the one it had and the arrival's.
                assert len(box.ends) == 1 + (arrived and box.ends[0][1] == r.BACK_WITHIN)


@pytest.mark.parametrize("channel", HANDLED)
@pytest.mark.parametrize("wakes", [False, True])
def test_without_a_stop_it_is_told_when_the_window_is_over(channel: int, wakes: bool) -> None:
    box = travelling(wakes=wakes)
    box.happen(channel, NOON)
    assert told_at(box, range(NOON + 1, NOON + 100)) == NOON + WINDOW + 1
    assert box.state.engine.alarmed


def test_a_profile_without_a_window_tells_at_once() -> None:
    box = travelling(0)
    box.happen(3, NOON)
    assert box.state.urgent
    box.stop(NOON)
    assert box.ends == [(3, r.SHIPMENT_STOPPED)]
    assert box.state.engine.alarmed


def test_an_alarm_on_the_way_stays_one_when_the_box_arrives() -> None:
    """By the same rule: the box was opened, shut, and opened again at its arrival."""
    box = travelling()
    box.happen(3, NOON)
    box.sample(NOON + 5)
    assert told_at(box, range(NOON + 6, NOON + 100)) == NOON + WINDOW + 1
    box.seal()
    box.happen(3, NOON + 200)
    box.happen(8, NOON + 201)
    assert not box.state.urgent
    box.stop(NOON + 205)
    assert box.ends == [(3, r.BACK_WITHIN), (8, r.BACK_WITHIN), (3, BY_ARRIVAL), (8, BY_ARRIVAL)]
    assert box.state.engine.alarmed


def test_one_that_somebody_has_seen_leaves_the_verdict_green() -> None:
    box = travelling()
    box.happen(3, NOON)
    box.sample(NOON + 50)
    box.add(r.COMMAND_OUTCOME, NOON + 60, 1, r.ACKNOWLEDGE, r.TAKEN)
    box.add(r.COMMAND_OUTCOME, NOON + 60, 1, r.ACKNOWLEDGE, r.DONE)
    box.happen(3, NOON + 200)
    box.stop(NOON + 200)
    assert box.ends == [(3, r.BACK_WITHIN), (3, BY_ARRIVAL)]
    assert not box.state.engine.alarmed


def test_each_start_within_the_window_has_an_end_by_arrival() -> None:
    box = travelling()
    for t in (NOON, NOON + 3, NOON + 6):
        box.sample(t, c3=BEYOND)
        box.happen(8, t + 1)
        if t < NOON + 6:
            box.sample(t + 2)
    box.stop(NOON + WINDOW)
    assert [end for end in box.ends if end[1] == BY_ARRIVAL].count((3, BY_ARRIVAL)) == 3
    assert [end for end in box.ends if end[1] == BY_ARRIVAL].count((8, BY_ARRIVAL)) == 3
    assert box.ends.count((3, r.SHIPMENT_STOPPED)) == 0
    assert not box.state.engine.alarmed


def test_only_those_within_the_window_end_by_arrival() -> None:
    box = travelling()
    for t in (NOON, NOON + 1, NOON + 2):
        box.happen(8, t)
    box.stop(NOON + WINDOW + 1)
    assert box.ends.count((8, BY_ARRIVAL)) == 2
    assert box.state.engine.alarmed


def boot(box: Box) -> None:
    box.add(r.BOOT, 0, 2, r.WATCHDOG, NOON + 5, "0")


def acknowledge(box: Box) -> None:
    box.add(r.COMMAND_OUTCOME, NOON + 5, 1, r.ACKNOWLEDGE, r.TAKEN)
    box.add(r.COMMAND_OUTCOME, NOON + 5, 1, r.ACKNOWLEDGE, r.DONE)


def other_rules(box: Box) -> None:
    box.add(r.CONFIGURATION, NOON + 5, "other", bytes(8))


def shaken(box: Box) -> None:
    for t in range(8):
        box.happen(8, NOON + t)


@pytest.mark.parametrize("between", [boot, acknowledge, other_rules, shaken])
def test_what_happens_meanwhile_makes_it_an_alarm(between: Any) -> None:
    box = travelling()
    box.sample(NOON, c3=BEYOND)
    between(box)
    box.stop(NOON + 8 if between is not boot else 3)
    assert not [end for end in box.ends if end[1] == BY_ARRIVAL]
    assert box.state.engine.alarmed


def test_temperature_calls_at_once_and_stays_an_alarm() -> None:
    box = travelling()
    box.sample(NOON, c3=BEYOND)
    assert not box.state.urgent
    box.sample(NOON + 1, c3=BEYOND, c0=BEYOND)
    assert box.state.urgent
    box.stop(NOON + 2)
    assert sorted(box.ends) == [(0, r.SHIPMENT_STOPPED), (3, BY_ARRIVAL)]
    assert box.state.engine.alarmed


def test_what_older_firmware_has_saved_is_taken() -> None:
    box = travelling()
    saved = cbor.decode(cbor.encode(box.state.save()))
    state = State(box.state.profile, None)
    state.load(saved[:-1])
    assert state.save() == saved
