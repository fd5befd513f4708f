"""The alarm engine agrees with a slow, obvious reference, and is exact at the edges of rules."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from coldtrail.contract.cbor import decode, encode
from coldtrail.judging.alarms import Engine
from coldtrail_boards.profiles import profile as profiles
from coldtrail_simulator.services import tools
from tests.support.references import alarms
from tests.support.references import trend as trend_reference
from tests.support.references.alarms import RESTART, Rule, Step

FIRMWARE = Path(__file__).resolve().parents[3] / "firmware"

INSTANT, CONSECUTIVE, CUMULATIVE, TREND = 1, 2, 3, 4
BACK_WITHIN, SENSOR_LOST, SHIPMENT_STOPPED = 1, 2, 3


def run(engine: Engine, steps: Sequence[Step]) -> list[tuple[Any, ...]]:
    changes: list[tuple[Any, ...]] = []
    for step in steps:
        if step is RESTART:
            engine.restart()
        else:
            changes += engine.sample(*step)
    return changes


INTERVALS = st.sampled_from([1, 7, 10, 60])
# Few values close to few thresholds, so that every edge is met often.
READINGS = st.one_of(st.none(), st.integers(-4, 4))


@st.composite
def rules_of(draw: st.DrawFn, kinds: Sequence[int]) -> Rule:
    kind = draw(st.sampled_from(kinds))
    return (
        draw(st.integers(0, 255)),
        kind,
        draw(st.integers(0, 7)),
        draw(st.integers(1, 4)),
        draw(st.integers(-3, 3)),
        0 if kind == INSTANT else draw(st.integers(1, 240)),
        draw(st.sampled_from([0, 0, 1, 3])),
        draw(st.sampled_from([16, 100, 480])) if kind == TREND else 0,
    )


@st.composite
def series(draw: st.DrawFn) -> list[Step]:
    steps: list[Step] = []
    t = draw(st.integers(0, 100))
    for _ in range(draw(st.integers(1, 60))):
        interval = draw(INTERVALS)
        if draw(st.integers(0, 19)) == 0:
            steps.append(RESTART)
            t = draw(st.integers(0, 100))
        # On time, late, at the very edge of a gap, and beyond it.
        t += draw(
            st.sampled_from([interval, interval, interval, 3 * interval // 2,
                             3 * interval // 2 + 1, 5 * interval])
        )  # fmt: skip
        steps.append((t, interval, draw(st.lists(READINGS, min_size=8, max_size=8))))
    return steps


@given(st.lists(rules_of([INSTANT, CONSECUTIVE, CUMULATIVE]), min_size=1, max_size=6), series())
@settings(max_examples=200, deadline=None)
def test_agrees_with_the_reference(rules: list[Rule], steps: list[Step]) -> None:
    changes = run(Engine(rules), steps)
    for index, rule in enumerate(rules):
        own = [change for change in changes if change[1] == index]
        assert own == alarms.changes(index, rule, steps)


@st.composite
def drifts(draw: st.DrawFn) -> list[Step]:
    """Return a long series that rises, falls and rests, with all that interrupts one."""
    rng = draw(st.randoms(use_true_random=False))
    steps: list[Step] = []
    t, value = rng.randrange(100), rng.randrange(-500, 500)
    for _ in range(rng.randrange(1, 8)):
        slope = rng.choice([-30, -5, 0, 5, 30])
        noise = rng.choice([5, 5, 60])  # the larger one lets verdicts waver
        losses = rng.choice([0, 0.02, 0.1])
        for _ in range(rng.randrange(1, 200)):
            t += 10 if rng.random() < 0.95 else rng.randrange(10, 2000)
            value += slope + rng.randint(-noise, noise)
            lost = rng.random() < losses
            steps.append((t, 10, [None if lost else value, *[None] * 7]))
        if rng.random() < 0.1:
            steps.append(RESTART)
            t = rng.randrange(100)
    return steps


TRENDS: st.SearchStrategy[Rule] = st.tuples(
    st.just(1), st.just(TREND), st.just(0), st.integers(1, 4), st.integers(-2000, 2000),
    st.integers(60, 5000), st.just(0), st.sampled_from([160, 170, 480, 1600]),
)  # fmt: skip


@given(TRENDS, drifts())
@settings(max_examples=60, deadline=None)
def test_trends_agree_with_the_reference(rule: Rule, steps: list[Step]) -> None:
    changes = run(Engine([rule]), steps)
    event(f"breaches: {min(sum(change[0] == 'start' for change in changes), 3)}")
    event(f"ended as: {sorted({change[2] for change in changes if change[0] == 'end'})}")
    assert changes == trend_reference.changes(rule, steps)


@given(
    st.one_of(
        st.tuples(
            st.lists(rules_of([INSTANT, CONSECUTIVE, CUMULATIVE, TREND]), max_size=8), series()
        ),
        st.tuples(st.lists(TRENDS, min_size=1, max_size=2), drifts()),
    ),
    st.data(),
)
@settings(max_examples=200, deadline=None)
def test_a_restored_state_judges_the_same(
    rules_and_steps: tuple[list[Rule], list[Step]], data: st.DataObject
) -> None:
    rules, steps = rules_and_steps
    split = data.draw(st.integers(0, len(steps)))
    whole, first, second = Engine(rules), Engine(rules), Engine(rules)
    expected = run(whole, steps)
    changes = run(first, steps[:split])
    second.load(decode(encode(first.save())))
    changes += run(second, steps[split:])
    assert changes == expected
    assert second.save() == whole.save()
    assert (second.alarmed, second.standing) == (whole.alarmed, whole.standing)


@given(st.lists(rules_of([INSTANT, CONSECUTIVE, CUMULATIVE, TREND]), max_size=8), series())
@settings(max_examples=100, deadline=None)
def test_alarmed_and_standing_follow_from_the_changes(
    rules: list[Rule], steps: list[Step]
) -> None:
    engine = Engine(rules)
    changes = run(engine, steps)
    starts = sum(change[0] == "start" for change in changes)
    assert engine.alarmed is bool(starts)
    assert engine.standing is (starts > len(changes) - starts)
    stopped = engine.stop(10**6)
    assert len(stopped) == 2 * starts - len(changes)
    assert all(change[0] == "end" and change[2] == SHIPMENT_STOPPED for change in stopped)
    assert not engine.standing
    assert engine.alarmed is bool(starts)
    engine.reset()
    assert not engine.alarmed
    assert engine.save() == Engine(rules).save()


def shipped(name: str, rule_id: int) -> Rule:
    """Return a rule as the shipped profile gives it to the tracker."""
    (wire,) = [rule.wire() for rule in profiles.load(name).rule if rule.id == rule_id]
    return tuple(wire)  # type: ignore[return-value]


def judge(rule: Rule, readings: Sequence[tuple[int, int | None]]) -> list[tuple[Any, ...]]:
    """Judge (t, payload) pairs, none of them late for a sampling interval of 10 minutes."""
    steps = [(t, 600, [value, *[None] * 7]) for t, value in readings]
    return run(Engine([rule]), steps)


def held(value: int, seconds: int, after: int | None, start: int = 600) -> list[tuple[int, int]]:
    """Return a series in which `value` is known to have held for exactly `seconds`."""
    times = [*range(start, start + seconds, 600), start + seconds]
    return [(t, value) for t in times[:-1]] + [(times[-1], after)]  # type: ignore[list-item]


HOUR = 3600
# Profile, rule, a reading at the edge that is good, the first one that is not, delay.
EDGES = [
    pytest.param("who_type_1", 1, 4499, 4500, HOUR, id="WHO Type 1, heat, single event"),
    pytest.param("who_type_1", 2, 2999, 3000, 10 * HOUR, id="WHO Type 1, heat, cumulative"),
    pytest.param("who_type_1", 3, -49, -50, HOUR, id="WHO Type 1, freezing"),
    pytest.param("who_type_2", 1, 4499, 4500, HOUR, id="WHO Type 2, heat, single event"),
    pytest.param("who_type_2", 2, 2999, 3000, 10 * HOUR, id="WHO Type 2, heat, cumulative"),
    pytest.param("who_type_2", 3, 999, 1000, 20 * HOUR, id="WHO Type 2, warmth, cumulative"),
    pytest.param("refrigerated_2_8", 2, 800, 801, HOUR // 2, id="label, above 8 degC"),
    pytest.param("refrigerated_2_8", 3, 800, 801, 2 * HOUR, id="label, above 8 degC, in total"),
    pytest.param("refrigerated_2_8", 4, 200, 199, HOUR // 2, id="label, below 2 degC"),
]


@pytest.mark.parametrize(("name", "rule_id", "good", "bad", "delay"), EDGES)
def test_the_delay_is_exact_to_the_second(
    name: str, rule_id: int, good: int, bad: int, delay: int
) -> None:
    rule = shipped(name, rule_id)
    far = 500  # good for every rule here, whatever its hysteresis
    assert judge(rule, held(bad, delay - 1, after=far)) == []
    for seconds in (delay, delay + 1):
        changes = judge(rule, held(bad, seconds, after=far))
        # What the clock showed when the delay was known to be reached, to one sample.
        assert changes[0] == ("start", 0, bad, delay, 600 + delay)
        assert changes[-1] == ("end", 0, BACK_WITHIN, bad, bad, seconds, 600 + seconds)
    assert judge(rule, held(good, 4 * delay, after=far)) == []


@pytest.mark.parametrize(("name", "rule_id", "good", "bad", "delay"), EDGES)
def test_a_good_reading_in_between_separates_single_events_only(
    name: str, rule_id: int, good: int, bad: int, delay: int
) -> None:
    rule = shipped(name, rule_id)
    first = held(bad, delay // 2, after=500)
    second = held(bad, delay - delay // 2, after=500, start=first[-1][0] + 600)
    changes = judge(rule, first + second)
    if rule[1] == CUMULATIVE:
        assert changes[0] == ("start", 0, bad, delay, second[-1][0])
        # Its readings, and the seconds beyond, are those of the run in which it began.
        assert changes[1] == ("end", 0, BACK_WITHIN, bad, bad, delay // 2, second[-1][0])
    else:
        assert changes == []


def test_the_edges_of_the_label_are_good_and_those_of_who_are_not() -> None:
    for comparison, beyond in ((1, {799}), (2, {799, 800}), (3, {801}), (4, {800, 801})):
        rule = (1, INSTANT, 0, comparison, 800, 0, 0, 0)
        assert {v for v in (799, 800, 801) if judge(rule, [(0, v)])} == beyond


def test_a_gap_adds_nothing_and_ends_nothing() -> None:
    rule = shipped("who_type_1", 1)
    # Two readings an hour apart: the first stands for 15 minutes, so four gaps make an hour.
    readings = [(HOUR * i, 4600) for i in range(5)]
    assert judge(rule, readings) == [("start", 0, 4600, HOUR, 4 * HOUR)]
    assert judge(rule, readings[:4]) == []


def test_a_restart_adds_nothing_and_ends_nothing() -> None:
    engine = Engine([shipped("who_type_1", 1)])
    hot = [4600, *[None] * 7]
    assert engine.sample(9000, 600, hot) == []
    engine.restart()
    assert engine.sample(50, 600, hot) == []
    for t in range(650, 3050, 600):
        assert engine.sample(t, 600, hot) == []
    assert engine.sample(3050, 600, hot) == []
    assert engine.sample(3650, 600, hot) == [("start", 0, 4600, HOUR, 3650)]


def test_a_breach_ends_when_its_sensor_is_lost() -> None:
    rule = (9, INSTANT, 0, 3, 800, 0, 0, 0)
    readings = [(0, 900), (600, 1100), (1200, 850), (1800, None), (2400, 860)]
    assert judge(rule, readings) == [
        ("start", 0, 900, 0, 0),
        ("end", 0, SENSOR_LOST, 850, 1100, 1800, 1800),
        ("start", 0, 860, 0, 2400),
    ]


def test_a_failing_probe_does_not_hide_a_breach() -> None:
    rule = shipped("who_type_1", 1)
    readings = [(600 * i, None if i % 2 else 4600) for i in range(13)]
    (start,) = [change for change in judge(rule, readings) if change[0] == "start"]
    # Every other ten minutes are known: an hour of them has passed at the eleventh interval.
    assert start == ("start", 0, 4600, HOUR, 11 * 600)


def test_a_lost_sensor_takes_back_what_a_trend_had_gathered() -> None:
    rule = (1, TREND, 0, 3, 500, 56, 0, 32)  # buckets of 2 s, one sample in each
    engine = Engine([rule])
    # A rise that wavers: at samples 29 and 30 two evaluations see no breach, then all do again.
    wavering = [69, 116, 355, 114, 336, 363, 248, 165, 141, 382, 444, 456, 186, 201]
    rise = [*range(0, 200, 10), *wavering]
    found = []
    for i, value in enumerate(rise):
        found += engine.sample(2 * i, 2, [value, *[None] * 7])
        if i == 30:
            found += engine.sample(2 * i + 1, 2, [None] * 8)
    # After the loss it takes three again, and not one to make up three with those before.
    assert [(change[0], change[-1]) for change in found][-2:] == [("end", 61), ("start", 66)]


def test_hysteresis_holds_a_breach_without_counting_time() -> None:
    rule = (1, INSTANT, 0, 3, 800, 0, 10, 0)
    readings = [(0, 801), (600, 795), (1200, 802), (1800, 791), (2400, 790), (3000, 795)]
    assert judge(rule, readings) == [
        ("start", 0, 801, 0, 0),
        ("end", 0, BACK_WITHIN, 791, 802, 1200, 2400),
    ]


def test_after_its_delay_a_cumulative_rule_reports_every_further_breach() -> None:
    rule = (1, CUMULATIVE, 0, 3, 800, 1200, 0, 0)
    readings = [(0, 801), (600, 801), (1200, 801), (1800, 700), (2400, 900), (3000, 700)]
    assert judge(rule, readings) == [
        ("start", 0, 801, 1200, 1200),
        ("end", 0, BACK_WITHIN, 801, 801, 1800, 1800),
        ("start", 0, 900, 1800, 2400),
        ("end", 0, BACK_WITHIN, 900, 900, 600, 3000),
    ]


def test_the_interval_in_force_is_the_one_that_led_to_a_sample() -> None:
    rule = (1, CUMULATIVE, 0, 3, 800, 10**6, 0, 0)
    engine = Engine([rule])
    hot = [900, *[None] * 7]
    engine.sample(0, 60, hot)
    engine.sample(300, 300, hot)  # slower from here on: the first stood for all of 300 s
    engine.sample(600, 60, hot)  # and this one came late: the second stood for 90 s
    engine.sample(660, 60, hot)
    assert engine.save()[2][2] == 300 + 90 + 60


# Times of a year, readings at the contract's limits, two trends with full histories.
LARGEST = 2**24 - 1


def test_the_saved_state_is_small() -> None:
    rules = [(i, CUMULATIVE, 0, 1 + i % 4, 0, 10**6, 0, 0) for i in range(6)]
    rules += [(i, TREND, 0, 3, 3000, 86400, 0, 28800) for i in (6, 7)]
    engine = Engine(rules)
    for i in range(400):
        for sign in (1, -1):
            t = 31_536_000 + 600 * i + 300 * (sign < 0)
            engine.sample(t, 300, [sign * 19000 + i] + [None] * 7)
    assert engine.alarmed is False
    assert len(encode(engine.save())) < 400


def test_a_state_of_other_rules_is_refused() -> None:
    cumulative, trend = (1, CUMULATIVE, 0, 3, 8, 9, 0, 0), (1, TREND, 0, 3, 8, 9, 0, 160)
    saved = Engine([cumulative]).save()
    for rules in ([], [cumulative, cumulative], [trend]):
        with pytest.raises(ValueError, match="belongs to other rules"):
            Engine(rules).load(saved)


SCRIPT = """
import json, sys
from coldtrail.judging.alarms import Engine
engine = Engine([tuple(rule) for rule in json.loads(sys.stdin.readline())])
for line in sys.stdin:
    step = json.loads(line)
    if step is None:
        engine.restart()
    else:
        for change in engine.sample(*step):
            print(json.dumps(change))
