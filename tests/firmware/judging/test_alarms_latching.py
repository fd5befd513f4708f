"""What latches, what is acknowledged, what events do, when judging begins, what a reset keeps."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldtrail.contract import cbor
from coldtrail.judging import profile
from coldtrail.judging.alarms import Engine
from coldtrail.log import records as r
from coldtrail.log.state import State
from tests.firmware.judging.test_alarms import (
    BACK_WITHIN,
    CONSECUTIVE,
    CUMULATIVE,
    INSTANT,
    TREND,
    rules_of,
    series,
)
from tests.support.references.alarms import Rule
from tests.support.trackers import bench

RESTART, ACKNOWLEDGE = None, "acknowledge"
HOT: Rule = (1, INSTANT, 0, 3, 800, 0, 0, 0)
SHOCK: Rule = (2, INSTANT, 8, 4, 3000, 0, 0, 0)
FALL: Rule = (3, INSTANT, 9, 3, 120, 0, 0, 0)


def reading(value: int | None) -> list[int | None]:
    return [value, *[None] * 7]


@given(
    st.lists(rules_of([INSTANT, CONSECUTIVE, CUMULATIVE]), max_size=5),
    series(),
    st.lists(st.integers(0, 60), max_size=4),
)
def test_red_is_what_stands_or_was_raised_since_somebody_looked(
    rules: list[Rule], steps: list[Any], looks: list[int]
) -> None:
    engine = Engine(rules)
    standing: set[int] = set()
    unseen: set[int] = set()
    for place, step in enumerate(steps):
        if place in looks:
            engine.acknowledge()
            unseen &= standing
        if step is RESTART:
            engine.restart()
            continue
        for change in engine.sample(*step):
            if change[0] == "start":
                standing.add(change[1])
                unseen.add(change[1])
            else:
                standing.discard(change[1])
        assert engine.standing is bool(standing)
        assert engine.alarmed is bool(unseen)
        restored = Engine(rules)
        restored.load(cbor.decode(cbor.encode(engine.save())))
        assert restored.alarmed is engine.alarmed


def test_acknowledging_changes_no_total() -> None:
    rule = (1, CUMULATIVE, 0, 3, 800, 1200, 0, 0)
    engine = Engine([rule])
    for t in (0, 600, 1200):
        engine.sample(t, 600, reading(900))
    engine.sample(1800, 600, reading(700))
    engine.acknowledge()
    assert not engine.alarmed
    # What went on before counts on: the next run is a breach from its first reading.
    assert engine.sample(2400, 600, reading(900)) == [("start", 0, 900, 1800, 2400)]
    assert engine.alarmed


@pytest.mark.parametrize(
    ("rule", "channel", "values"),
    [(SHOCK, 8, (2999, 3000, 3001)), (FALL, 9, (119, 120, 121))],
)
def test_an_event_is_a_breach_that_starts_and_ends_with_it(
    rule: Rule, channel: int, values: tuple[int, ...]
) -> None:
    inclusive = rule[3] == 4
    for value in values:
        engine = Engine([HOT, rule])
        beyond = value > rule[4] or (inclusive and value == rule[4])
        assert engine.event(77, 17 - channel, value) == []
        assert engine.event(77, channel, value) == (
            [("start", 1, value, 0, 77), ("end", 1, BACK_WITHIN, value, value, 0, 77)]
            if beyond
            else []
        )
        assert engine.alarmed is beyond
        assert not engine.standing
        # No sample says anything about it.
        assert engine.sample(100, 60, [0] * 8) == []
        engine.acknowledge()
        assert not engine.alarmed


@dataclass
class Fold:
    """A state that is fed records."""

    state: State
    sequence: int = 0
    changes: list[list[Any]] = field(default_factory=list)

    def add(self, kind: int, *fields: Any) -> None:
        self.sequence += 1
        self.state.apply(self.sequence, kind, cbor2.dumps(list(fields)))
        self.changes += self.state.owed
        self.state.owed = []

    def sample(self, t: int, value: int | None, light: int | None = 0) -> None:
        self.add(r.SAMPLE, t, 0, value, None, None, light, None, None, None, None)

    @property
    def judged(self) -> list[tuple[str, int]]:
        return [(change[0], change[1]) for change in self.changes]


def fold(rules: list[Rule], **fields: Any) -> Fold:
    loaded = profile.load(bench.profile(rules, **fields))
    fresh = Fold(State(loaded, bytes(8)))
    fresh.add(r.BOOT, 0, 1, r.POWER_ON, 0, "0")
    fresh.add(r.SHIPMENT_START, 0, "S-1")
    return fresh


DARK: Rule = (2, INSTANT, 3, 3, 100, 0, 0, 0)


def test_what_is_warm_at_packing_is_recorded_and_not_judged() -> None:
    log = fold([HOT], delay=3600)
    for t in range(0, 3600, 60):
        log.sample(t, 2000)
    assert log.judged == []
    log.sample(3600, 2000)
    assert log.judged == [("start", 0)]


def test_judging_begins_with_the_first_sample_that_lies_in_the_zone() -> None:
    log = fold([HOT, DARK], delay=3600, zone_start=1)
    log.sample(0, 2000)
    log.sample(60, 500, light=5000)  # cold, but the box is open
    log.sample(120, None)  # closed, but nobody knows how warm
    assert log.judged == []
    log.sample(180, 800)
    log.sample(240, 801)
    assert log.judged == [("start", 0)]
    late = fold([HOT], delay=3600, zone_start=1)
    for t in (0, 3599, 3600):
        late.sample(t, 2000)
    assert late.judged == [("start", 0)]


def test_events_before_judging_begins_are_not_judged() -> None:
    log = fold([SHOCK, FALL], delay=3600)
    log.add(r.SHOCK, 3599, 0, -9000, 0)
    log.add(r.FREE_FALL, 3599, 500)
    assert log.judged == []
    log.add(r.SHOCK, 3600, 1, -9000, 30)
    log.add(r.FREE_FALL, 3600, 500)
    assert log.judged == [("start", 0), ("end", 0), ("start", 1), ("end", 1)]
    assert log.changes[0][2] == 9000


def test_a_new_shipment_starts_clean_and_the_totals_with_it() -> None:
    log = fold([HOT, SHOCK])
    log.sample(0, 900)
    log.add(r.SHOCK, 1, 9000, 0, 0)
    assert log.state.engine.alarmed
    log.add(r.SHIPMENT_STOP, 60, "S-1", r.BY_BUTTON)
    log.state.shipment = None  # as the seal leaves it
    log.add(r.SHIPMENT_START, 120, "S-2")
    assert not log.state.engine.alarmed
    assert log.state.engine.save() == Engine([HOT, SHOCK]).save()


def test_only_an_acknowledgement_that_was_done_counts() -> None:
    log = fold([SHOCK])
    log.add(r.SHOCK, 1, 9000, 0, 0)
    for action, outcome in ((2, 0), (2, 2), (2, 3), (1, 1)):
        log.add(r.COMMAND_OUTCOME, 2, 1, action, outcome)
        assert log.state.engine.alarmed
    log.add(r.COMMAND_OUTCOME, 3, 2, 2, 1)
    assert not log.state.engine.alarmed
    restored = State(log.state.profile, None)
    restored.load(cbor.decode(cbor.encode(log.state.save())))
    assert not restored.engine.alarmed


def test_a_fault_calls_at_once_where_the_profile_says_so() -> None:
    log = fold([HOT], urgent_faults=[0, 7])
    for subject, urgent in ((1, False), (7, True)):
        log.state.urgent = False
        log.add(r.FAULT, 60, subject, 1, 1)
        assert log.state.urgent is urgent
        log.state.urgent = False
        log.add(r.FAULT, 60, subject, 1, 0)
        assert log.state.urgent is False
    assert log.state.faults == []


RISE: Rule = (1, TREND, 0, 3, 800, 12 * 3600, 0, 16 * 600)


def drift(log: Fold, t: int, absolute: int) -> None:
    log.sample(t, 400 + absolute // 100 + random.Random(absolute).randint(-3, 3))


@pytest.mark.parametrize("cause", [r.WATCHDOG, r.COMMANDED, r.OTHER])
def test_a_trend_outlives_a_reset_that_the_chips_counter_outlived(cause: int) -> None:
    whole, cut = fold([RISE]), fold([RISE])
    for absolute in range(0, 16 * 600, 60):
        drift(whole, absolute, absolute)
        drift(cut, absolute, absolute)
    zero = 16 * 600 - 17
    cut.add(r.BOOT, 0, 2, cause, zero, "0")
    for absolute in range(16 * 600, 20 * 600, 60):
        drift(whole, absolute, absolute)
        drift(cut, absolute - zero, absolute)
    assert whole.judged == cut.judged == [("start", 0)]


def test_a_trend_begins_anew_when_nobody_knows_how_long_the_power_was_away() -> None:
    for cause, rtc in ((r.POWER_ON, 10_000), (r.BROWN_OUT, 10_000), (r.OTHER, 12)):
        log = fold([RISE])
        for absolute in range(0, 11 * 600, 60):
            drift(log, absolute, absolute)
        log.add(r.BOOT, 0, 2, cause, rtc, "0")
        for t in range(0, 8 * 600, 60):
            drift(log, t, 11 * 600 + t)
        assert log.judged == []


def test_a_start_delay_goes_on_through_a_reset() -> None:
    known, unknown = fold([HOT], delay=3600), fold([HOT], delay=3600)
    for log, cause, rtc, begins in (
        (known, r.WATCHDOG, 3000, 600),
        (unknown, r.POWER_ON, 0, 1200),
    ):
        log.sample(2400, 900)
        log.add(r.BOOT, 0, 2, cause, rtc, "0")
        log.sample(begins - 1, 900)
        assert log.judged == []
        log.sample(begins, 900)
        assert log.judged == [("start", 0)]


def test_rules_that_go_end_what_stands_by_them_and_clear_no_alarm() -> None:
    log = fold([HOT, SHOCK])
    log.sample(0, 900)
    log.add(r.ALARM_START, 0, *HOT[:6], 900, 0)
    log.sample(60, 1000)
    log.add(r.COMMAND_OUTCOME, 70, 1, r.CONFIGURE, r.REFUSED)
    assert log.judged == [("start", 0)]
    log.add(r.COMMAND_OUTCOME, 80, 2, r.CONFIGURE, r.TAKEN)
    assert log.changes[1] == ["end", 0, 4, 900, 1000, 60, 80]
    checkpoint = cbor.encode(log.state.save())
    # The boot that follows: the old rules are gone.
    other = State(profile.load(bench.profile([FALL])), None)
    other.load(cbor.decode(checkpoint))
    booted = Fold(other)
    booted.add(r.CONFIGURATION, 1, "other", b"12345678")
    assert booted.changes == []
    assert other.engine.alarmed
    booted.add(r.COMMAND_OUTCOME, 2, 3, r.ACKNOWLEDGE, r.DONE)
    assert not other.engine.alarmed


def test_an_alarm_after_the_checkpoint_outlives_its_rules() -> None:
    log = fold([HOT])
    checkpoint = cbor.encode(log.state.save())
    other = State(profile.load(bench.profile([FALL])), None)
    other.load(cbor.decode(checkpoint))
    assert not other.engine.alarmed
    Fold(other).add(r.ALARM_START, 60, *HOT[:6], 900, 0)
    assert other.engine.alarmed
