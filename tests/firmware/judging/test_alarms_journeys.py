"""The refrigerated profile on modelled journeys: quiet in fair weather, in time at customs.

The alarm engine is fed what the probe would read: the payload of the simulated box through the
resistance of a PT1000 (IEC 60751), the codes of its converter, noise, and the tracker's own
conversion back. The whole firmware in the whole simulator is tested elsewhere; this takes seconds.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import pytest

from coldtrail.judging import profile as device
from coldtrail.judging.alarms import Engine
from coldtrail_boards.profiles import profile as profiles
from coldtrail_simulator.world import scenario
from coldtrail_simulator.world.scenario import Scenario
from coldtrail_simulator.world.world import World
from drivers import max31865

RREF = 4300  # ohm: 0.034 degC a code
HOUR = 3600
TREND_RULE = 0
TOO_COLD = 3


def code(celsius: float) -> int:
    ohm = 1000 * (1 + 3.9083e-3 * celsius - 5.775e-7 * celsius**2)
    return round(ohm / RREF * 32768)


@dataclass
class Journey:
    """What happened: hours, and temperatures of the payload itself."""

    calls: list[float]
    breached: float | None
    warmest: float
    coldest: float
    melted: float | None
    others: list[tuple[Any, ...]]


def travel(journey: Scenario, seed: int, noise: float) -> Journey:
    chosen = device.load(profiles.load(journey.scenario.profile).encode())
    engine = Engine(chosen.rules)
    world = World(journey, seed)
    rng = random.Random(f"{seed}/probe")
    result = Journey([], None, -300, 300, None, [])
    t = 0
    while t < journey.duration_s:
        payload = world.payload_c(t)
        result.warmest, result.coldest = max(result.warmest, payload), min(result.coldest, payload)
        if payload > 8 and result.breached is None:
            result.breached = t / HOUR
        if world.box.melted == 1 and result.melted is None:
            result.melted = t / HOUR
        reading = max31865.temperature(code(payload) + round(rng.gauss(0, noise)), RREF)
        interval = chosen.alarm_interval if engine.standing else chosen.interval
        for change in engine.sample(t, interval, [reading, *[None] * 7]):
            if change[:2] == ("start", TREND_RULE):
                result.calls.append(t / HOUR)
            elif change[1] != TREND_RULE:
                result.others.append(change)
        t += chosen.alarm_interval if engine.standing else chosen.interval
    return result


# One code of noise is the converter's own; three are a long cable in a bad place.
NOISE = [1.0, 3.0]


@pytest.mark.parametrize("noise", NOISE)
@pytest.mark.parametrize("seed", range(25))
def test_fair_weather_raises_no_call(seed: int, noise: float) -> None:
    journey = travel(scenario.load("fair_weather"), seed, noise)
    assert journey.calls == []
    assert journey.others == []
    assert journey.coldest > 2
    assert journey.warmest < 8


@pytest.mark.parametrize("noise", NOISE)
@pytest.mark.parametrize("seed", range(25))
def test_the_call_from_customs_comes_in_time(seed: int, noise: float) -> None:
    story = scenario.load("customs_hold")
    journey = travel(story, seed, noise)
    twin = travel(story.without_intervention(), seed, noise)
    # The rise starts when the refrigerant is spent.
    assert journey.melted is not None
    assert 34 < journey.melted < 38.5
    assert twin.breached is not None
    (called,) = journey.calls
    assert twin.calls == [called]
    # Two hours of margin to the 12 that are promised.
    assert journey.melted < called < twin.breached - 14
    (re_iced,) = [event.at_h for event in story.event if event.kind == "re_ice"]
    assert called < re_iced - 2
    # The product never leaves its range, and nothing else alarms; the twin's does both.
    assert journey.coldest > 2
    assert 5 < journey.warmest < 6.5
    assert journey.others == []
    assert twin.warmest > 8
    assert {change[0] for change in twin.others} >= {"start"}


@pytest.mark.parametrize("seed", range(5))
def test_a_hold_that_grows_cold_alarms_before_the_landing(seed: int) -> None:
    journey = travel(scenario.load("flight_15h"), seed, 1.0)
    assert journey.calls == []
    (start, below, *_, at_s), end = journey.others
    assert (start, end[0]) == ("start", "end")
    assert below == TOO_COLD
    assert 18.2 * HOUR < at_s < 18.95 * HOUR
    assert 0 < journey.coldest < 2


@pytest.mark.parametrize("name", ["broker_outage", "gateway_killed", "power_cuts"])
def test_the_other_journeys_raise_nothing(name: str) -> None:
    journey = travel(scenario.load(name), 0, 1.0)
    assert journey.calls == []
    assert journey.others == []