print(json.dumps(engine.save()))
"""


@pytest.mark.parametrize("interpreter", [tools.micropython, tools.micropython32])
def test_micropython_judges_as_cpython_does(interpreter: Callable[[], list[str]]) -> None:
    try:
        command = interpreter()
    except tools.ToolError as error:
        pytest.skip(str(error))
    rules: list[Any] = []
    steps: list[Any] = []
    for scale in (1, 1000, 5_000_000):  # beyond 2**30 once slopes are scaled
        for comparison in (1, 2, 3, 4):
            rules.append((len(rules), CONSECUTIVE, 0, comparison, 2 * scale, 700, scale // 2, 0))
        rules.append((len(rules), TREND, 0, 3, 3 * scale, 90_000, 0, 9600))
    t = 0
    for i in range(600):
        t += 300 if i % 37 else 2000
        value = None if i % 41 == 0 else (i * 7919) % 5_000_000 - 2_000_000 + i * 20_000
        steps.append(None if i % 151 == 150 else (t, 300, [value, *[None] * 7]))
    engine = Engine(rules)
    expected = [json.loads(json.dumps(item)) for item in (*run(engine, steps), engine.save())]
    assert len(expected) > 20
    answer = subprocess.run(
        [*command, "-X", "heapsize=96k", "-c", SCRIPT],
        input="".join(json.dumps(item) + "\n" for item in (rules, *steps)),
        env={**os.environ, "MICROPYPATH": f"{FIRMWARE}:.frozen"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert [json.loads(line) for line in answer.stdout.splitlines()] == expected
